"""Batches of inputs that a user's function gives, for a model of the user's own."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

from hwnas.supernets.contents import Content, bytes_of
from hwnas.supernets.errors import DataError
from hwnas.supernets.own_code import explained, load, printing_aside
from hwnas.supernets.plug_ins import FAILURES
from hwnas.supernets.supernet import SuperNetwork

if TYPE_CHECKING:
    import torch

# Dimensions of an output in which the entries of one vector lie: the last one, or all but the first of images.
OF_IMAGES = 4

Inputs: TypeAlias = "tuple[torch.Tensor, ...]"


@runtime_checkable
class NamesInputs(SuperNetwork, Protocol):
    """A super-network of a model, whose inputs have names.

    Attributes:
        input_names: in the order in which sub-networks take them.
        examples: inputs of one sample, in that order.
        one_batch: why it runs on batches of one size alone, those of the examples; "": it runs on any.
    """

    examples: Inputs

    @property
    def input_names(self) -> tuple[str, ...]: ...

    @property
    def one_batch(self) -> str: ...


@dataclass(frozen=True)
class OwnBatches:
    """What a user's function has given.

    Attributes:
        given: the batches.
        loss: the function's loss, or ``None``.
        content: identifies the function's file.
    """

    given: Sequence[Any]
    loss: Any
    content: Content


def read(spec: str, what: str) -> OwnBatches:
    """Call ``FILE.py:FUNCTION``, which returns or yields batches, or a pair of batches and a loss.

    Args:
        spec: the file and the function.
        what: begins the message of an error.

    Raises:
        DataError: the function fails, or gives no batches.
    """
    found = load(spec, what, DataError)
    try:
        with printing_aside():
            made = found.function()
            pair = isinstance(made, tuple) and len(made) == 2 and callable(made[1])
            batches, loss = made if pair else (made, None)
            given = list(batches)
    except FAILURES as error:
        raise DataError(f"{what}: {spec} failed: {explained(error, found.content.name)}") from error
    if not given:
        raise DataError(f"{what}: {spec} gave no batches")
    return OwnBatches(given, loss, found.content)


def inputs_of(batch: Any, net: NamesInputs, what: str) -> Inputs:
    """Return a batch's inputs in the order in which sub-networks take them.

    Args:
        batch: a tensor, a sequence of tensors, or a dict of them by the model's names.
        net: the super-network.
        what: begins the message of an error.

    Raises:
        DataError: it has other inputs, or others than the model takes; says which.
    """
    import torch

    names = net.input_names
    if isinstance(batch, Mapping):
        missing = [name for name in names if name not in batch]
        if missing:
            raise DataError(f"{what}: a batch lacks {missing[0]}; the model takes {', '.join(names)}")
        found = tuple(batch[name] for name in names)
    else:
        found = (batch,) if isinstance(batch, torch.Tensor) else tuple(batch)
    if len(found) != len(names):
        raise DataError(f"{what}: a batch has {len(found)} inputs; the model takes {len(names)}: {', '.join(names)}")
    for name, one, example in zip(names, found, net.examples, strict=True):
        if not isinstance(one, torch.Tensor) or one.shape[1:] != example.shape[1:] or one.dtype != example.dtype:
            raise DataError(f"{what}: {name} is {_said(one)}; expected {_said(example)} for each sample")
        if net.one_batch and one.shape != example.shape:
            raise DataError(f"{what}: {name} is {_said(one)}; expected {_said(example)}: the model {net.one_batch}")
    return found


def samples_of(batch: Inputs, net: NamesInputs) -> int:
    """Return the number of samples of a batch: what is no input of one sample, such as a table, has none."""
    return next((len(one) for one, example in zip(batch, net.examples, strict=True) if is_sample(example)), 1)


def is_sample(example: torch.Tensor) -> bool:
    """Return whether an example input is one of one sample, so that those of a batch lie in its first dimension."""
    return tuple(example.shape[:1]) == (1,)


def classes_last(output: torch.Tensor) -> torch.Tensor:
    """Return scores with the classes last: they are the second dimension of images, as in torch's losses."""
    if output.dim() <= 1:
        return output.reshape(1, -1)
    return output.movedim(1, -1) if output.dim() >= OF_IMAGES else output


def _said(one: Any) -> str:
    import torch

    if not isinstance(one, torch.Tensor):
        return f"a {type(one).__name__}"
    return f"{str(one.dtype).removeprefix('torch.')} of {tuple(one.shape)}"


def digest_of(batches: Sequence[Inputs]) -> str:
    """Return a digest of inputs' values."""
    total = hashlib.sha256()
    for batch in batches:
        for one in batch:
            total.update(f"{one.dtype} {tuple(one.shape)}".encode())
            total.update(bytes_of(one))
    return total.hexdigest()
