"""The end of a search that measured briefly: what may be on the front is measured again, in full."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.harness.measurement.protocol import QUICK, THOROUGH, ProtocolChoice, TimingProtocol
from hwnas.harness.project_file import requested
from hwnas.search.objectives import Sources, make
from hwnas.search.study.clock import Clock
from hwnas.search.study.final import DEFAULT_SIZE, FinalFront, candidates, measured_again
from hwnas.search.study.plan import Plan
from hwnas.search.study.result import Study
from hwnas.search.study.stored import StudyCheckpoint
from hwnas.supernets.errors import UsageError
from hwnas.supernets.given import as_int

if TYPE_CHECKING:
    from hwnas.harness.measurement.request import Given


def effort_of(given: str | None, protocol: Given, begun: Mapping[str, Any]) -> str:
    """Return the effort of measuring while a search goes on.

    Args:
        given: what is asked for; ``None``: nothing.
        protocol: what is asked of the timing protocol; an effort may be in it.
        begun: the settings of the study that is resumed, which keeps its own; empty for a new one, which is quick.
    """
    if isinstance(protocol, TimingProtocol | ProtocolChoice):
        return protocol.effort
    asked = given or requested(protocol).get("effort")
    return str(asked or (begun.get("effort", THOROUGH) if begun else QUICK))


def in_full(protocol: Given) -> Given:
    """Return what is asked of the protocol that measures in full: nothing by a whole protocol of less effort."""
    brief = isinstance(protocol, TimingProtocol | ProtocolChoice) and protocol.effort != THOROUGH
    return None if brief else protocol


def final_size(plan: Plan, given: int | None) -> int:
    """Return how many sub-networks are measured again at the end, at most; 0 where nothing is measured at all."""
    if given is not None and as_int("final_front", given) < 0:
        raise UsageError(f"final_front: expected 0 or more sub-networks, got {given}")
    if given is not None:
        return given if plan.drifts or plan.brief else 0
    return DEFAULT_SIZE if plan.brief else 0


def is_whole(study: Study, size: int | None = None) -> bool:
    """Return whether a study with all its evaluations has nothing left to measure: its final front is known.

    Args:
        study: it.
        size: how many sub-networks its final front is to have, as it was asked for; 0: there is none.
    """
    return size == 0 or "effort" not in study.settings or "final" in study.facts


def conclude(
    study: Study, plan: Plan, checkpoint: StudyCheckpoint, size: int, sources: Callable[[], Sources], least: int = 0
) -> Study:
    """Measure again what may be on the front of a study that has ended, unless that was done; return it with that.

    Args:
        study: without it.
        plan: of the search.
        checkpoint: what the store has of the study.
        size: the most sub-networks.
        sources: opens what measures.
        least: of as many a final front that is stored has to be, unless no more may be on the front.
    """
    stored = checkpoint.final
    if stored is not None and stored.of(study.archive) and (not stored.left_out or len(stored.found) >= least):
        return study.concluded(stored)
    likely = candidates(study.archive, plan.task, plan.drifts, plan.request.seed)
    if not likely:
        return study
    indices = likely[:size]
    X = np.array([study.archive[index].vector for index in indices], dtype=np.int64)
    clock = Clock()
    names = dict.fromkeys([*plan.from_measurements, *sorted(plan.brief)])
    with sources() as opened, clock.measuring():
        again = {one.name: one.evaluate(X) for one in make(names, opened)}
        timings = opened.timings
    found = measured_again([study.archive[index] for index in indices], plan.task, again)
    final = FinalFront(THOROUGH, len(study.archive), found, len(likely) - len(indices))
    checkpoint.conclude(final)
    spent = {**study.time_s, "final": clock.measure_s, "total": study.time_s["total"] + clock.measure_s}
    spent |= {phase: spent.get(phase, 0.0) + seconds for phase, seconds in timings.items()}
    return replace(study, time_s=spent).concluded(final)
