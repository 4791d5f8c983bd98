"""Studies as the store has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from search.archive import Archive, Evaluation
from search.objectives import Directions
from search.result import Study
from supernets.errors import StoreError, UnknownNameError

if TYPE_CHECKING:
    from harness.store import Store, StudyRecord


def load(store: Store, name: str) -> Study:
    """Return the study called ``name`` as the store has it.

    Raises:
        UnknownNameError: there is none; the message suggests the nearest.
        StoreError: it is there, but damaged.
    """
    record = record_of(store, name)
    try:
        return _study(record, store.evaluations(record))
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise StoreError(f"the store {store.name}: the study {name!r} is damaged: {error!r}") from error


def _study(record: StudyRecord, evaluations: Sequence[Mapping[str, Any]]) -> Study:
    settings, facts = record.settings["search"], record.settings["facts"]
    labels = settings["objectives"]
    archive = Archive([one["name"] for one in labels], Directions([one["maximise"] for one in labels]))
    archive.add([Evaluation.from_json(evaluation) for evaluation in evaluations])
    last = archive[len(archive) - 1] if len(archive) else None
    spent = (last.measure_s, last.search_s, last.total_s) if last else (0.0, 0.0, 0.0)
    time_s = dict(zip(("measure", "search", "total"), spent, strict=True))
    return Study(record.name, settings, facts, archive, time_s).checked()


def record_of(store: Store, name: str) -> StudyRecord:
    """Return what the store knows of the study ``name``, without its evaluations; raises ``UnknownNameError``."""
    record = store.study(name)
    if record is None:
        raise UnknownNameError("study", name, (known.name for known in store.studies()))
    return record
