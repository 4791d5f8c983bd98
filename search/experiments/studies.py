"""The searches of an experiment: each a study in the store, run where it is not there yet or not whole.

Where every objective is free they run side by side, in processes of one thread each; where something is measured they
run one after the other. A run that was killed goes on with the studies that it finds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import supernets
from harness.store import Store
from search.experiments.bench import Bench
from search.experiments.parts import digest
from search.experiments.problem import Problem, Use
from search.objectives import Sources
from search.plan import Plan, Request
from search.processes import side_by_side
from search.result import Study
from search.stored import load
from search.study import search


@dataclass(frozen=True)
class Search:
    """One search of an experiment.

    Attributes:
        problem: what is searched.
        use: the algorithm.
        label: what it is called: the problem and the algorithm.
        seed: of the search.
        evals: how many evaluations.
        warm_start: the name of the study whose front is evaluated first; ``None``: none is.
    """

    problem: Problem
    use: Use
    label: str
    seed: int
    evals: int
    warm_start: str | None = None

    def study(self, run: str) -> str:
        """Return its name in the store: what decides it is in it, so that an edited experiment begins anew."""
        decisive = {"use": asdict(self.use), "evals": self.evals, "warm_start": self.warm_start}
        return f"{run}: {self.label}, seed {self.seed} ({digest(decisive | self.problem.decisive())})"

    @property
    def what(self) -> str:
        """How it is reported."""
        return f"{self.label}, seed {self.seed}"

    def go(self, store: Store, run: str) -> Study:
        """Run it, or what is left of it."""
        name = self.study(run)
        there = store.study(name)
        if there is not None and there.evaluations >= self.evals:
            return load(store, name)
        return search(
            supernets.get(self.problem.supernet),
            algorithm=self.use.algorithm,
            preset=self.use.preset,
            settings=self.use.settings,
            evals=self.evals,
            seed=self.seed,
            store=store,
            study=name,
            resume=there is not None,
            warm_start=self.warm_start,
            **self.problem.options(),
        )


def all_free(problem: Problem) -> bool:
    """Tell whether nothing has to be measured; raises what is wrong with the problem before anything takes time."""
    options = problem.options()
    request = Request("", 0, options["objectives"], options["constraints"], reference=options["reference"])
    net = supernets.get(problem.supernet)
    with Sources(net, options["platform"], options["quality"], quality_options=options["quality_options"]) as sources:
        plan = Plan(request, sources)
        return all(one.free for one in (*plan.objectives, *plan.limited))


def run_all(searches: Sequence[Search], bench: Bench) -> list[Study]:
    """Run the searches that the store does not have yet, and return all, in order.

    Raises:
        UsageError: a problem cannot be searched so.
        WorkError: a process died.
    """
    free = {id(one.problem): one.problem for one in searches}
    alone = {number: all_free(problem) for number, problem in free.items()}
    together = [one for one in searches if alone[id(one.problem)]]
    with Store.open(bench.store) as store:
        total, done = len(searches), 0
        for one in _side_by_side(together, bench, store):
            done += 1
            bench.step(one.what, done, total)
        for one in searches:
            if one not in together:
                bench.step(one.what, done, total)
                one.go(store, bench.name)
                done += 1
                bench.step(one.what, done, total)
        return [load(store, one.study(bench.name)) for one in searches]


def _side_by_side(searches: Sequence[Search], bench: Bench, store: Store) -> Iterator[Search]:
    """Run free searches in processes; yield each as soon as it is whole."""
    records = {one.name: one.evaluations for one in store.studies()}
    left = []
    for one in searches:
        if records.get(one.study(bench.name), 0) >= one.evals:
            yield one
        else:
            left.append(one)
    tasks = {one.what: (one, bench.store, bench.name) for one in left}
    for what, _ in side_by_side(_run, tasks, bench.workers):
        yield tasks[what][0]


def _run(one: Search, store: str, run: str) -> None:
    with Store.open(store) as opened:
        one.go(opened, run)


def seeds_of(use: Use, seeds: int) -> range:
    """Return the seeds of an algorithm's searches."""
    return range(use.seeds or seeds)


def searches_of(
    name: str, problem: Problem, uses: Mapping[str, Use], evals: int, seeds: int
) -> dict[str, list[Search]]:
    """Return every search of a problem, by algorithm."""
    return {
        label: [Search(problem, use, f"{name}, {label}", seed, use.evals or evals) for seed in seeds_of(use, seeds)]
        for label, use in uses.items()
    }


def facts_of(study: Study) -> dict[str, Any]:
    """Return where a study's quality is from, for the page; empty where it has none."""
    quality = study.facts["quality"]
    return dict(quality) if quality else {}
