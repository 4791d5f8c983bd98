"""The study that a search goes on with where none is named: the latest that was begun with the same settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from hwnas.search.objectives import Sources
from hwnas.search.study.plan import Plan
from hwnas.search.study.request import Request
from hwnas.search.study.same import check_same
from hwnas.search.study.stored import record_of
from hwnas.supernets.errors import UsageError

if TYPE_CHECKING:
    from hwnas.harness.store import Store, StudyRecord


def latest(asked: Request, requested: Callable[[Mapping[str, Any]], Request], sources: Sources, store: Store) -> str:
    """Return the name of the latest study of the same search.

    Args:
        asked: what is asked for.
        requested: the same of a study with these settings, which keeps what others had found when it was begun.
        sources: what its objectives read from.
        store: has the studies.

    Raises:
        UsageError: there is none. Where the latest study of the same super-network, algorithm and seed differs in other
            settings, it says in which.
    """
    differing: UsageError | None = None
    # What tells searches apart at first sight; of studies that agree in it, all else is compared.
    first = {"supernet": sources.net.name, "algorithm": asked.algorithm, "seed": asked.seed}
    for record in reversed(store.studies()):
        begun = record.settings.get("search") if isinstance(record.settings, dict) else None
        if not isinstance(begun, dict) or any(begun.get(name) != value for name, value in first.items()):
            continue
        try:
            _check(record, requested, sources, store)
        except UsageError as error:
            differing = differing or error
            continue
        return record.name
    if differing is not None:
        raise differing
    Plan(requested({}), sources)  # what cannot be is said first
    raise UsageError(
        f"resume: {store.name} has no study of {sources.net.name} by {asked.algorithm} with seed {asked.seed}; leave "
        "out resume (--resume) to begin one"
    )


def _check(
    record: StudyRecord, requested: Callable[[Mapping[str, Any]], Request], sources: Sources, store: Store
) -> None:
    """Raise ``UsageError`` where a study is of another search, or is damaged."""
    record_of(store, record.name, sources.net)
    plan = Plan(requested(record.settings["search"]), sources)
    check_same(record, plan.settings(), (*plan.objectives, *plan.limited))
