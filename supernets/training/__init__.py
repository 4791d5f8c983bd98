"""Weight-sharing training: what a super-network is trained on, and how.

``hwnas.supernets.training.loop.train`` does it. This module is imported for listings, so nothing heavy is.
"""

from __future__ import annotations

from hwnas.supernets.training.options import TrainingOptions
from hwnas.supernets.training.task import Batch, SoftTask, TrainingTask

__all__ = ["Batch", "SoftTask", "TrainingOptions", "TrainingTask"]
