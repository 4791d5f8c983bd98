"""What every search algorithm has to hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hwnas.conformance.check import Cost, NotApplicableError, Request, Suite, applies, expect, refused
from hwnas.search import algorithms
from hwnas.search.algorithm import Algorithm, Problem
from hwnas.search.hypervolume import hypervolume
from hwnas.search.sampling import every_point
from hwnas.supernets.errors import UsageError
from hwnas.supernets.space import Choice, FloatArray, IntArray, SearchSpace

_EVALS = 40
_NAMES = ("error", "cost", "count")
Spoil = Callable[[IntArray, FloatArray], FloatArray]


def layered_space(layers: int = 6) -> SearchSpace:
    """Return a depth, and per possible layer a width; only layers within the depth matter."""
    depth = Choice("d", (2, 4, 6))
    needs = {0: None, 1: None, 2: (0, 1), 3: (0, 1), 4: (0, 2), 5: (0, 2)}
    return SearchSpace((depth, *(Choice("w", (8, 16, 24, 32), needs[layer]) for layer in range(layers))))


def tiny_space() -> SearchSpace:
    """Return seven networks in ten vectors."""
    return SearchSpace((Choice("d", (1, 2)), Choice("w", (1, 2, 3)), Choice("w", (1, 2), (0, 1))))


def evaluate(space: SearchSpace, X: IntArray, n_obj: int) -> FloatArray:
    """Return a cost, a quality with its best in the interior, and a count, ``(n, n_obj)``; all minimised."""
    X = space.canonical(X)
    active = space.active(X)
    level = X / np.maximum(space.n_options - 1, 1)
    cost = (1.0 + level * active).sum(axis=1)
    error = ((level - 0.7) ** 2 * np.linspace(1, 3, space.n_var) + 0.5 * ~active).sum(axis=1)
    return np.stack([error, cost, active.sum(axis=1) + level[:, -1]], axis=1)[:, :n_obj]


@dataclass(frozen=True)
class AlgorithmSubject:
    """An algorithm by its name, and the settings that make its checks short.

    Attributes:
        name: as registered.
        settings: of its own.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def stated(self, what: str) -> Any:
        """Return what its module says of itself; see ``hwnas.search.algorithms``."""
        return algorithms.registry.stated(self.name, what)

    def allows(self, n_obj: int) -> bool:
        """Return whether it takes so many objectives."""
        most = self.stated("MAX_OBJECTIVES")
        return self.fewest <= n_obj and (most is None or n_obj <= most)

    @property
    def fewest(self) -> int:
        """The smallest number of objectives that it takes."""
        return int(self.stated("MIN_OBJECTIVES"))

    def make(
        self,
        space: SearchSpace,
        n_obj: int = 0,
        evals: int = _EVALS,
        seed: int = 0,
        settings: Mapping[str, Any] | None = None,
        **problem: Any,
    ) -> Algorithm:
        """Return the algorithm, made for a problem on ``space``."""
        posed = Problem(space, _NAMES[: n_obj or self.fewest], **problem)
        given = self.settings if settings is None else settings
        return algorithms.create(self.name, posed, evals, np.random.default_rng(seed), given)

    def run(self, space: SearchSpace, n_obj: int = 0, evals: int = _EVALS, **made: Any) -> tuple[IntArray, FloatArray]:
        """Return what a search has asked for, in order, and its values."""
        n_obj = n_obj or self.fewest
        return run(self.make(space, n_obj, evals, **made), space, n_obj, evals)


def run(
    algorithm: Algorithm, space: SearchSpace, n_obj: int, evals: int = _EVALS, spoil: Spoil = lambda _, F: F
) -> tuple[IntArray, FloatArray]:
    """Ask and tell until done; return all that was asked, in order, and its values."""
    asked, observed = [np.zeros((0, space.n_var), np.int64)], [np.zeros((0, n_obj))]
    for _ in range(10 * evals):
        if sum(map(len, asked)) >= evals:
            break
        X = algorithm.ask()
        if not len(X):
            break
        asked.append(X)
        observed.append(spoil(X, evaluate(space, X, n_obj)))
        algorithm.tell(X, observed[-1])
    return np.concatenate(asked), np.concatenate(observed)


def _requested(request: Request) -> AlgorithmSubject:
    subject = AlgorithmSubject(request.name)
    if subject.stated("NEEDS_EXACT"):
        raise NotApplicableError(f"{request.name} takes exact objectives alone")
    return subject


SUITE = Suite(algorithms.registry, _requested)


@SUITE.check()
def says_what_it_is(subject: AlgorithmSubject) -> None:
    """It has a ``SUMMARY`` of one line, and says how many objectives it takes."""
    summary = subject.stated("SUMMARY")
    expect(summary and "\n" not in summary, f"SUMMARY is {summary!r}, expected one line")
    provider = algorithms.registry.provider(subject.name)
    expect(hasattr(provider, "MAX_OBJECTIVES"), "it has no MAX_OBJECTIVES; None: any number")


@SUITE.check()
def never_more_than_needed(subject: AlgorithmSubject) -> None:
    """It asks for as many sub-networks as it was made for, and then for none."""
    space = layered_space()
    algorithm = subject.make(space, evals=7)
    X, _ = run(algorithm, space, subject.fewest, evals=100)
    expect(len(X) == 7, f"made for 7 evaluations, it asked for {len(X)}")
    expect(len(algorithm.ask()) == 0, "after its last evaluation it asks for more")


@SUITE.check()
def a_tiny_space_is_exhausted(subject: AlgorithmSubject) -> None:
    """In a space of seven networks it asks for each of them once."""
    space = tiny_space()
    X, _ = subject.run(space, evals=500)
    found, distinct = len(X), len(np.unique(X, axis=0))
    expect(found == space.distinct_size == distinct, f"of 7 networks it asked for {distinct}, {found} times in all")


@SUITE.check()
def input_is_left_alone(subject: AlgorithmSubject) -> None:
    """``tell`` and ``ask`` change neither the vectors nor the values that they are given."""
    space = layered_space()
    algorithm = subject.make(space)
    X = algorithm.ask()
    F = evaluate(space, X, subject.fewest)
    X_before, F_before = X.copy(), F.copy()
    algorithm.tell(X, F)
    algorithm.ask()
    expect(np.array_equal(X, X_before) and np.array_equal(F, F_before), "tell or ask changes what was told")


@SUITE.check()
def failures_and_foreign_rows(subject: AlgorithmSubject) -> None:
    """Failed evaluations, fewer than were asked for, others, and some of them twice stop nothing."""
    space, n_obj = layered_space(), subject.fewest
    algorithm, rng = subject.make(space), np.random.default_rng(3)
    seen: set[bytes] = set()
    for _ in range(200):
        X = algorithm.ask()
        if not len(X) or len(seen) >= 30:
            break
        F = evaluate(space, X, n_obj)
        F[rng.random(len(X)) < 0.3, 0] = np.nan
        seen.update(map(bytes, X))
        foreign = space.canonical(space.sample(2, rng))
        kept = rng.random(len(X)) < 0.8
        X, F = np.concatenate([X[kept], foreign]), np.concatenate([F[kept], evaluate(space, foreign, n_obj)])
        algorithm.tell(np.concatenate([X, X[:1]]), np.concatenate([F, F[:1]]))
    expect(len(seen) >= 30, f"with failures among its evaluations it stopped after {len(seen)} sub-networks")


@SUITE.check()
def nothing_but_failures(subject: AlgorithmSubject) -> None:
    """A search in which every evaluation fails goes on to its end."""
    space = layered_space()
    X, _ = run(subject.make(space, evals=20), space, subject.fewest, 20, lambda _, F: np.full_like(F, np.nan))
    expect(len(X) == 20, f"where every evaluation fails it asked for {len(X)} of 20")


@SUITE.check()
def unknown_settings_are_refused(subject: AlgorithmSubject) -> None:
    """A setting, a preset or initial vectors that cannot be are refused: ``UsageError``."""
    wrong: tuple[dict[str, Any], ...] = ({"no-such": 1}, {"preset": "papr"}, {"initial": [[1, 2]]})
    for settings in wrong:
        refused(lambda s=settings: subject.make(layered_space(), settings=s), UsageError, f"the settings {settings}")  # type: ignore[misc]


@SUITE.check(Cost.SLOW)
def new_canonical_vectors_and_progress(subject: AlgorithmSubject) -> None:
    """It asks for canonical vectors, none twice, and its front grows, with each number of objectives that it takes."""
    for n_obj in filter(subject.allows, (1, 2, 3)):
        space = layered_space()
        X, F = subject.run(space, n_obj, evals=120, seed=1)
        expect(X.dtype == np.int64, f"it asks for vectors of {X.dtype}, expected int64")
        expect(np.array_equal(space.canonical(X), X), "it asks for vectors that are not canonical")
        distinct = len(np.unique(X, axis=0))
        expect(distinct == len(X) == 120, f"of 120 sub-networks it asked for {distinct} different ones, {len(X)} times")
        worst = np.full(n_obj, 30.0)
        expect(hypervolume(F, worst) > hypervolume(F[:5], worst), f"with {n_obj} objectives its front never improves")


@SUITE.check(Cost.SLOW)
def same_seed_same_search(subject: AlgorithmSubject) -> None:
    """The same seed gives the same search, so that a study resumes by replaying, and another seed another."""
    space = layered_space()
    (first, _), (second, _), (other, _) = (subject.run(space, seed=seed) for seed in (0, 0, 1))
    expect(np.array_equal(first, second), "two searches of one seed differ: take all randomness from rng")
    expect(first.shape != other.shape or (first != other).any(), "searches of two seeds are the same")


@SUITE.check(Cost.SLOW)
def more_evaluations_begin_alike(subject: AlgorithmSubject) -> None:
    """With more evaluations it begins with the same ones, so that a study can be continued."""
    applies(subject.stated("GROWS"), "it says by GROWS = False that it depends on their number")
    space = layered_space()
    few, many = (subject.run(space, evals=evals)[0] for evals in (25, 40))
    expect(np.array_equal(few, many[:25]), "with 40 evaluations its first 25 are others than with 25")


@SUITE.check(Cost.SLOW)
def initial_vectors_come_first(subject: AlgorithmSubject) -> None:
    """The vectors of the setting ``initial`` are asked for first, each once."""
    space = layered_space()
    initial = np.concatenate([space.largest(), space.smallest(), space.largest(), space.sample(3, 5)])
    X, _ = subject.run(space, settings={**subject.settings, "initial": initial})
    expected = np.unique(space.canonical(initial), axis=0)
    found = np.unique(X[: len(expected)], axis=0)
    expect(np.array_equal(found, expected), "it does not begin with the vectors of the setting initial")


@SUITE.check(Cost.SLOW)
def bounds_steer_the_search(subject: AlgorithmSubject) -> None:
    """Where a tenth of the space keeps within a bound, far more than a tenth of its later evaluations do.

    What is bounded is a thousand million times smaller than the rest: units say nothing of what a bound is worth.
    """
    applies(subject.stated("USES_BOUNDS"), "it says by USES_BOUNDS = False that bounds change nothing")
    space, n_obj = layered_space(), max(2, subject.fewest)
    applies(subject.allows(n_obj), "it takes one objective alone, and the bound is on a second")
    units = np.where(np.arange(n_obj) == 1, 1e-9, 70.0)
    within = float(np.quantile(evaluate(space, every_point(space), n_obj)[:, 1] * units[1], 0.1))
    algorithm = subject.make(space, n_obj, evals=120, bounds=(None, within, *(None,) * (n_obj - 2)))
    _, F = run(algorithm, space, n_obj, 120, lambda _, F: F * units)
    share = float((F[60:, 1] <= within).mean())
    expect(share > 0.15, f"{share:.0%} of its later evaluations keep within a bound that 10 % of the space keep")
