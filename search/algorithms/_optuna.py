"""Optuna, an optional package, and how a search space is said in its words."""

from __future__ import annotations

from typing import Any

from hwnas.search.algorithms._optional import optional
from hwnas.supernets.space import Choice


def optuna_for(name: str) -> Any:
    """Return the package; raises ``UsageError``, which says how to install it, for the algorithm ``name``."""
    optuna = optional(name, "optuna", "Optuna", "motpe")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def distribution(optuna: Any, choice: Choice) -> Any:
    """Return the distribution of a choice's number of option: an integer where the options have an order."""
    n, kinds = len(choice.values), optuna.distributions
    return kinds.IntDistribution(0, n - 1) if choice.ordered else kinds.CategoricalDistribution(tuple(range(n)))


def suggest(trial: Any, name: str, choice: Choice) -> int:
    """Let a trial suggest a choice's number of option."""
    n = len(choice.values)
    return int(trial.suggest_int(name, 0, n - 1) if choice.ordered else trial.suggest_categorical(name, range(n)))
