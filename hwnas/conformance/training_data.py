"""What every kind of training data has to hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from hwnas import supernets
from hwnas.conformance.check import Request, Suite, expect
from hwnas.harness import data
from hwnas.supernets.errors import UsageError
from hwnas.supernets.shared import Trainable
from hwnas.supernets.supernet import SuperNetwork
from hwnas.supernets.training import TrainingTask

if TYPE_CHECKING:
    from hwnas.supernets.training import Batch


@dataclass(frozen=True)
class DataSubject:
    """A training task, and the super-network that it trains."""

    task: TrainingTask
    net: SuperNetwork


def _requested(request: Request) -> DataSubject:
    data.registry.provider(request.name)
    if request.supernet is None:
        raise UsageError(f"{request.name} is data to train on: say which super-network, by --supernet")
    net = supernets.get(request.supernet)
    return DataSubject(data.get(f"{request.name}:{request.argument}", net), net)


SUITE = Suite(data.registry, _requested)


@SUITE.check()
def batches_repeat(subject: DataSubject) -> None:
    """The same generator gives the same batches, and ``start`` skips the first ones and changes no other."""
    first, again = (list(islice(_epoch(subject.task), 3)) for _ in range(2))
    expect(first, "an epoch has no batch")
    expect(all(map(_same, first, again)), "two epochs of one seed have other batches")
    later = list(islice(_epoch(subject.task, start=1), max(len(first) - 1, 0)))
    expect(all(map(_same, first[1:], later)), "with start=1 the batches are others, so a resumed training differs")


@SUITE.check()
def an_epoch_is_as_long_as_it_says(subject: DataSubject) -> None:
    """An epoch has ``batches_per_epoch`` batches."""
    found = sum(1 for _ in _epoch(subject.task))
    said = subject.task.batches_per_epoch
    expect(found == said, f"an epoch has {found} batches, and batches_per_epoch is {said}")


@SUITE.check()
def the_loss_is_a_finite_scalar(subject: DataSubject) -> None:
    """The smallest sub-network runs on a batch's inputs, and the loss of its outputs is one finite number."""
    import torch

    net, task = subject.net, subject.task
    config = net.space.decode(net.space.smallest())[0]
    batch = next(_epoch(task))
    module = net.build(config)
    loss = task.loss(module(*task.inputs(batch, config)), batch)
    expect(loss.ndim == 0 and bool(torch.isfinite(loss)), f"the loss is {loss!r}, expected a finite scalar")
    expect(isinstance(net, Trainable), f"{net.name} has no module and shared: it cannot be trained")


def _epoch(task: TrainingTask, start: int = 0) -> Iterator[Batch]:
    return task.batches(np.random.default_rng(0), start)


def _same(one: Batch, other: Batch) -> bool:
    import torch

    return len(one) == len(other) and all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
