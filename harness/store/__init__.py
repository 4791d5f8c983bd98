"""Store measurements, qualities and studies in an SQL database: a SQLite file by default, or PostgreSQL.

Several processes may write at once. When a call returns, its data is committed and survives a crash of the process.
"""

from __future__ import annotations

from hwnas.harness.store.part import decoded
from hwnas.harness.store.store import Store
from hwnas.harness.store.studies import StudyRecord

__all__ = ["Store", "StudyRecord", "decoded"]
