"""Find registered things, such as backends, by name: files of a package, and entry points of installed packages.

Every file of the package that defines ``create`` is registered, under its own name with ``-`` for ``_``, or under the
names in its ``NAMES`` tuple. An entry point names a module, or an object with the same two attributes. Adding one needs
no other edit, and listing them imports nothing heavy: such files import torch and the like inside their functions.

An entry point is other people's code. It is checked when it is loaded, and the object it makes when that is made, so
that faults are reported before any work is done. A broken one is listed with the reason, and does not affect others.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import EntryPoint
from typing import Any

from hwnas.supernets.errors import PlugInError, UnknownNameError
from hwnas.supernets.fitting import misfit, misfit_of_all, wrong_type
from hwnas.supernets.plug_ins import FAILURES, PlugIn, points_of

# What a module may say of what it offers, in any of the registries: its type, and what holds where it says nothing. The
# package whose registry asks for it says what it means.
_STATEMENTS: dict[str, tuple[Any, Any]] = {
    "NAMES": (tuple[str, ...], ()),
    "SUMMARY": (str, ""),
    "SPELLED": (str, ""),
    "NEEDS": (str, ""),
    "LISTED": (dict, {}),
    "ARGUMENTS": (dict, {}),
    "MAX_OBJECTIVES": (int | None, None),
    "MIN_OBJECTIVES": (int, 1),
    "NEEDS_EXACT": (bool, False),
    "USES_PRIORS": (bool, False),
    "USES_BOUNDS": (bool, True),
    "GROWS": (bool, True),
    "USES_WEIGHTS": (bool, False),
    "BRIEF": (int | None, None),
    "ON_BACKENDS": (bool, False),
    "SETS_STATISTICS": (bool, False),
    "FOR_ANY": (bool, False),
}


@dataclass(frozen=True)
class Broken:
    """A plug-in that cannot be used; listings show the reason, and getting it raises an error."""

    plug_in: PlugIn
    reason: str


class Registry:
    """The registered things of one kind.

    Args:
        kind: their kind in the singular, for messages ("super-network").
        package: the package whose files are registered ("hwnas.supernets.zoo").
        group: the entry point group for installed packages ("hwnas.supernets").
        makes: Protocols, or a function that imports and returns them; the result of ``create`` has to implement one of
            them. None: any object.
        proves: a cheap trial of the result of a plug-in's ``create``; raises if it does not work.
        offers: the Protocol of the registered module itself, if it has no ``create``.
    """

    def __init__(
        self,
        kind: str,
        package: str,
        group: str,
        *,
        makes: tuple[type, ...] | Callable[[], tuple[type, ...]] = (),
        proves: Callable[[Any], None] | None = None,
        offers: type | None = None,
    ) -> None:
        self.kind = kind
        self._makes = makes
        self._proves = proves
        self._offers = offers
        self._plug_ins: dict[str, PlugIn] = {}
        self._package = package
        self._group = group
        # What a registered file defines: where that is no ``create``, the first of the methods that it offers.
        defines = "create" if offers is None else next(name for name in vars(offers) if not name.startswith("_"))
        self._registered = re.compile(rf"^(def {defines}\b|{defines} *=|from .* import .*\b{defines}$)", re.MULTILINE)

    def names(self) -> list[str]:
        """Return every registered name, sorted."""
        return sorted(self._providers)

    def working(self) -> list[str]:
        """Return the names that can be used, sorted: ``names`` without broken plug-ins."""
        return [name for name in self.names() if not isinstance(self._providers[name], Broken)]

    def broken(self) -> dict[str, str]:
        """Return the reasons why plug-ins cannot be used, by name."""
        found = {name: self._providers[name] for name in self.names()}
        return {name: str(_error(one)) for name, one in found.items() if isinstance(one, Broken)}

    def provider(self, name: str) -> Any:
        """Return the module or object registered as ``name``.

        Raises:
            UnknownNameError: there is none; carries suggestions.
            PlugInError: it is a broken plug-in.
        """
        if name not in self._providers:
            raise UnknownNameError(self.kind, name, self._providers)
        found = self._providers[name]
        if isinstance(found, Broken):
            raise _error(found)
        return found

    def stated(self, name: str, what: str) -> Any:
        """Return what the module registered as ``name`` says of itself, or what holds where it says nothing.

        Args:
            name: under which it is registered.
            what: one of the constants that a module may have ("SUMMARY", "USES_WEIGHTS").

        Raises:
            UnknownNameError: there is no such module; carries suggestions.
            PlugInError: it is a broken plug-in.
        """
        return getattr(self.provider(name), what, _STATEMENTS[what][1])

    def create(self, name: str, *args: Any, spelled: str | None = None, **kwargs: Any) -> Any:
        """Call ``create(name, ...)`` of the module registered as ``name``.

        Args:
            name: under which it is registered.
            args: for ``create``.
            spelled: the name with what follows it, which ``create`` is given then.
            kwargs: for ``create``.

        Raises:
            PlugInError: it is a plug-in that fails, or whose result does not implement the Protocol.
        """
        provider = self.provider(name)
        with self.at_work(name):
            made = provider.create(spelled or name, *args, **kwargs)
        plug_in = self._plug_ins.get(name)
        protocols = self._makes() if callable(self._makes) else self._makes
        reason = None if plug_in is None else misfit_of_all(made, protocols)
        if plug_in is not None and reason is not None:
            raise plug_in.failure(f"makes no {self.kind}: {reason}")
        if plug_in is not None and self._proves is not None:
            with plug_in.at_work():
                self._proves(made)
        return made

    def at_work(self, name: str) -> AbstractContextManager[None]:
        """Turn unexpected exceptions in this ``with`` block into a ``PlugInError``, if ``name`` is a plug-in."""
        plug_in = self._plug_ins.get(name) if name in self._providers else None
        return nullcontext() if plug_in is None else plug_in.at_work()

    @cached_property
    def _providers(self) -> dict[str, Any]:
        own = dict(self._from_files())
        claims: dict[str, list[tuple[PlugIn, Any]]] = defaultdict(list)
        for plug_in, names, found in map(self._loaded, points_of(self._group)):
            for name in names:
                # A plug-in cannot take the name of one of hwnas's own.
                taken = f"{name} ({plug_in.distribution})" if name in own else name
                reason = f"is not used: hwnas itself has a {self.kind} {name!r}; it needs another name"
                claims[taken].append((plug_in, Broken(plug_in, reason) if name in own else found))
        self._plug_ins = {name: claimed[0][0] for name, claimed in claims.items()}
        return {**own, **{name: _one_of(claimed) for name, claimed in claims.items()}}

    def _from_files(self) -> Iterator[tuple[str, Any]]:
        package = importlib.import_module(self._package)
        for info in pkgutil.iter_modules(package.__path__):
            if info.name.startswith("_") or not self._is_registered(info):
                continue
            module = importlib.import_module(f"{self._package}.{info.name}")
            default = (info.name.replace("_", "-"),)
            yield from ((name, module) for name in getattr(module, "NAMES", default))

    def _is_registered(self, info: pkgutil.ModuleInfo) -> bool:
        """Return whether a file is registered, judging by its text: importing it may take long."""
        spec = info.module_finder.find_spec(info.name, None)
        read = getattr(spec.loader if spec else None, "get_source", None)
        return read is not None and self._registered.search(read(info.name) or "") is not None

    def _loaded(self, point: EntryPoint) -> tuple[PlugIn, tuple[str, ...], Any]:
        """Return a plug-in, its names, and its module, or why that cannot be used."""
        plug_in = PlugIn.of(point)
        # Whatever it raises must not affect other plug-ins.
        try:
            found = point.load()
            reason = self._unfit(found)
            names = (point.name,) if reason else tuple(getattr(found, "NAMES", (point.name,)))
        except FAILURES as error:
            return plug_in, (point.name,), Broken(plug_in, plug_in.explained(error, "does not load"))
        return plug_in, names, Broken(plug_in, f"offers no {self.kind}: {reason}") if reason else found

    def _unfit(self, found: Any) -> str | None:
        said = {name: getattr(found, name) for name in _STATEMENTS if hasattr(found, name)}
        wrong = (wrong_type(name, value, _STATEMENTS[name][0]) for name, value in said.items())
        reason = next((reason for reason in wrong if reason is not None), None)
        if reason is None and self._offers is not None:
            return misfit(found, self._offers)
        if reason is None and not callable(getattr(found, "create", None)):
            return "it has no function create"
        return reason


def _one_of(claimed: list[tuple[PlugIn, Any]]) -> Any:
    """Return what is registered under a name; if several plug-ins claim it, none of them has it."""
    (plug_in, found), *others = claimed
    if not others:
        return found
    whose = " and ".join(sorted(one.distribution for one, _ in claimed))
    return Broken(plug_in, f"is not used: {whose} have a plug-in of this name each; uninstall all but one")


def _error(broken: Broken) -> PlugInError:
    return broken.plug_in.failure(broken.reason)
