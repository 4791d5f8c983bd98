"""``python:FILE.py:FUNCTION``: train on batches of the user's own, for super-networks that are made of a model.

The function gives batches of the model's inputs, and sub-networks learn to do what the whole model does. Or it gives a
pair, batches and a loss: each batch is then a pair of inputs and targets, and ``loss(outputs, targets)`` is a scalar.
Options: ``soft``, how outputs are compared with the model's, or with the largest sub-network's where there is a loss:
``mse``, or ``kl`` for scores of classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.harness.data.argument import parse_argument
from hwnas.supernets.contents import Content
from hwnas.supernets.errors import DataError, UsageError
from hwnas.supernets.named_outputs import named
from hwnas.supernets.own_batches import (
    NamesInputs,
    OwnBatches,
    classes_last,
    digest_of,
    inputs_of,
    read,
    samples_of,
)
from hwnas.supernets.own_code import explained
from hwnas.supernets.plug_ins import FAILURES
from hwnas.supernets.space import Config
from hwnas.supernets.supernet import SuperNetwork
from hwnas.supernets.training import Batch, TrainingOptions

if TYPE_CHECKING:
    import torch

# Any super-network of a model can be trained so, whatever its usual data.
FOR_ANY = True

_EPOCHS = 3
_MSE, _KL = "mse", "kl"


def create(name: str, argument: str, net: SuperNetwork) -> OwnTask:
    """Make the training task; the module's docstring describes ``argument``."""
    if not isinstance(net, NamesInputs):
        raise UsageError(f"{name}: trains super-networks that are made of a model, and {net.name} is not")
    spec, given = parse_argument(name, argument, ("soft",))
    soft = given.get("soft", _MSE)
    if soft not in (_MSE, _KL):
        raise UsageError(f"{name}: soft={soft}: expected {_MSE} or {_KL}")
    return OwnTask(f"{name}:{argument}", read(spec, name), net, soft)


class OwnTask:
    """Training on a user's batches, see ``hwnas.supernets.training.TrainingTask``.

    Args:
        name: the spec of the data.
        given: what the user's function gave.
        net: the super-network.
        soft: ``mse`` or ``kl``.
    """

    def __init__(self, name: str, given: OwnBatches, net: NamesInputs, soft: str) -> None:
        self.name = name
        self._given = given
        self._net = net
        self._soft = soft
        # The last batch, and the whole model's outputs on it.
        self._wanted: tuple[Batch, Any] | None = None
        self._batches = [self._tensors(one) for one in given.given]
        self.batches_per_epoch = len(self._batches)
        samples = sum(samples_of(self.inputs(batch, {}), net) for batch in self._batches)
        self.note = f"{samples:,} samples in {len(self._batches)} batches of {name.partition(':')[2]}"
        self.defaults = TrainingOptions(
            steps=_EPOCHS * self.batches_per_epoch, lr=1e-4, optimizer="adam", weight_decay=0.0, clip=1.0,
            # Without a loss all learn from the model as it was; the largest sub-network moves away while it is trained.
            distillation=0.0 if given.loss is None else 1.0,
        )  # fmt: skip

    def _tensors(self, batch: Any) -> Batch:
        """Return a batch's inputs, and its targets behind them."""
        import torch

        if self._given.loss is None:
            return inputs_of(batch, self._net, self.name)
        if not isinstance(batch, tuple | list) or len(batch) != 2 or not isinstance(batch[1], torch.Tensor):
            raise DataError(f"{self.name}: with a loss, expected batches of (inputs, targets), got {batch!r:.80}")
        return (*inputs_of(batch[0], self._net, self.name), batch[1])

    @cached_property
    def contents(self) -> Mapping[str, Content]:
        """The digests of the batches and of the function's file."""
        digest = digest_of(self._batches)
        return {"training batches": Content(self.name, digest), "training function": self._given.content}

    def batches(self, rng: np.random.Generator, start: int = 0) -> Iterator[Batch]:
        """Yield the batches in the order that ``rng`` decides."""
        return (self._batches[number] for number in rng.permutation(len(self._batches))[start:])

    def inputs(self, batch: Batch, config: Config) -> tuple[torch.Tensor, ...]:  # noqa: ARG002 - the same for all
        """Return the inputs without the targets."""
        return tuple(batch[: len(self._net.input_names)])

    @property
    def imitates(self) -> bool:
        """Without a loss, sub-networks learn to do what the whole model does."""
        return self._given.loss is None

    @property
    def keeps_statistics(self) -> bool:
        """The model was trained, and its sub-networks are evaluated and exported with its statistics."""
        return True

    def loss(self, outputs: Any, batch: Batch) -> torch.Tensor:
        """Return the user's loss; without one, the difference to the whole model's outputs."""
        import torch

        if self._given.loss is not None:
            loss = self._users_loss(outputs, batch[-1])
            if not isinstance(loss, torch.Tensor) or loss.dim():
                raise DataError(f"{self.name}: its loss gave a {type(loss).__name__}, expected a scalar tensor")
            return loss
        if self._wanted is None or self._wanted[0] is not batch:
            # All sub-networks of a step learn from the same batch.
            with torch.no_grad():
                self._wanted = batch, self._whole_on(batch[0].device)(*self.inputs(batch, {}))
        return self.soft_loss(outputs, self._wanted[1])

    def _users_loss(self, outputs: Any, targets: torch.Tensor) -> Any:
        given = named(outputs, self._net)
        try:
            return self._given.loss(given, targets)
        except FAILURES as error:
            several = f"; it is given a tuple of {len(given)} outputs" if isinstance(given, tuple) else ""
            reason = explained(error, self._given.content.name)
            raise DataError(f"{self.name}: its loss failed: {reason}{several}") from error

    def soft_loss(self, outputs: Any, teacher: Any) -> torch.Tensor:
        """Return the mean difference between two networks' outputs, summed over the outputs."""
        pairs = zip(_several(outputs), _several(teacher), strict=True)
        compare: Callable[[Any, Any], torch.Tensor] = _kl if self._soft == _KL else _mse
        found = [compare(one, other) for one, other in pairs if one.is_floating_point()]
        if not found:
            raise DataError(f"{self.name}: no output is of floating-point numbers, so there is nothing to imitate")
        return sum(found[1:], start=found[0])

    def _whole_on(self, device: torch.device) -> torch.nn.Module:
        """Return the whole model, where the batches are."""
        from hwnas.supernets.recorded import make_on

        if device.type != "cpu":
            make_on(self._whole.to(device), device)
        return self._whole

    @cached_property
    def _whole(self) -> torch.nn.Module:
        return self._net.build(self._net.space.decode(self._net.space.largest())[0])


def _several(outputs: Any) -> tuple[torch.Tensor, ...]:
    return outputs if isinstance(outputs, tuple) else (outputs,)


def _mse(found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Return the mean square of the difference, in units of the wanted output's variance."""
    return (found - wanted).square().mean() / wanted.var(unbiased=False).clamp_min(1e-12)


def _kl(found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    from torch.nn.functional import cross_entropy

    one, other = (classes_last(scores).flatten(0, -2) for scores in (found, wanted))
    return cross_entropy(one, other.softmax(-1))
