"""The interface of search algorithms: the ``Problem`` that they are given, and their ``ask`` and ``tell``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np

from hwnas.supernets.errors import MALFORMED, ConfigError, UsageError, WorkError
from hwnas.supernets.space import FloatArray, IntArray, SearchSpace

# An objective that is known without evaluating: vectors (n, n_var) to minimised values (n,).
Known = Callable[[IntArray], FloatArray]
# Sub-networks, canonical vectors (m, n_var), and their minimised values of an objective, (m,).
Evaluated = tuple[IntArray, FloatArray]


@dataclass(frozen=True)
class Problem:
    """What is to be minimised, over which space.

    Attributes:
        space: the search space.
        names: of the objectives, in the order of the columns of F.
        exact: one per objective: the exact minimised objective where it costs nothing, else ``None``. Empty: none does.
        bounds: one per objective: the largest allowed minimised value (a constraint), else ``None``. Empty: no bounds.
        known: exact quantities of a sub-network that are no objectives and that a predictor may learn from (MACs,
            parameters); none is needed.
        noise: one per objective: the standard deviation of one value relative to its size, a function that returns it
            as far as it is known by now, or ``None``. Empty: nothing is known.
        priors: one per objective: what is known of it from elsewhere, in any unit, from which a predictor may start:
            the latency on another platform, ``(n,)``, or on several, ``(n, k)``; else ``None``. Empty: nothing is.
        evaluated: one per objective: what other searches have found of this very objective, canonical sub-networks
            ``(m, n_var)`` and minimised values ``(m,)``; a predictor learns from them as from the search's own
            evaluations. Accuracy is such an objective: it is the same whatever the platform. ``None``: nothing. Empty:
            nothing of any.
        violation: by how much vectors (n, n_var) break constraints on exactly known quantities that are no objectives,
            ``(n,)``, 0 where they meet them; ``None``: there are no such constraints.
        places: the variables that decide what stands in each place of the super-network, as far as that is known: where
            an objective is a sum over the layers, it is a sum of functions of these.
    """

    space: SearchSpace
    names: tuple[str, ...]
    exact: tuple[Known | None, ...] = ()
    bounds: tuple[float | None, ...] = ()
    known: tuple[Known, ...] = ()
    noise: tuple[float | Callable[[], float | None] | None, ...] = ()
    priors: tuple[Known | None, ...] = ()
    evaluated: tuple[Evaluated | None, ...] = ()
    violation: Known | None = None
    places: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self) -> None:
        if not self.names:
            raise ValueError("names: expected at least one objective, got none")
        for field in ("exact", "bounds", "noise", "priors", "evaluated"):
            given = getattr(self, field)
            if len(given) not in {0, self.n_obj}:
                raise ValueError(f"{field}: expected one entry per objective ({self.n_obj}) or none, got {len(given)}")
            if not given:
                object.__setattr__(self, field, (None,) * self.n_obj)

    @property
    def n_obj(self) -> int:
        """The number of objectives."""
        return len(self.names)

    @property
    def limits(self) -> FloatArray:
        """The bounds as numbers, ``(n_obj,)``: infinite where there is none."""
        return np.array([np.inf if bound is None else bound for bound in self.bounds])

    @property
    def known_elsewhere(self) -> bool:
        """Something is known of an objective from other platforms or other searches."""
        return any(one is not None for one in (*self.priors, *self.evaluated))

    def noise_of(self, column: int) -> float | None:
        """Return what is known of an objective's noise by now."""
        noise = self.noise[column]
        return noise() if callable(noise) else noise

    def violations(self, X: IntArray) -> FloatArray:
        """Return by how much vectors break constraints on known quantities, ``(n,)``."""
        return np.zeros(len(X)) if self.violation is None else self.violation(X)


class Algorithm(Protocol):
    """Proposes sub-networks and learns from their evaluations; the caller owns the loop.

    ::

        while len(X := algorithm.ask()):
            algorithm.tell(X, evaluate(X))
    """

    def ask(self) -> IntArray:
        """Return what to evaluate next: canonical vectors, ``(k, n_var)``.

        They may have been asked before; the caller answers those from its archive. No rows: nothing is left to ask.
        """
        ...

    def tell(self, X: IntArray, F: FloatArray) -> None:
        """Observe evaluations; they may be fewer, more or other ones than were asked for.

        Args:
            X: vectors, ``(k, n_var)``.
            F: minimised objectives, ``(k, n_obj)``; a row with a nan is a failed evaluation. A vector that
                was observed before takes its new values.
        """
        ...


def proposed(algorithm: Algorithm, asked: Any, space: SearchSpace) -> IntArray:
    """Return what an algorithm has asked for, canonical, ``(k, n_var)``.

    Raises:
        WorkError: it is something else than vectors of the space; names the algorithm.
    """
    try:
        X = np.asarray(asked)
        return space.canonical(X if X.size else np.zeros((0, space.n_var), dtype=np.int64))
    except (ConfigError, TypeError, ValueError) as error:
        raise WorkError(f"the algorithm {called(algorithm)} proposed what is no vectors: {error}") from error


def called(algorithm: Algorithm) -> str:
    """Return what messages call an algorithm: its class, which also says whose it is."""
    return f"{type(algorithm).__module__}.{type(algorithm).__name__}"


class TakesPending(Algorithm, Protocol):
    """An algorithm that can be asked while some of what it asked for is still being evaluated."""

    def ask(self, pending: IntArray | None = None) -> IntArray:
        """Return what to evaluate next while ``pending``, ``(k, n_var)``, is still being evaluated.

        No rows: it needs an observation first, or, where nothing is pending, nothing is left to ask.
        """
        ...


def that_takes_pending(algorithm: Algorithm) -> TakesPending | None:
    """Return an algorithm that can be asked while something is pending; ``None``: this one cannot."""
    takes = "pending" in inspect.signature(algorithm.ask).parameters
    return cast("TakesPending", algorithm) if takes else None


# What a state raises that is damaged, or of something else.
UNREADABLE = (*MALFORMED, UsageError)


@runtime_checkable
class Restorable(Protocol):
    """An algorithm whose ``ask`` takes long, and whose state can be saved and restored.

    A resumed study restores it instead of asking it for everything again. It asks for nothing twice, so its
    observations follow from the evaluations alone.
    """

    def state(self) -> dict[str, Any]:
        """Return, as JSON values, what its next ``ask`` depends on in addition to its observations and proposals."""
        ...

    def restore(self, state: Mapping[str, Any], asked: IntArray) -> None:
        """Restore a saved state. Observations are not part of it; the caller replays them with ``tell``.

        Args:
            state: as ``state`` returned it; through JSON, every number of it comes back as it was.
            asked: all vectors that ``ask`` had returned by then, canonical, ``(k, n_var)``.

        Raises:
            UNREADABLE: it is damaged, or the state of something else; nothing has changed.
        """
        ...
