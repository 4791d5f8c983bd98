"""The searches of an experiment: each is a study in the store, and is run where it is missing or incomplete.

Where no objective has to be measured, they run in parallel processes of one thread each; where one is measured, they
run one after the other. A run that was killed goes on with the studies that it finds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hwnas import supernets
from hwnas.experiments.bench import Workspace
from hwnas.experiments.files import Files, platform_files, quality_files, unused
from hwnas.experiments.parts import digest
from hwnas.experiments.problem import ExperimentProblem, Use
from hwnas.harness.platform import parse
from hwnas.harness.store import Store
from hwnas.search.comparison.together import measured_together
from hwnas.search.processes import side_by_side
from hwnas.search.study.conclusion import is_whole
from hwnas.search.study.continued import part
from hwnas.search.study.plan import preview
from hwnas.search.study.result import Study
from hwnas.search.study.run import search
from hwnas.search.study.stored import load
from hwnas.supernets.contents import of_records
from hwnas.supernets.supernet import SuperNetwork

# A study's front is not measured again alone: every kind of experiment measures those that it compares together.
_FINAL = 0
# A search on a known platform has another seed than the one that starts from it: this much is added.
_OTHERS = 1000


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

    problem: ExperimentProblem
    use: Use
    label: str
    seed: int
    evals: int
    warm_start: str | None = None

    def study(self, run: str, files: Files) -> str:
        """Return its name in the store: what decides it is in it, so that an edited experiment begins anew.

        Args:
            run: the experiment and its scale.
            files: of the problem; what they hold decides, not what they are called.
        """
        decisive = {"use": self.use.decisive(), "evals": self.evals, "warm_start": self.warm_start}
        decided = decisive | self.problem.decisive() | files.decisive | self._known()
        return f"{run}: {self.label}, seed {self.seed} ({digest(decided)})"

    def _known(self) -> dict[str, Any]:
        """Return the known platforms that it starts from, by what their files hold; nothing where there are none."""
        from hwnas.harness.pinned import identity, pinned

        if not self._platforms:
            return {}
        known = {"known": [identity(pinned(parse(one))) for one in self._platforms]}
        return known if self.use.searched is None else known | {"searched": self.use.searched}

    @property
    def _platforms(self) -> tuple[str, ...]:
        """The known platforms that it starts from."""
        return self.problem.known[: self.use.known]

    def _before(self) -> list[Search]:
        """Return the searches on known platforms that it starts from."""
        if self.use.searched is None:
            return []
        evals, use = self.use.searched, replace(self.use, known=0, searched=None)
        on = [replace(self.problem, platform=platform, known=()) for platform in self._platforms]
        return [Search(one, use, f"{self.label}: {one.platform}", _OTHERS + self.seed, evals) for one in on]

    @property
    def what(self) -> str:
        """How it is reported."""
        return f"{self.label}, seed {self.seed}"

    def go(self, store: Store, run: str, files: Files) -> Study:
        """Run it, or what is left of it; see ``study``.

        Raises:
            ChangedError: a file was changed since it was looked at.
        """
        name, there = part(store, self.study(run, files), self.evals)
        net = supernets.get(self.problem.supernet)
        study = load(store, name, net) if there is not None and there.evaluations >= self.evals else None
        if study is None or not is_whole(study, _FINAL):
            before = [one.go(store, run, examined(one.problem).files).name for one in self._before()]
            study = self._searched(net, store, name, before or self._platforms, resume=there is not None)
        files.check(of_records(study.settings.get("contents", {})))
        return study

    def _searched(
        self, net: SuperNetwork, store: Store, name: str, transfer_from: Sequence[str], resume: bool
    ) -> Study:
        return search(
            net,
            algorithm=self.use.algorithm,
            preset=self.use.preset,
            settings=self.use.settings,
            evals=self.evals,
            seed=self.seed,
            store=store,
            study=name,
            resume=resume,
            warm_start=self.warm_start,
            transfer_from=list(transfer_from) or None,
            final_front=_FINAL,
            **self.problem.options(),
        )


@dataclass(frozen=True)
class Examined:
    """A problem, looked at before anything takes time.

    Attributes:
        costs_nothing: nothing has to be measured.
        files: that it names.
    """

    costs_nothing: bool
    files: Files


def examined(problem: ExperimentProblem) -> Examined:
    """Look at a problem; raises what is wrong with it."""
    seen = preview(supernets.get(problem.supernet), problem.options())
    used, where = seen.used, None if problem.platform is None else parse(problem.platform)
    there = platform_files(used.platform) if used.platform else unused(platform_files(where))
    return Examined(seen.costs_nothing, there | quality_files(used.quality))


def run_all(searches: Sequence[Search], bench: Workspace) -> list[Study]:
    """Run the searches that the store does not have yet, and return all, in order.

    Raises:
        UsageError: a problem cannot be searched so.
        ChangedError: a file was changed since it was looked at.
        WorkError: a process died.
    """
    problems = {id(one.problem): one.problem for one in searches}
    looked = {number: examined(problem) for number, problem in problems.items()}
    tasks = [_Task(one, looked[id(one.problem)], bench.name) for one in searches]
    together = [task for task in tasks if task.examined.costs_nothing]
    with Store.open(bench.store) as store:
        total, done = len(tasks), 0
        for task in _side_by_side(together, bench, store):
            done += 1
            bench.step(task.search.what, done, total)
        for task in tasks:
            if not task.examined.costs_nothing:
                bench.step(task.search.what, done, total)
                task.go(store)
                done += 1
                bench.step(task.search.what, done, total)
        return [task.go(store) for task in tasks]


@dataclass(frozen=True)
class _Task:
    """A search with what was looked at for it, as it is handed to another process."""

    search: Search
    examined: Examined
    run: str

    def go(self, store: Store) -> Study:
        return self.search.go(store, self.run, self.examined.files)


def _side_by_side(tasks: Sequence[_Task], bench: Workspace, store: Store) -> Iterator[_Task]:
    """Run searches that measure nothing in parallel processes; yield each as soon as it is complete."""
    records = {one.name: one.evaluations for one in store.studies()}
    left = []
    for task in tasks:
        if records.get(task.search.study(task.run, task.examined.files), 0) == task.search.evals:
            yield task
        else:
            left.append(task)
    named = {task.search.what: (task, bench.store) for task in left}
    for what, _ in side_by_side(_go, named, bench.workers):
        yield named[what][0]


def _go(task: _Task, store: str) -> None:
    with Store.open(store) as opened:
        task.go(opened)


def fronts_together(
    problem: ExperimentProblem, studies: Mapping[str, list[Study]], bench: Workspace
) -> tuple[dict[str, list[Study]], int]:
    """Measure the fronts of a problem's studies side by side; return the studies with that, and of how many networks.

    Where nothing is measured they are returned as they are, and 0.
    """
    if examined(problem).costs_nothing:
        return dict(studies), 0

    def report(event: Any) -> None:
        bench.step(f"all fronts together: {event.message}", event.done, event.total)

    every = [study for runs in studies.values() for study in runs]
    with Store.open(bench.store) as store:
        found = measured_together(supernets.get(problem.supernet), every, problem.options(), store, report)
    each = iter(found.studies)
    return {label: [next(each) for _ in runs] for label, runs in studies.items()}, found.sub_networks


def seeds_of(use: Use, seeds: int) -> range:
    """Return the seeds of an algorithm's searches."""
    return range(use.seeds or seeds)


def searches_of(
    name: str, problem: ExperimentProblem, uses: Mapping[str, Use], evals: int, seeds: int
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
