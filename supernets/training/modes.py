"""Set a sub-network's layers to training, or to evaluation where its task wants them to stay as they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from hwnas.supernets.training.task import ImitatingTask, KeepingTask, TrainingTask

if TYPE_CHECKING:
    import torch


def trained(module: torch.nn.Module, task: TrainingTask) -> torch.nn.Module:
    """Return a module in training mode, as a task wants it."""
    module.train()
    still = tuple(_still(task))
    for layer in module.modules():
        if isinstance(layer, still):
            layer.eval()
    return module


def _still(task: TrainingTask) -> Iterator[type[torch.nn.Module]]:
    """Yield the kinds of layers that stay in evaluation mode, by what torch's layers of a kind have in common."""
    from torch.nn.modules import batchnorm, dropout

    if isinstance(task, ImitatingTask) and task.imitates:
        yield dropout._DropoutNd  # noqa: SLF001
    if isinstance(task, KeepingTask) and task.keeps_statistics:
        yield batchnorm._BatchNorm  # noqa: SLF001
