"""What comes to a client of the farm is data: pickles in it are read, and nothing that they name is ever called.

Dask hands results, exceptions and events over as pickles, and a pickle can name any function to be called where it is
read. Workers have to trust clients, whose functions they run. The client need not trust workers: what it awaits of them
are texts, numbers, and lists and dicts of them.
"""

from __future__ import annotations

import importlib
import io
import pickle
from types import SimpleNamespace
from typing import Any, Self


class Unread(Exception):  # noqa: N818 - Dask insists that what stands for an exception is one
    """Stands for what a pickle would have made of something that it names; it takes whatever is done to it."""

    def __new__(cls, *_args: Any, **_more: Any) -> Self:
        return super().__new__(cls)

    def __init__(self, *_args: Any, **_more: Any) -> None:
        pass

    def __call__(self, *_args: Any, **_more: Any) -> Self:
        """It may stand for a function, too."""
        return self

    def __setstate__(self, state: Any) -> None:
        pass

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def append(self, value: Any) -> None:
        """Take what a pickle of a list appends."""

    def extend(self, values: Any) -> None:
        """Take what a pickle of a list appends at once."""

    def add(self, value: Any) -> None:
        """Take what a pickle of a set adds."""

    def update(self, values: Any) -> None:
        """Take what a pickle of a set adds at once."""


def _failure(exception: Any, *_: Any, **_more: Any) -> tuple[type[BaseException], BaseException, None]:
    """Return what failed in the form of Dask's ``clean_exception``: an exception whatever came, without a traceback."""
    error = exception if isinstance(exception, BaseException) else Unread()
    return type(error), error, None


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        # Dask says of a text that it is one.
        return str if (module, name) == ("builtins", "str") else Unread


def loads(content: bytes, *, buffers: Any = ()) -> Any:
    """Read a pickle; everything in it but data is ``Unread``."""
    return _Reader(io.BytesIO(content), buffers=buffers or None).load()


def read_only() -> None:
    """Let Dask read pickles so in this process, from now on.

    It holds for the whole process: a program that uses Dask for something else too does that in another one.
    """
    reader = SimpleNamespace(**{**vars(pickle), "loads": loads})
    # Dask has one function through which all its parts read pickles, and one place where it takes Python's own.
    for name in ("distributed.protocol.pickle", "distributed.client"):
        importlib.import_module(name).__dict__["pickle"] = reader
    importlib.import_module("distributed.client").__dict__["clean_exception"] = _failure
    # What it has a form of its own for says its type by a pickle. An error there would end the connection.
    importlib.import_module("distributed.protocol").dask_deserialize.register(Unread, lambda *_: Unread())
