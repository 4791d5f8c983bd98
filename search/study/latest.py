"""The study that a search goes on with where none is named: the latest that was begun with the same settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnas.search.objectives import Sources
from hwnas.search.study.plan import Plan, Request
from hwnas.search.study.same import check_same
from hwnas.supernets.errors import UsageError

if TYPE_CHECKING:
    from hwnas.harness.store import Store

# What tells searches apart at first sight; of studies that agree in it, all else is compared.
_FIRST = ("supernet", "algorithm", "seed")


def latest(request: Request, sources: Sources, store: Store) -> str:
    """Return the name of the latest study of the same search.

    Args:
        request: what is asked for.
        sources: what its objectives read from.
        store: has the studies.

    Raises:
        UsageError: there is none. Where the latest study of the same super-network, algorithm and seed differs in other
            settings, it says in which.
    """
    plan = Plan(request, sources)
    settings = plan.settings()
    differing: UsageError | None = None
    for record in reversed(store.studies()):
        begun = record.settings.get("search") if isinstance(record.settings, dict) else None
        if not isinstance(begun, dict) or any(begun.get(name) != settings[name] for name in _FIRST):
            continue
        try:
            check_same(record, settings, (*plan.objectives, *plan.limited))
        except UsageError as error:
            differing = differing or error
            continue
        return record.name
    if differing is not None:
        raise differing
    raise UsageError(
        f"resume: {store.name} has no study of {settings['supernet']} by {settings['algorithm']} with seed "
        f"{settings['seed']}; leave out resume (--resume) to begin one"
    )
