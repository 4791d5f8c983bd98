"""A study that its caller drives: ``create_study`` opens one, with ``ask`` and ``tell``.

::

    with create_study(net, "lut:table=note10", objectives=["latency", "energy[mJ]:min", "top1"], evals=60) as study:
        while proposals := study.ask():
            study.tell(proposals, {"energy": [energy_of(one.config) for one in proposals]})
        front = study.result().front

It is stored and resumed as any study is, and asks, evaluates and replays by the same code as ``hwnas.search``
(``loop.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from numbers import Integral
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from hwnas.search.objectives import Outcome, Sources
from hwnas.search.objectives.rows import check_searchable
from hwnas.search.study.archive import Evaluation
from hwnas.search.study.clock import Clock
from hwnas.search.study.loop import Loop
from hwnas.search.study.own import OwnObjective
from hwnas.search.study.place import Place, Placed
from hwnas.search.study.plan import Plan
from hwnas.search.study.request import Request
from hwnas.search.study.result import Study
from hwnas.supernets.errors import UnknownNameError, UsageError, suggestion
from hwnas.supernets.given import as_int
from hwnas.supernets.space import Config, IntArray
from hwnas.supernets.supernet import SuperNetwork

if TYPE_CHECKING:
    from hwnas.harness.measurement.request import Given
    from hwnas.harness.platform import Platform
    from hwnas.harness.quality import QualityChoice, QualityOptions
    from hwnas.harness.store import Store

__all__ = ["OpenStudy", "Proposal", "create_study"]

Values = Mapping[str, Sequence[float | None]]


@dataclass(frozen=True)
class Proposal:
    """A sub-network to evaluate.

    Attributes:
        config: what super-networks and ``hwnas.measure`` take.
        key: its name in the study.
        vector: canonical, ``(n_var,)``.
    """

    config: Config
    key: str
    vector: tuple[int, ...]


def create_study(  # noqa: PLR0913 - every choice of a study has its name here, as in hwnas.search
    net: SuperNetwork,
    platform: Platform | str | None = None,
    *,
    objectives: Sequence[str] | None = None,
    quality: QualityChoice | None = None,
    quality_options: QualityOptions | None = None,
    constraints: Sequence[str] = (),
    algorithm: str = "linas",
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    preset: str | None = None,
    evals: int = 150,
    protocol: Given = None,
    wait_s: float | None = 0.0,
    store: Store | None = None,
    name: str | None = None,
    resume: bool = False,
    kind: Callable[[Plan, Place, int, ExitStack], OpenStudy] | None = None,
) -> OpenStudy:
    """Open a study whose loop is the caller's: ``ask`` for proposals, evaluate them, ``tell`` their values.

    Args:
        net: the super-network.
        platform: where latency is known or measured; needed where hwnas evaluates it.
        objectives: names of what hwnas evaluates ("latency", "macs", "top1"), and objectives of the caller's own with
            their direction: "top1:max", with a unit "energy[mJ]:min". ``None``: latency and the quality.
        quality: the quality source, or a function of a sub-network's module and config; ``None``: the super-network's
            own source.
        quality_options: for a source that runs sub-networks: which weights, on how much of the data.
        constraints: like "latency<=20ms", on objectives of the caller's own too.
        algorithm: as registered in ``hwnas.search.algorithms``.
        seed: of all randomness.
        settings: the algorithm's own settings.
        preset: named settings of the algorithm ("paper").
        evals: the most evaluations, those of a resumed study among them. A study may be resumed with more.
        protocol: what is asked of the timing protocol; see ``hwnas.harness.measure.Measurer``.
        wait_s: how long to wait where other programs keep the CPUs busy; see ``hwnas.harness.measure.Measurer``.
        store: keeps evaluations, each from the ``tell`` on that it comes with; ``None``: nothing does.
        name: the study's; ``None``: a fresh one.
        resume: go on with the study of that name. What was asked for and not told is asked for again first.
        kind: makes the study; ``None``: ``OpenStudy``.

    Returns:
        The study, open; it is a context manager, whose exit ends what measures.

    Raises:
        UsageError: something was asked for that cannot be, or the study is there already, or differs from the one to
            resume.
    """
    evals = as_int("evals", evals)
    place = Place(store, name, resume, evals, net)
    request = Request(algorithm, seed, objectives, constraints, preset, dict(settings or {}))
    with ExitStack() as opened:
        sources = opened.enter_context(
            Sources(
                net,
                platform,
                quality,
                store=store,
                since=place.since,
                quality_options=quality_options,
                protocol=protocol,
                wait_s=wait_s,
            )
        )
        plan = _planned(request, sources)
        if not place.begun:
            check_searchable((*plan.objectives, *plan.limited), net.space)
        return (kind or OpenStudy)(plan, place, evals, opened)


def _planned(request: Request, sources: Sources) -> Plan:
    try:
        return Plan(request, sources)
    except UnknownNameError as error:
        if error.kind != "objective":
            raise
        raise UsageError(f"{error}; one of your own says its direction: {error.name}:min or {error.name}:max") from None


class OpenStudy:
    """A study whose caller evaluates; ``create_study`` makes it.

    Args:
        plan: what is searched.
        place: in the store.
        evals: the most evaluations there may be.
        opened: what the objectives read from; it is the study's to close from now on.
    """

    def __init__(self, plan: Plan, place: Place, evals: int, opened: ExitStack) -> None:
        self._space = plan.space
        self._own = {one.name: one for one in plan.objectives if isinstance(one, OwnObjective)}
        self._others = [one.name for one in plan.task.quantities if one.name not in self._own]
        self._evals = evals
        self._plan = plan
        self._archive = plan.archive()
        self._clock = Clock()
        algorithm = plan.algorithm(evals)
        self._placed: Placed = place.take(plan, plan.settings())
        # As many batches may be under way as the caller likes: up to one for each evaluation.
        self._loop = Loop(
            plan.task, algorithm, self._archive, self._placed.checkpoint, self._clock, plan.drifts, window=max(2, evals)
        )
        self._loop.replay(evals)
        self._opened: ExitStack | None = opened.pop_all()

    def __repr__(self) -> str:
        state = "closed" if self._opened is None else "open"
        return f"<OpenStudy {self.name!r}: {len(self._archive)} of {self._evals} evaluations, {state}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def closing(self, other: ExitStack) -> None:
        """Close something else, such as a store, when the study is closed, after all that it has opened."""
        if self._opened is not None:
            other.push(self._opened)
            self._opened = other

    def close(self) -> None:
        """End what measures; what was evaluated can still be read. Closing twice does nothing."""
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    # --- the caller's loop -------------------------------------------------------------------------------------------

    def ask(self, n: int | None = None) -> list[Proposal]:
        """Return sub-networks to evaluate, none of which was asked for before.

        Args:
            n: how many; fewer where the algorithm has to be told others first, or the study's evaluations are used up.
                ``None``: as many as the algorithm proposes at once.

        Returns:
            Proposals. None: with nothing left to tell, the study is at its end.

        Raises:
            UsageError: the study is closed, or ``n`` is no number of sub-networks.
        """
        self._check_open()
        if n is not None and (isinstance(n, bool) or not isinstance(n, Integral) or n < 1):
            raise UsageError(f"ask: expected 1 or more sub-networks, or None, got {n!r}")
        X = self._loop.ask(self._evals, None if n is None else int(n))
        vectors = (tuple(int(index) for index in vector) for vector in X)
        return [Proposal(*one) for one in zip(self._space.decode(X), self._space.keys(X), vectors, strict=True)]

    def tell(self, proposals: Sequence[Proposal], values: Values | None = None) -> list[Evaluation]:
        """Give the values of proposals, in any order and any part of what was asked for; the store has them then.

        What hwnas evaluates itself, it evaluates meanwhile.

        Args:
            proposals: that were asked for and not told yet.
            values: for every objective of the caller's own, by its name, one number per proposal in its unit, or
                ``None`` where the evaluation failed.

        Returns:
            Their evaluations, in the order of ``proposals``.

        Raises:
            UsageError: one was not asked for or told before, an objective is missing or not the caller's, there are
                more or fewer values than proposals, or one is no finite number. Nothing is stored then.
        """
        self._check_open()
        X = self._asked_for(proposals)
        known = self._outcomes({} if values is None else values, len(X))
        if not len(X):
            return []
        self._loop.tell(X, known)
        return [self._archive[self._archive.index(one.key)] for one in proposals]

    # --- what it has found -------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Its name in the store."""
        return self._placed.name

    @property
    def evaluations(self) -> list[Evaluation]:
        """The evaluations, in the order in which they were told."""
        return list(self._archive)

    @property
    def front(self) -> list[Evaluation]:
        """The non-dominated evaluations that meet the constraints, in the order of the first objective, the best first.

        ``export`` counts in this order, from 1.
        """
        return [self._archive[index] for index in self._archive.ordered_front()]

    def result(self) -> Study:
        """Return the study as far as it has come, as ``hwnas.search`` returns it."""
        archive = self._plan.archive()
        archive.add(self.evaluations)
        placed = self._placed
        stopped = self._loop.stopped(self._evals)
        spent, models = self._clock.spent(), placed.checkpoint.models
        return Study(placed.name, placed.settings, placed.facts, archive, spent, stopped, models)

    # --- checks ------------------------------------------------------------------------------------------------------

    def _check_open(self) -> None:
        if self._opened is None:
            raise UsageError(
                f"study {self.name!r} is closed; go on with it by create_study(..., name={self.name!r}, resume=True)"
            )

    def _asked_for(self, proposals: Sequence[Proposal]) -> IntArray:
        """Return the vectors of proposals, ``(k, n_var)``; raises ``UsageError`` where one is not under way."""
        if isinstance(proposals, Proposal) or not isinstance(proposals, Sequence):
            raise UsageError(f"tell: expected a list of proposals, as ask returns it, got a {type(proposals).__name__}")
        pending = self._loop.pending
        rows = {key: row for row, key in enumerate(self._space.keys(pending))}
        asked: list[int] = []
        for place, one in enumerate(proposals):
            if not isinstance(one, Proposal):
                raise UsageError(f"tell: proposal {place}: expected one that ask returned, got a {type(one).__name__}")
            if one.key in self._archive:
                raise UsageError(f"tell: proposal {place} ({one.key}) was told already")
            if one.key not in rows:
                raise UsageError(f"tell: proposal {place} ({one.key}) was not asked for; tell what ask has returned")
            if rows[one.key] in asked:
                raise UsageError(f"tell: proposal {place} ({one.key}) is given twice")
            asked.append(rows[one.key])
        return pending[asked]

    def _outcomes(self, values: Values, n: int) -> dict[str, Outcome]:
        """Return the caller's values of ``n`` proposals; raises ``UsageError`` where they are not as they should be."""
        if not isinstance(values, Mapping):
            raise UsageError(
                f"tell: expected values by objective, like {{{self._example()}: [...]}}, got {values!r:.60}"
            )
        for name in values:
            if name in self._others:
                raise UsageError(
                    f"tell: {name} is evaluated by hwnas; leave it out, or create the study with an objective of your "
                    f"own ({name}:min or {name}:max)"
                )
            if name not in self._own:
                raise UsageError(f"tell: unknown objective {name!r}{suggestion(str(name), self._own)}")
        missing = [name for name in self._own if name not in values]
        if missing:
            raise UsageError(f"tell: expected values of {', '.join(self._own)}; {', '.join(missing)} has none")
        return {name: one.outcome(_column(name, values[name], n)) for name, one in self._own.items()}

    def _example(self) -> str:
        return repr(next(iter(self._own), "energy"))


def _column(name: str, given: object, n: int) -> list[float | None]:
    found = list(given) if isinstance(given, Iterable) and not isinstance(given, (str, bytes, Mapping)) else None
    if found is None or len(found) != n:
        what = f"a {type(given).__name__}" if found is None else f"{len(found)} values"
        raise UsageError(f"tell: {name}: expected one value per proposal ({n}), got {what}")
    return found
