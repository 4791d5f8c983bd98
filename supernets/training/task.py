"""The protocols of training tasks, which have the data and the loss that a super-network is trained with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from hwnas.supernets.contents import Contents
from hwnas.supernets.space import Config
from hwnas.supernets.training.options import TrainingOptions

if TYPE_CHECKING:
    import torch

# A mini-batch: tensors, so that the loop can move it to another device; the task knows their meaning.
Batch = tuple["torch.Tensor", ...]


@runtime_checkable
class TrainingTask(Protocol):
    """Training data and the loss.

    Attributes:
        name: its spec ("images:photos").
        note: one line that is shown when training begins: how many examples of what.
        batches_per_epoch: mini-batches in one epoch.
        defaults: default options for this task.
    """

    @property
    def name(self) -> str: ...
    @property
    def note(self) -> str: ...
    @property
    def batches_per_epoch(self) -> int: ...
    @property
    def defaults(self) -> TrainingOptions: ...

    def batches(self, rng: np.random.Generator, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of one epoch.

        Args:
            rng: decides the order (and augmentation): the same state gives the same batches.
            start: skip this many batches. The others are the same as without it, so that a resumed training sees the
                same data.
        """
        ...

    def inputs(self, batch: Batch, config: Config) -> tuple[torch.Tensor, ...]:
        """Return the positional inputs of the sub-network of ``config``, such as images at its resolution."""
        ...

    def loss(self, outputs: Any, batch: Batch) -> torch.Tensor:
        """Return the mean loss of a sub-network's outputs, a scalar."""
        ...


@runtime_checkable
class SoftTask(TrainingTask, Protocol):
    """A task whose sub-networks can learn from a larger one's outputs."""

    def soft_loss(self, outputs: Any, teacher: Any) -> torch.Tensor:
        """Return the mean difference between a sub-network's outputs and the larger one's, a scalar."""
        ...


@runtime_checkable
class ImitatingTask(TrainingTask, Protocol):
    """A task in which sub-networks may learn nothing but the outputs of a network that stays as it is.

    Attributes:
        imitates: they do. Dropout is then off: it would only blur what is to be reproduced exactly.
    """

    @property
    def imitates(self) -> bool: ...


@runtime_checkable
class KeepingTask(TrainingTask, Protocol):
    """A task whose networks are used with the batch-norm statistics that the shared weights have.

    Those that training in mini-batches leaves there are averages over sub-networks and no sub-network's own, so that
    they would have to be set anew on data before each sub-network is used.

    Attributes:
        keeps_statistics: batch-norms normalise by these statistics in training too, and do not change them.
    """

    @property
    def keeps_statistics(self) -> bool: ...


@runtime_checkable
class KnownTask(TrainingTask, Protocol):
    """A task that can identify its data by digests, so that a training is resumed with the same data only."""

    @property
    def contents(self) -> Contents:
        """The digests of the files, by their role ("training images")."""
        ...


@runtime_checkable
class AccompaniedTask(TrainingTask, Protocol):
    """A task with files of its own, without which the weights mean nothing, such as the subwords of a translation."""

    @property
    def companions(self) -> Mapping[str, bytes]:
        """Their contents, by the suffix that replaces the checkpoint's."""
        ...
