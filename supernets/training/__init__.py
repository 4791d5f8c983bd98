"""Train the shared weights of super-networks: tasks, options, and the training loop.

``hwnas.supernets.training.loop.train`` trains. This module is imported for listings, so it imports nothing heavy.
"""

from __future__ import annotations

from hwnas.supernets.training.options import TrainingOptions
from hwnas.supernets.training.task import Batch, SoftTask, TrainingTask

__all__ = ["Batch", "SoftTask", "TrainingOptions", "TrainingTask"]
