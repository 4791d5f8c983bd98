"""Studies: ``search`` runs or resumes one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from hwnas.harness.measurement.protocol import THOROUGH
from hwnas.search.algorithm import Algorithm
from hwnas.search.objectives import Sources
from hwnas.search.objectives.rows import check_searchable
from hwnas.search.study.archive import Archive, Evaluation
from hwnas.search.study.clock import Clock
from hwnas.search.study.conclusion import conclude, effort_of, final_size, in_full
from hwnas.search.study.interrupted import INTERRUPTED, SearchInterrupted, interruptible
from hwnas.search.study.latest import latest
from hwnas.search.study.loop import Loop
from hwnas.search.study.origins import spelled
from hwnas.search.study.own import OwnObjective
from hwnas.search.study.place import Place, Placed
from hwnas.search.study.plan import Plan
from hwnas.search.study.request import Request
from hwnas.search.study.result import ObjectiveLabel, Study
from hwnas.search.study.stopping import Stop, stop_rule
from hwnas.search.study.stored import StudyCheckpoint, load
from hwnas.search.study.warm_start import WarmStart
from hwnas.search.study.window import startable, window_of
from hwnas.search.words import troubled
from hwnas.supernets.errors import UsageError
from hwnas.supernets.given import as_int
from hwnas.supernets.supernet import SuperNetwork

if TYPE_CHECKING:
    from hwnas.harness.measurement.request import Given
    from hwnas.harness.platform import Platform
    from hwnas.harness.quality import QualityChoice, QualityOptions
    from hwnas.harness.store import Store

__all__ = ["ObjectiveLabel", "SearchInterrupted", "SearchProgress", "Study", "load", "search"]


@dataclass(frozen=True)
class SearchProgress:
    """How far a search is.

    Attributes:
        study: its name; with it, an interrupted search is resumed or loaded.
        done: evaluations.
        total: the most there will be.
        hypervolume: of the front so far.
        best: the best evaluation under the constraints, by the first objective that has none; ``None`` without
            constraints, and where nothing meets them yet.
        elapsed_s: since this run began.
        measuring: what the measurer reports of the batch under way, else ``None``.
        origins: what the search starts from, in a few words each.
        remarks: what is to be said of what was asked for, a sentence each.
        failing: that all evaluations so far have failed, and why, in a line; "" where one has not, or there are few.
    """

    study: str
    done: int
    total: int
    hypervolume: float
    best: Evaluation | None
    elapsed_s: float
    measuring: Any = None
    origins: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    failing: str = ""


# One or two networks may fail, and the others not.
_FEW = 4

Report = Callable[[SearchProgress], None]


def search(  # noqa: PLR0913 - every choice of a search has its name here, and only here
    net: SuperNetwork,
    platform: Platform | str | None = None,
    *,
    quality: QualityChoice | None = None,
    quality_options: QualityOptions | None = None,
    algorithm: str = "linas",
    evals: int = 150,
    seed: int = 0,
    objectives: Sequence[str] | None = None,
    constraints: Sequence[str] = (),
    store: Store | None = None,
    study: str | None = None,
    resume: bool = False,
    preset: str | None = None,
    settings: Mapping[str, Any] | None = None,
    reference: Mapping[str, float] | None = None,
    target: float | None = None,
    plateau: int | None = None,
    warm_start: Study | str | None = None,
    transfer_from: str | Sequence[str] | None = None,
    parallel: int | None = None,
    protocol: Given = None,
    wait_s: float | None = 0.0,
    effort: str | None = None,
    final_front: int | None = None,
    progress: Report | None = None,
) -> Study:
    """Search a super-network.

    Args:
        net: the super-network.
        platform: where latency is known or measured; needed where latency is an objective.
        quality: the quality source, or a function of a sub-network's module and config; ``None``: the super-network's
            own source.
        quality_options: for a source that runs sub-networks: which weights, on how much of the data.
        algorithm: as registered in ``hwnas.search.algorithms``.
        evals: the most evaluations, those of a resumed study among them. A study may be resumed with more.
        seed: of all randomness: the same seed and the same measurements give the same evaluations.
        objectives: names; ``None``: latency and the quality.
        constraints: like "latency<=20ms", "top1>=76%", "macs<=300M".
        store: where measurements and evaluations are stored, each as soon as it is there; ``None``: nowhere.
        study: its name; ``None``: a fresh one.
        resume: go on with the study of that name; where none is named, with the latest one that was begun with the same
            settings. Its evaluations are told to the algorithm again, none is repeated.
        preset: named settings of the algorithm ("paper").
        settings: the algorithm's own settings.
        reference: where hypervolume is measured from, by objective, in its unit; ``None``: see
            ``hwnas.search.study.stopping.reference_default``.
        target: stop when the front dominates this hypervolume.
        plateau: stop when so many evaluations added less than 0.1 % to the hypervolume.
        warm_start: a study, or the name of one in the store, whose front is evaluated first.
        transfer_from: what the search starts from, one source or several: a study in the store, a platform, or "known",
            which stands for all that the store has of the super-network. What a study has found of accuracy, the same
            quality on whatever platform, is learned as if this search had found it; latencies elsewhere are what the
            predictor of latency starts from, see ``hwnas.search.predictors.adapt``. Only algorithms with such
            predictors take it.
        parallel: batches that are measured at a time; ``None``: one more than the farm has devices for the platform, so
            that none waits, or one where there is one device. A study keeps the number that it was begun with.
        protocol: what is asked of the timing protocol, see ``hwnas.harness.measure.Measurer``; a study keeps it.
        wait_s: how long to wait where other programs keep the CPUs busy; see ``hwnas.harness.measure.Measurer``.
        effort: of measuring while it searches: "quick", "normal" or "thorough"; ``None``: quick, or that of the study
            that is resumed.
        final_front: the most sub-networks that are measured again at its end, thoroughly and side by side: those that
            may be on the front. 0: none. ``None``: 20 where something is measured, and with less effort than that.
        progress: is called with a ``SearchProgress`` after each batch, and while a batch is measured.

    Returns:
        The study.

    Raises:
        UsageError: something was asked for that cannot be, or the study is there already, or differs from the one to
            resume.
        SearchInterrupted: the process got a ``KeyboardInterrupt``, such as Ctrl-C. It has the study so far, and the
            store has everything that was evaluated.
    """
    evals = as_int("evals", evals)
    asked = Request(
        algorithm, seed, objectives, constraints, preset, dict(settings or {}), reference,
        transfer_from=spelled(transfer_from),
    )  # fmt: skip
    warm = WarmStart(warm_start, store, net)
    requested = partial(_requested, asked, warm)
    reading = partial(Sources, net, platform, quality, store=store, quality_options=quality_options, wait_s=wait_s)
    if resume and study is None and store is not None:
        with reading(protocol=protocol, effort=effort_of(effort, protocol, {})) as sources:
            study = latest(asked, requested, sources, store)
    place = Place(store, study, resume, evals, net)
    run = _Run(place, evals, progress, parallel)
    measuring = partial(reading, progress=run.report, since=place.since)
    with measuring(protocol=protocol, effort=effort_of(effort, protocol, place.begun)) as sources:
        plan = Plan(requested(place.begun), sources)
        _check_evaluated(plan)
        if not place.begun:
            plan.transfer.check(all_predicted=asked.settings.get("exact") is False)
            check_searchable((*plan.objectives, *plan.limited), net.space)
        remarks = warm.moved_on(place.begun)
        found = run.go(plan, plan.algorithm(evals), stop_rule(target, plateau, plan.reference), remarks)
        size = final_size(plan, final_front)
    if not size:
        return found
    # What measured by now is closed: the device is free, and a process that has prepared nothing else measures.
    with interruptible(lambda: found):
        in_the_end = partial(measuring, protocol=in_full(protocol), effort=THOROUGH)
        return conclude(found, plan, run.checkpoint, size, in_the_end, final_front or 0)


def _check_evaluated(plan: Plan) -> None:
    """Raise ``UsageError`` where an objective is left to the caller, whom a search does not ask."""
    own = [one.name for one in plan.objectives if isinstance(one, OwnObjective)]
    if own:
        raise UsageError(
            f"objectives: {', '.join(own)} is evaluated by the caller, whom a search does not ask; name one that hwnas "
            "evaluates, or write your own loop with hwnas.create_study"
        )


class _Run:
    """One call of ``search``: what drives the loop, and what is reported of it.

    Attributes:
        checkpoint: what the store has of the study, once it has a place there.
    """

    def __init__(self, place: Place, evals: int, progress: Report | None, parallel: int | None) -> None:
        self._place = place
        self._evals = evals
        self._progress = progress
        self._parallel = parallel
        self._start = time.perf_counter()
        self._plan: Plan | None = None
        self._archive: Archive | None = None
        self._placed: Placed | None = None
        self.checkpoint = StudyCheckpoint()

    def go(self, plan: Plan, algorithm: Algorithm, stop: Stop, remarks: Sequence[str]) -> Study:
        """Run the loop to its end and return the study."""
        self._plan = plan
        measured, begun = startable(plan.objectives), self._place.begun
        window = window_of(measured, self._parallel, int(begun.get("parallel", 1)) if begun else None)
        # One batch at a time is how studies always were.
        settings = plan.settings() | ({"parallel": window} if window > 1 else {})
        self._placed = placed = self._place.take(plan, settings, remarks)
        self.checkpoint = placed.checkpoint
        archive = self._archive = plan.archive()
        clock = Clock()
        loop = Loop(
            plan.task, algorithm, archive, placed.checkpoint, clock, plan.drifts, window=window, measured=measured
        )

        def so_far(stopped: str = INTERRUPTED) -> Study:
            spent, models = clock.spent() | plan.timings, placed.checkpoint.models
            return Study(placed.name, placed.settings, placed.facts, archive, spent, stopped, models)

        with interruptible(so_far):
            return so_far(loop.run(self._evals, stop, self.report))

    # --- reporting ---------------------------------------------------------------------------------------------------

    def report(self, measuring: Any = None) -> None:
        """Tell how far the search is.

        Args:
            measuring: what the measurer reports of the batch under way.
        """
        plan, archive, placed = self._plan, self._archive, self._placed
        if self._progress is None or plan is None or archive is None or placed is None:
            return
        hypervolume = archive.hypervolume(plan.reference.of(archive))
        elapsed_s = time.perf_counter() - self._start
        best, whence = _best(plan, archive), plan.transfer.described
        done, said, failing = len(archive), tuple(placed.facts.get("remarks", ())), _failing(archive)
        self._progress(
            SearchProgress(
                placed.name, done, self._evals, hypervolume, best, elapsed_s, measuring, whence, said, failing
            )
        )


def _failing(archive: Archive) -> str:
    """Say that all evaluations have failed, and why; "" where one has not, or there are too few to tell."""
    # Asked at every step: it ends at the first that has not failed.
    if len(archive) < _FEW or any(one.status != "failed" for one in archive):
        return ""
    return f"so far {troubled('failed', [one.reason for one in archive], len(archive), 'evaluations')}"


def _best(plan: Plan, archive: Archive) -> Evaluation | None:
    """Return the best evaluation under the constraints, by the first objective that has none."""
    limited = {one.name for one in plan.constraints}
    front = [archive[index] for index in archive.front]
    if not limited or not front:
        return None
    column = next((number for number, one in enumerate(plan.objectives) if one.name not in limited), 0)
    return min(front, key=lambda one: (archive.row(one.index)[column], one.index))


def _requested(asked: Request, warm: WarmStart, begun: Mapping[str, Any]) -> Request:
    """Return what is asked for, with what other studies had found when the study that is resumed began."""
    known, until = begun.get("transfer_known"), begun.get("transfer_until")
    return warm.put_into(replace(asked, transfer_known=known, transfer_until=until), begun)
