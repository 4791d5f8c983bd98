"""Find what is registered: a file in a package, or an installed package's entry point.

A file of the package is registered by being there. It answers to its own name with ``_`` spelled ``-``, or to the names
in its ``NAMES`` tuple, and offers ``create``. An entry point names a module, or an object with the same two attributes.
Nothing else has to be edited to add one, and nothing heavy is imported to list them: such files import torch and the
like inside their functions.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from supernets.errors import HwnasError, UnknownNameError


@dataclass(frozen=True)
class Broken:
    """An entry point that does not load; asking for it raises, listing shows the reason."""

    name: str
    reason: str

    def create(self, *_args: Any, **_kwargs: Any) -> Any:
        """Raise ``HwnasError`` with the reason."""
        raise HwnasError(f"the plug-in {self.name!r} does not load: {self.reason}")


class Registry:
    """The registered things of one kind.

    Args:
        kind: what they are, in the singular, for messages ("super-network").
        package: the package whose files are registered ("supernets.zoo").
        group: the entry point group for installed packages ("hwnas.supernets").
        skip: files of the package that are its machinery and not registered things.
    """

    def __init__(self, kind: str, package: str, group: str, skip: tuple[str, ...] = ()) -> None:
        self.kind = kind
        self._package = package
        self._group = group
        self._skip = skip

    def names(self) -> list[str]:
        """Return every registered name, sorted."""
        return sorted(self._providers)

    def provider(self, name: str) -> Any:
        """Return the module or object registered as ``name``; raises ``UnknownNameError`` with suggestions."""
        if name not in self._providers:
            raise UnknownNameError(self.kind, name, self._providers)
        return self._providers[name]

    def create(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Call ``create(name, ...)`` of what is registered as ``name``."""
        return self.provider(name).create(name, *args, **kwargs)

    @cached_property
    def _providers(self) -> dict[str, Any]:
        return {**dict(self._from_files()), **dict(self._from_entry_points())}

    def _from_files(self) -> Iterator[tuple[str, Any]]:
        package = importlib.import_module(self._package)
        for info in pkgutil.iter_modules(package.__path__):
            if info.name in self._skip or info.name.startswith("_"):
                continue
            module = importlib.import_module(f"{self._package}.{info.name}")
            default = (info.name.replace("_", "-"),)
            yield from ((name, module) for name in getattr(module, "NAMES", default))

    def _from_entry_points(self) -> Iterator[tuple[str, Any]]:
        for point in entry_points(group=self._group):
            provider = _load(point)
            yield from ((name, provider) for name in getattr(provider, "NAMES", (point.name,)))


def _load(point: EntryPoint) -> Any:
    # A plug-in is somebody else's code: whatever it raises on import must not take the rest down.
    try:
        return point.load()
    except Exception as error:  # noqa: BLE001
        return Broken(point.name, f"{type(error).__name__}: {error}")
