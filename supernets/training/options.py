"""The options of training a super-network, with their checks."""

from __future__ import annotations

from dataclasses import dataclass

from hwnas.supernets.errors import UsageError, suggestion

OPTIMIZERS = ("sgd", "adam")
SCHEDULES = ("cosine", "inverse-sqrt", "constant")
# Optimisers multiply and divide by these in FP32.
_LARGEST = 1e30
SAMPLINGS = ("sandwich", "uniform")


@dataclass(frozen=True)
class TrainingOptions:
    """The options of a training; each task has its own defaults.

    Attributes:
        steps: optimiser steps, one mini-batch each.
        lr: the highest learning rate.
        schedule: "cosine" (to 0 at the last step), "inverse-sqrt" (Vaswani et al., 2017) or "constant".
        warmup: steps over which the learning rate grows linearly from 0.
        optimizer: "sgd" (Nesterov) or "adam".
        momentum: of "sgd"; the first of the two of "adam".
        weight_decay: of weights; biases and batch-norm's parameters have none.
        clip: the largest norm of the gradient; ``None``: any.
        sampling: which sub-networks a step trains. "sandwich": the largest, the smallest and ``samples`` random ones
            (Yu and Huang, 2019, arXiv 1903.05134); "uniform": ``samples`` random ones.
        samples: random sub-networks per step.
        distillation: how much of a sub-network's loss is the difference to the largest one's outputs on the same batch
            (in-place distillation, same paper), 0 to 1; the largest one itself learns from the data alone, and is part
            of every step where this is above 0.
        progressive: open choices in the order of progressive shrinking (Cai et al., 2020, arXiv 1908.09791): first the
            largest sub-network alone, then ever smaller values of one key after the other.
        seed: of initial weights, of the order of examples and of the sub-networks.
    """

    steps: int = 1000
    lr: float = 0.05
    schedule: str = "cosine"
    warmup: int = 0
    optimizer: str = "sgd"
    momentum: float = 0.9
    weight_decay: float = 3e-5
    clip: float | None = None
    sampling: str = "sandwich"
    samples: int = 2
    distillation: float = 1.0
    progressive: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        _one_of("optimizer", self.optimizer, OPTIMIZERS)
        _one_of("schedule", self.schedule, SCHEDULES)
        _one_of("sampling", self.sampling, SAMPLINGS)
        _at_least("steps", self.steps, 1)
        _at_least("warmup", self.warmup, 0)
        _at_least("samples", self.samples, 1 if self.sampling == "uniform" else 0)
        _at_least("seed", self.seed, 0)
        if not 0 < self.lr <= _LARGEST:
            raise UsageError(f"lr: expected a finite number above 0, got {self.lr}")
        if not 0 <= self.weight_decay <= _LARGEST:
            raise UsageError(f"weight_decay: expected a finite number of at least 0, got {self.weight_decay}")
        if not 0 <= self.momentum < 1:
            raise UsageError(f"momentum: expected a number of at least 0 and below 1, got {self.momentum}")
        if self.clip is not None and not 0 < self.clip <= _LARGEST:
            raise UsageError(f"clip: expected a finite number above 0, got {self.clip}")
        if not 0 <= self.distillation <= 1:
            raise UsageError(f"distillation: expected a number from 0 to 1, got {self.distillation}")


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UsageError(f"unknown {name} {value!r}{suggestion(value, known)}")


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise UsageError(f"{name}: expected at least {least}, got {value}")
