"""Transfer between measured tables, where nothing has to be searched or measured.

Nothing is searched and nothing measured. The shared rows are all sub-networks that every table has, and a platform's
front is the front of all of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwnas import backends
from hwnas.harness.platform import parse
from hwnas.latency_luts.lookup import Lookup
from hwnas.search.hypervolume import non_dominated
from hwnas.search.objectives import Sources, values_of
from hwnas.search.sampling import row_keys
from hwnas.search.study.constraints import total_violation
from hwnas.search.study.plan import Plan
from hwnas.search.study.request import Request
from hwnas.supernets.errors import UsageError
from hwnas.supernets.space import BoolArray, FloatArray, IntArray
from hwnas.supernets.supernet import SuperNetwork


def all_tabulated(places: Sequence[str]) -> bool:
    """Tell whether every platform is a measured table."""
    return all(isinstance(backends.get(parse(place).backend), backends.Tabulated) for place in places)


def in_every_table(net: SuperNetwork, places: Sequence[str]) -> tuple[IntArray, FloatArray]:
    """Return the sub-networks that every table has, ``(n, n_var)``, and their latencies, ``(n, n_platforms)`` seconds.

    Raises:
        UsageError: there are fewer than two.
    """
    lookups = [_lookup(net, place) for place in places]
    common = set(row_keys(lookups[0].vectors))
    for lookup in lookups[1:]:
        common &= set(row_keys(lookup.vectors))
    if len(common) < 2:
        tables = ", ".join(places)
        raise UsageError(f"transfer: expected two sub-networks or more in all tables, got {len(common)}: {tables}")
    first = lookups[0].vectors
    X = first[[key in common for key in row_keys(first)]]
    return X, np.column_stack([lookup(X) for lookup in lookups])


def allowed(sources: Sources, constraints: Sequence[str], X: IntArray, quality: FloatArray) -> BoolArray:
    """Return which sub-networks meet the constraints on a platform, ``(n,)``.

    Args:
        sources: of the platform and of the quality.
        constraints: like "latency<=20ms".
        X: the sub-networks, ``(n, n_var)``.
        quality: the quality of each, ``(n,)``.

    Raises:
        UsageError: a constraint cannot be read, or nothing says how far it is met.
    """
    plan = Plan(Request("", 0, constraints=constraints), sources)
    known, names = {sources.quality.metric: quality}, {one.name for one in plan.constraints}
    others = [one for one in plan.task.quantities if one.name in names - known.keys()]
    values = {**known, **{one.name: values_of(one, X) for one in others}}
    return np.asarray(total_violation(plan.constraints, values, len(X)) == 0)


def fronts(latency: FloatArray, loss: FloatArray, within: BoolArray) -> BoolArray:
    """Return which rows are on each platform's front, ``(n, n_platforms)``; a row with a nan is on none.

    Args:
        latency: ``(n, n_platforms)``.
        loss: ``(n,)``, minimised.
        within: which rows meet the constraints on each platform, ``(n, n_platforms)``; others are on no front.
    """
    columns = np.where(within, latency, np.nan).T
    return np.column_stack([non_dominated(np.column_stack([column, loss])) for column in columns])


def _lookup(net: SuperNetwork, place: str) -> Lookup:
    platform = parse(place)
    backend = backends.get(platform.backend)
    assert isinstance(backend, backends.Tabulated)  # noqa: S101 - see all_tabulated
    return backend.lookup(net, platform.settings)
