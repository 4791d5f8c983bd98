"""Cache digests of files for the user, so that a folder of fifty thousand images is read once, not in every search.

If the cache cannot be read or written, files are read again, which only takes time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress

from hwnas.supernets.assets import cache_folder
from hwnas.supernets.contents import Stamp

_TABLE = """
CREATE TABLE IF NOT EXISTS digest (
    device TEXT, inode TEXT, size INTEGER, modified_ns INTEGER, changed_ns INTEGER, content TEXT,
    PRIMARY KEY (device, inode)
) WITHOUT ROWID
"""
_WAIT_S = 5.0


class DigestCache:
    """The cached digests, by stamp.

    Args:
        connection: to the cache; ``None``: nothing is cached.
    """

    def __init__(self, connection: sqlite3.Connection | None) -> None:
        self._connection = connection

    @classmethod
    @contextmanager
    def opened(cls) -> Iterator[DigestCache]:
        """Open the user's cache, and close it on leaving."""
        connection = _connected()
        try:
            yield cls(connection)
        finally:
            if connection is not None:
                connection.close()

    def get(self, stamps: Iterable[Stamp]) -> dict[Stamp, str]:
        """Return the digests that are cached."""
        if self._connection is None:
            return {}
        query = (
            "SELECT content FROM digest WHERE device = ? AND inode = ? AND size = ? AND modified_ns = ? "
            "AND changed_ns = ?"
        )
        found = {}
        with suppress(sqlite3.Error):
            for stamp in stamps:
                row = self._connection.execute(query, _key(stamp)).fetchone()
                if row is not None:
                    found[stamp] = str(row[0])
        return found

    def put(self, digests: Mapping[Stamp, str]) -> None:
        """Cache digests; that of a changed file replaces the earlier one."""
        if self._connection is None or not digests:
            return
        rows = [(*_key(stamp), digest) for stamp, digest in digests.items()]
        with suppress(sqlite3.Error), self._connection:
            self._connection.executemany("INSERT OR REPLACE INTO digest VALUES (?, ?, ?, ?, ?, ?)", rows)


def _key(stamp: Stamp) -> tuple[str, str, int, int, int]:
    # Devices and inodes are unsigned 64-bit numbers, SQLite's numbers are signed.
    return str(stamp.device), str(stamp.inode), stamp.size, stamp.modified_ns, stamp.changed_ns


def _connected() -> sqlite3.Connection | None:
    try:
        folder = cache_folder("digests")
        folder.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(folder / "digests.db", timeout=_WAIT_S)
    except (OSError, sqlite3.Error):
        return None
    try:
        connection.execute(_TABLE)
    except sqlite3.Error:
        connection.close()
        return None
    return connection
