"""Compute the learning rate of each training step."""

from __future__ import annotations

import math

from hwnas.supernets.training.options import TrainingOptions


def learning_rate(options: TrainingOptions, step: int) -> float:
    """Return the learning rate of step ``step``, counted from 0."""
    if step < options.warmup:
        return options.lr * (step + 1) / options.warmup
    if options.schedule == "cosine":
        rest = max(1, options.steps - options.warmup)
        return options.lr * 0.5 * (1 + math.cos(math.pi * (step - options.warmup) / rest))
    if options.schedule == "inverse-sqrt":
        # Vaswani et al. (2017), equation 3, scaled to ``lr`` at the end of the warm-up.
        return options.lr * math.sqrt(max(1, options.warmup) / (step + 1))
    return options.lr
