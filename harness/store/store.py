"""The ``Store`` of measurements with their raw samples, qualities, and studies with their evaluations."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from hwnas.harness.store.database import Database
from hwnas.harness.store.measurements import Measurements
from hwnas.harness.store.qualities import Qualities
from hwnas.harness.store.studies import Studies


class Store(Measurements, Qualities, Studies):
    """An open store; a context manager. ``Store.open`` opens one.

    When a call returns, its data is committed. If it raises ``StoreFaultError``, nothing of it was written, and the
    store can be used again once the reason is gone. A lost connection is retried for half a minute before.
    """

    @classmethod
    def open(cls, location: str, *, create: bool = True) -> Self:
        """Open the store at a file's path or a database URL.

        Args:
            location: the path or URL.
            create: create the file and the tables if they are missing; otherwise that is an error.

        Raises:
            StoreError: the store cannot be opened or written, is not a store, or is of a newer version.
        """
        return cls(Database(str(location), create))

    def close(self) -> None:
        """Release the connections; everything written before is stored in any case."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
