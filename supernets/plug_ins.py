"""Find the installed plug-in that has raised an error, and name it and its distribution in the message.

A plug-in is other people's code. Its errors are reported in one line, whereas an unexpected error of hwnas shows a
traceback. ``PlugIn.at_work`` handles calls of a plug-in; ``blamed`` finds the plug-in of any error by its traceback.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, distributions, entry_points
from pathlib import PurePath
from traceback import walk_tb
from types import FrameType

from hwnas.supernets.errors import HwnasError, PlugInError

# The exceptions of a plug-in that count as its failure. An interruption does not, and ends the command.
FAILURES = (Exception, SystemExit)
_GROUPS = "hwnas."


@dataclass(frozen=True)
class PlugIn:
    """An installed entry point.

    Attributes:
        kind: what it adds, for messages ("backend").
        name: the name under which it is registered.
        module: the module that it names ("mychip_hwnas.backend").
        distribution: the installed package, with its version ("mychip-hwnas 1.2").
    """

    kind: str
    name: str
    module: str
    distribution: str

    @classmethod
    def of(cls, point: EntryPoint) -> PlugIn:
        """Return the plug-in of an entry point."""
        # An attribute behind a colon belongs to the module; extras in brackets are no part of it.
        module = point.value.partition(":")[0].partition("[")[0].strip()
        kind = point.group.removeprefix(_GROUPS).replace("_", " ").removesuffix("s")
        return cls(kind, point.name, module, _spelled(point.dist))

    def __str__(self) -> str:
        return f"the plug-in {self.name!r} ({self.kind}, {self.distribution})"

    def failure(self, what: str) -> PlugInError:
        """Return an error that says ``what`` about the plug-in."""
        return PlugInError(f"{self} {what}")

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Turn every unexpected exception in this ``with`` block into a ``PlugInError`` of this plug-in."""
        try:
            yield
        except HwnasError:
            raise
        except FAILURES as error:
            raise self.failed(error) from error

    def failed(self, error: BaseException) -> PlugInError:
        """Return the error that reports an exception of the plug-in."""
        return self.failure(self.explained(error, "failed"))

    def explained(self, error: BaseException, how: str) -> str:
        """Return a text about an exception of the plug-in, with the place in its code."""
        own = [at for at in walk_tb(error.__traceback__) if _root(_module(at[0])) == self.root]
        where = f" ({PurePath(own[-1][0].f_code.co_filename).name}, line {own[-1][1]})" if own else ""
        return f"{how}: {described(error)}{where}"

    @property
    def root(self) -> str:
        """The package that its modules are in."""
        return _root(self.module)


def described(error: BaseException) -> str:
    """Return an unexpected error as one line: its type and its message."""
    try:
        said = " ".join(str(error).split())
    except FAILURES:  # of somebody else's class
        said = ""
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def reason_of(error: BaseException) -> str:
    """Return the reason of a failure in one line; errors of plug-ins name the plug-in."""
    named = error if isinstance(error, HwnasError) else blamed(error)
    return " ".join(str(named).split()) if named else described(error)


def blamed(error: BaseException) -> PlugInError | None:
    """Return an error that names the plug-in whose code, or code called by it, has raised ``error``.

    Returns:
        ``None`` if no frame is a plug-in's, or if it is an error of hwnas or an interruption.
    """
    if isinstance(error, HwnasError) or not isinstance(error, FAILURES):
        return None
    modules = [_module(frame) for frame, _ in walk_tb(error.__traceback__)][::-1]
    installed = _installed()[::-1]
    roots = {plug_in.root: plug_in for plug_in in installed}
    first = next((roots[root] for root in map(_root, modules) if root in roots), None)
    if first is None:
        return None
    # A package may bring several: it is the one whose own module has called.
    siblings = {one.module: one for one in installed if one.distribution == first.distribution}
    return next((siblings[module] for module in modules if module in siblings), first).failed(error)


def points_of(group: str = "") -> list[EntryPoint]:
    """Return the installed entry points of a group, or of all of hwnas's groups, sorted; none for damaged metadata."""
    try:
        groups = [group] if group else [one for one in entry_points().groups if one.startswith(_GROUPS)]
        found = [point for one in groups for point in entry_points(group=one)]
    except FAILURES:  # somebody's file cannot be read; the others' can
        found = [point for distribution in distributions() for point in _readable(distribution)]
    wanted = {point for point in found if (point.group == group if group else point.group.startswith(_GROUPS))}
    return sorted(wanted, key=lambda point: (point.group, point.name, point.value))


def _readable(distribution: Distribution) -> list[EntryPoint]:
    try:
        return list(distribution.entry_points)
    except FAILURES:
        return []


def _installed() -> list[PlugIn]:
    return [PlugIn.of(point) for point in points_of()]


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _root(module: str) -> str:
    return module.partition(".")[0]


def _spelled(distribution: Distribution | None) -> str:
    # Metadata that is damaged or missing: the plug-in is named without it. The package importlib_metadata, where some
    # library has loaded it, answers for the standard library's and raises where that one says nothing.
    try:
        about = getattr(distribution, "metadata", None) or {}
    except FAILURES:
        about = {}
    known = (str(about.get(key, "") or "") for key in ("Name", "Version"))
    return " ".join(part for part in known if part) or "of an unknown distribution"
