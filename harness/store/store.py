"""The store: measurements with their raw samples, qualities, studies with their evaluations."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from hwnas.harness.store.database import Database
from hwnas.harness.store.measurements import Measurements
from hwnas.harness.store.qualities import Qualities
from hwnas.harness.store.studies import Studies


class Store(Measurements, Qualities, Studies):
    """An open store; a context manager. ``Store.open`` makes one.

    Where a call returns, what it wrote is safe. Where it raises ``StoreFaultError``, nothing of it was written, what
    was written before is safe, and the store may be used again once the reason is gone. Before that, a connection that
    was lost is waited for half a minute.
    """

    @classmethod
    def open(cls, location: str, *, create: bool = True) -> Self:
        """Open the store at a file's path or a database URL.

        Args:
            location: the path or URL.
            create: make a file, or the tables, where there is none; otherwise that is an error.

        Raises:
            StoreError: it cannot be opened or written, is no store, or is of a newer version; names it.
        """
        return cls(Database(str(location), create))

    def close(self) -> None:
        """Release the connections; what was put is kept in any case."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
