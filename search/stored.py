"""Studies as the store has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from search.archive import Archive, Evaluation
from search.objectives import Directions
from search.result import Study
from supernets.errors import UnknownNameError

if TYPE_CHECKING:
    from harness.store import Store, StudyRecord


def load(store: Store, name: str) -> Study:
    """Return the study called ``name`` as the store has it.

    Raises:
        UnknownNameError: there is none; the message suggests the nearest.
    """
    record = record_of(store, name)
    settings, facts = record.settings["search"], record.settings["facts"]
    labels = settings["objectives"]
    archive = Archive([one["name"] for one in labels], Directions([one["maximise"] for one in labels]))
    archive.add([Evaluation.from_json(evaluation) for evaluation in store.evaluations(record)])
    last = archive[len(archive) - 1] if len(archive) else None
    spent = (last.measure_s, last.search_s, last.total_s) if last else (0.0, 0.0, 0.0)
    return Study(record.name, settings, facts, archive, dict(zip(("measure", "search", "total"), spent, strict=True)))


def record_of(store: Store, name: str) -> StudyRecord:
    """Return what the store knows of the study ``name``, without its evaluations; raises ``UnknownNameError``."""
    record = store.study(name)
    if record is None:
        raise UnknownNameError("study", name, (known.name for known in store.studies()))
    return record
