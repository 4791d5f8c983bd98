"""Compare algorithms on one problem over several seeds: hypervolume by number of evaluations.

``compare`` runs them; ``hwnas.search.comparison.result`` holds what comes out, and its JSON.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.search.comparison.result import Comparison, Contestant, check_marks
from hwnas.search.comparison.together import Together, measured_together
from hwnas.search.processes import side_by_side
from hwnas.search.study.continued import continued
from hwnas.search.study.plan import preview
from hwnas.search.study.run import Study
from hwnas.supernets.errors import HwnasError, UsageError
from hwnas.supernets.given import as_int, several
from hwnas.supernets.supernet import SuperNetwork

if TYPE_CHECKING:
    from hwnas.harness.measurement.request import Given
    from hwnas.harness.platform import Platform
    from hwnas.harness.quality import QualityChoice, QualityOptions
    from hwnas.harness.store import Store

# Sub-networks whose counts are compared, to tell super-networks of one name apart.
_SAMPLES = 8

__all__ = ["CompareProgress", "Comparison", "Contestant", "compare"]


@dataclass(frozen=True)
class CompareProgress:
    """How far a comparison is.

    Attributes:
        done: finished searches.
        total: all of them.
        last: what finished last ("linas, seed 3"); "" at the beginning.
        searching: what the search under way reports, where they run one after the other, else ``None``.
        measuring: what the measurer reports of the fronts of all, when they are measured together, else ``None``.
    """

    done: int
    total: int
    last: str
    searching: Any = None
    measuring: Any = None


@dataclass(frozen=True)
class _Job:
    """One search, as it is handed to another process."""

    contestant: Contestant
    seed: int
    options: Mapping[str, Any]

    @property
    def name(self) -> str:
        return f"{self.contestant.name}, seed {self.seed}"

    def run(self, net: SuperNetwork, store: Store | None = None, **more: Any) -> Study:
        one = self.contestant
        options = {"algorithm": one.algorithm, "preset": one.preset, "seed": self.seed, **self.options, **more}
        return continued(net, store=store, part_of="compare", **options)


def compare(  # noqa: PLR0913 - every choice of a comparison has its name here, and only here
    net: SuperNetwork,
    platform: Platform | str | None = None,
    *,
    algorithms: Sequence[str],
    evals: int = 150,
    seeds: int | Sequence[int] = 5,
    quality: QualityChoice | None = None,
    quality_options: QualityOptions | None = None,
    objectives: Sequence[str] | None = None,
    constraints: Sequence[str] = (),
    reference: Mapping[str, float] | None = None,
    best: float | None = None,
    thresholds: Sequence[float] | None = None,
    protocol: Given = None,
    wait_s: float | None = 0.0,
    store: Store | None = None,
    workers: int | None = None,
    progress: Callable[[CompareProgress], None] | None = None,
) -> Comparison:
    """Run each algorithm with each seed on the same problem.

    Where something is measured and there is a store, the same call goes on where an earlier one was interrupted.
    Where no objective has to be measured, the searches run in parallel processes of one thread each; how many there
    are does not change what they find. Such a process makes the super-network by its name: those of one that is
    none of the registered ones run in this process, one after the other. Where something is measured they run one
    after the other and share the measurements: a sub-network that two of them evaluate is measured once. At the end
    all their fronts are measured side by side, in full: each search had another moment of the machine.

    Args:
        net: the super-network.
        platform: where latency is known or measured.
        algorithms: names, or ``NAME:PRESET``.
        evals: evaluations of each search.
        seeds: how many (0, 1, ...), or which.
        quality: as for ``search``.
        quality_options: as for ``search``.
        objectives: as for ``search``.
        constraints: as for ``search``.
        reference: where hypervolume is measured from, by objective; ``None``: as for ``search``, but what is measured
            has the worst value of all searches.
        best: the hypervolume that counts as 1; ``None``: that of all searches' fronts together.
        thresholds: normalised hypervolumes; ``None``: what each algorithm but the best one reached.
        protocol: as for ``search``.
        wait_s: as for ``search``.
        store: for measurements and measured studies; ``None``: the searches share measurements, then discard them.
        workers: processes; ``None``: as many as CPUs may be used; 1: none but this one. A script that lets there be
            more needs ``if __name__ == "__main__":``, as everywhere in Python.
        progress: is called with a ``CompareProgress``.

    Raises:
        UsageError: something was asked for that cannot be.
        WorkError: a process died.
    """
    check_marks(best, thresholds)  # now, not after the searches
    contestants = _contestants(several("algorithms", algorithms, "linas"))
    chosen, evals = _seeds(seeds), as_int("evals", evals)
    options = {
        "platform": platform,
        "quality": quality,
        "quality_options": quality_options,
        "evals": evals,
        "objectives": objectives,
        "constraints": tuple(several("constraints", constraints, "latency<=20ms")),
        "reference": reference,
        "protocol": protocol,
        "wait_s": wait_s,
    }
    jobs = [_Job(contestant, seed, options) for contestant in contestants for seed in chosen]
    notify = progress or (lambda _: None)
    costs_nothing = preview(net, options).costs_nothing
    notify(CompareProgress(0, len(jobs), ""))
    if not costs_nothing:
        with contextlib.nullcontext(store) if store is not None else _passing_store() as shared:
            found = _measured(net, jobs, options, shared, notify)
    elif workers != 1 and _made_by_name(net):
        found = Together(_in_parallel(net, jobs, workers, notify))
    else:
        found = Together(_one_by_one(net, jobs, None, notify))
    grouped = {
        one: [study for job, study in zip(jobs, found.studies, strict=True) if job.contestant == one]
        for one in contestants
    }
    return Comparison.of(grouped, evals, best, thresholds, found.sub_networks)


def _contestants(names: Sequence[str]) -> tuple[Contestant, ...]:
    from hwnas.search import algorithms

    made = tuple(Contestant.parse(name) for name in names)
    if not made:
        raise UsageError(f"algorithms: expected at least one of {', '.join(algorithms.names())}, got none")
    if len(set(made)) < len(made):
        raise UsageError(f"algorithms: one is given twice: {', '.join(names)}")
    for one in made:
        algorithms.registry.provider(one.algorithm)
    return made


def _seeds(seeds: int | Sequence[int]) -> tuple[int, ...]:
    given = several("seeds", range(int(seeds)) if isinstance(seeds, Integral) else seeds, 0)
    chosen = tuple(as_int("seeds", seed, 0) for seed in given)
    if not chosen or len(set(chosen)) < len(chosen):
        raise UsageError(f"seeds: expected at least one, none twice, got {seeds}")
    return chosen


# --- running ----------------------------------------------------------------------------------------------------------


def _measured(
    net: SuperNetwork,
    jobs: Sequence[_Job],
    options: Mapping[str, Any],
    store: Store,
    notify: Callable[[CompareProgress], None],
) -> Together:
    """Run searches that measure one after the other, then measure all their fronts together."""
    studies, n = _one_by_one(net, jobs, store, notify), len(jobs)

    def show(event: Any) -> None:
        notify(CompareProgress(n, n, jobs[-1].name, measuring=event))

    return measured_together(net, studies, options, store, show)


def _one_by_one(
    net: SuperNetwork, jobs: Sequence[_Job], store: Store | None, notify: Callable[[CompareProgress], None]
) -> list[Study]:
    studies: list[Study] = []
    last = ""
    for number, job in enumerate(jobs):

        def show(event: Any, number: int = number, last: str = last) -> None:
            notify(CompareProgress(number, len(jobs), last, event))

        studies.append(job.run(net, store=store, progress=show))
        last = job.name
        notify(CompareProgress(len(studies), len(jobs), last))
    return studies


def _passing_store() -> Store:
    from hwnas.harness.store import Store

    return Store.open(":memory:")


def _in_parallel(
    net: SuperNetwork, jobs: Sequence[_Job], workers: int | None, notify: Callable[[CompareProgress], None]
) -> list[Study]:
    tasks = {job.name: (net.name, job) for job in jobs}
    done: dict[str, Study] = {}
    for name, study in side_by_side(_run, tasks, workers):
        done[name] = study
        notify(CompareProgress(len(done), len(jobs), name))
    return [done[job.name] for job in jobs]


def _made_by_name(net: SuperNetwork) -> bool:
    """Return whether another process makes this very super-network by its name, not none or another one."""
    from hwnas import supernets

    try:
        made = supernets.get(net.name)
    except HwnasError:
        return False
    if type(made) is not type(net) or made.space.choices != net.space.choices:
        return False
    X = net.space.sample(_SAMPLES, 0)
    return all(np.array_equal(one(X), other(X)) for one, other in ((made.macs, net.macs), (made.params, net.params)))


def _run(net: str, job: _Job) -> Study:
    from hwnas import supernets

    return job.run(supernets.get(net))
