"""Read pickles from a farm as plain data and never call what they name, so that workers cannot attack clients.

Dask sends results, exceptions and events as pickles, and a pickle can make its reader call any function. Workers have
to trust clients, whose functions they run. Clients do not have to trust workers: all that they expect from them are
texts, numbers, and lists and dicts of these.
"""

from __future__ import annotations

import importlib
import io
import pickle
from types import SimpleNamespace
from typing import Any, Self


class Unread(Exception):  # noqa: N818 - Dask insists that what stands for an exception is one
    """Takes the place of an object of any class that a pickle names; it ignores everything that is done to it."""

    def __new__(cls, *_args: Any, **_more: Any) -> Self:
        return super().__new__(cls)

    def __init__(self, *_args: Any, **_more: Any) -> None:
        pass

    def __call__(self, *_args: Any, **_more: Any) -> Self:
        """Ignore a call: the pickle may name a function."""
        return self

    def __setstate__(self, state: Any) -> None:
        pass

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def append(self, value: Any) -> None:
        """Ignore an item that a pickle of a list appends."""

    def extend(self, values: Any) -> None:
        """Ignore items that a pickle of a list appends."""

    def add(self, value: Any) -> None:
        """Ignore an item that a pickle of a set adds."""

    def update(self, values: Any) -> None:
        """Ignore items that a pickle of a set adds."""


def _failure(exception: Any, *_: Any, **_more: Any) -> tuple[type[BaseException], BaseException, None]:
    """Take the place of Dask's ``clean_exception``: always return an exception, and never a traceback."""
    error = exception if isinstance(exception, BaseException) else Unread()
    return type(error), error, None


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        # Dask says of a text that it is one.
        return str if (module, name) == ("builtins", "str") else Unread


def loads(content: bytes, *, buffers: Any = ()) -> Any:
    """Read a pickle; everything in it that is not plain data becomes ``Unread``."""
    return _Reader(io.BytesIO(content), buffers=buffers or None).load()


def read_only() -> None:
    """Make Dask read pickles with ``loads`` from now on.

    This holds for the whole process. A program that uses Dask for other things should do so in another process.
    """
    reader = SimpleNamespace(**{**vars(pickle), "loads": loads})
    # All parts of Dask read pickles by one function, except for one place that uses Python's own.
    for name in ("distributed.protocol.pickle", "distributed.client"):
        importlib.import_module(name).__dict__["pickle"] = reader
    importlib.import_module("distributed.client").__dict__["clean_exception"] = _failure
    # What it has a form of its own for says its type by a pickle. An error there would end the connection.
    importlib.import_module("distributed.protocol").dask_deserialize.register(Unread, lambda *_: Unread())
