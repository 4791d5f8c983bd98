"""A search that is interrupted gives what it has found by then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

from hwnas.search.study.result import Study
from hwnas.supernets.shown import counted

# Why such a study stopped.
INTERRUPTED = "interrupted"


class SearchInterrupted(KeyboardInterrupt):
    """A search was interrupted.

    Attributes:
        study: the study as far as it came.
    """

    def __init__(self, study: Study, message: str = "") -> None:
        super().__init__(message or f"study {study.name!r} has {counted(len(study.archive), 'evaluation')}")
        self.study = study

    def __reduce__(self) -> tuple[type[Self], tuple[Study, str]]:
        # An exception is made again of its message alone, otherwise.
        return type(self), (self.study, str(self))


@contextmanager
def interruptible(so_far: Callable[[], Study]) -> Iterator[None]:
    """Turn a ``KeyboardInterrupt`` in this ``with`` block into ``SearchInterrupted`` with the study so far.

    Subclasses pass: whoever raises one of their own, as the command line does at signals, waits for that.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        if type(error) is not KeyboardInterrupt:
            raise
        raise SearchInterrupted(so_far()) from error
