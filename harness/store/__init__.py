"""Where measurements and studies are kept: an SQL database, a file of SQLite by default, or PostgreSQL.

Several processes may write at once. What a call has returned from survives the end of the process, however it ends.
"""

from __future__ import annotations

from hwnas.harness.store.part import decoded
from hwnas.harness.store.store import Store
from hwnas.harness.store.studies import StudyRecord

__all__ = ["Store", "StudyRecord", "decoded"]
