"""Measure the fronts of several searches together, so that none of them gains from the moment in which it was measured.

Each search has had its own minutes of the machine, and on a shared one these differ by more than algorithms do. What is
compared are therefore values of one measurement, side by side and in full.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.harness.measurement.protocol import THOROUGH
from hwnas.search.objectives import Outcome, Sources, make
from hwnas.search.study.conclusion import in_full
from hwnas.search.study.drift import Drift
from hwnas.search.study.final import measured_again
from hwnas.search.study.outcomes import rows_of
from hwnas.search.study.plan import Plan
from hwnas.search.study.request import Request
from hwnas.search.study.result import Study
from hwnas.search.study.snapshots import compared_since
from hwnas.supernets.supernet import SuperNetwork

if TYPE_CHECKING:
    from hwnas.harness.store import Store


@dataclass(frozen=True)
class Together:
    """Studies of one problem, their fronts with values of one measurement.

    Attributes:
        studies: in the order given.
        sub_networks: how many were measured together; 0: nothing of the problem is measured on a platform.
    """

    studies: Sequence[Study]
    sub_networks: int = 0


def measured_together(
    net: SuperNetwork,
    studies: Sequence[Study],
    options: Mapping[str, Any],
    store: Store | None,
    progress: Callable[[Any], None] | None = None,
) -> Together:
    """Measure the fronts of studies that have ended side by side, in full, and return the studies with that.

    What is on no front keeps the values that its search has seen, and counts no more. Values that an earlier call has
    measured of the same studies serve again.

    Args:
        net: their super-network.
        studies: of the same problem.
        options: of the problem, as ``hwnas.search.study.run.search`` takes them.
        store: where measurements and the studies are; ``None``: nowhere.
        progress: is given the measurer's progress.
    """
    request = Request("", 0, options["objectives"], options["constraints"], reference=options["reference"])
    sources = Sources(
        net,
        options["platform"],
        options["quality"],
        store=store,
        progress=progress,
        since=compared_since(store, studies),
        older=False,
        quality_options=options["quality_options"],
        protocol=in_full(options.get("protocol")),
        wait_s=options.get("wait_s", 0.0),
        effort=THOROUGH,
    )
    with sources:
        plan = Plan(request, sources)
        keys = sorted({one.key for study in studies for one in study.front}) if plan.drifts else []
        if not keys:
            return Together(studies)
        X = np.concatenate([net.space.from_key(key) for key in keys])
        objectives = make(plan.from_measurements, sources)
        found = {one.name: at_one_pace(one.evaluate(X), keys) for one in objectives}
        row = {key: number for number, key in enumerate(keys)}
        made = []
        for study in studies:
            rows = [row[one.key] for one in study.front]
            again = {name: rows_of(outcome, rows) for name, outcome in found.items()}
            front = measured_again(study.front, plan.task, again)
            made.append(replace(study, archive=study.archive.forgetting().concluded(front)))
    return Together(made, len(keys))


def at_one_pace(outcome: Outcome, keys: Sequence[str]) -> Outcome:
    """Free values from the machine's drift between batches, where so many were measured that one batch did not do.

    Args:
        outcome: what was measured, beside what.
        keys: of the sub-networks, in its order.
    """
    if not outcome.beside:  # nothing is measured
        return outcome
    drift, bounds = Drift(), outcome.intervals
    for row, key in enumerate(keys):
        interval = None if bounds is None else tuple(bounds[row])
        drift.learn(key, float(outcome.values[row]), outcome.beside[row], interval)
    values = np.array([drift.value(key, value) for key, value in zip(keys, outcome.values, strict=True)])
    shifted = None if bounds is None else bounds * (values / outcome.values)[:, None]
    return replace(outcome, values=values, intervals=shifted)
