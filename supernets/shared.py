"""The weights that all sub-networks of a super-network share, from which each sub-network's are sliced.

``SharedWeights.state(config)`` is the state dict of the stand-alone module of ``config``, made of slices of the shared
tensors. Slices are views, so gradients flow through them: training runs
``torch.func.functional_call(net.module(config), weights.state(config), inputs)``, and building a sub-network copies the
same state into a module of its own.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from hwnas.supernets.errors import UsageError, WorkError
from hwnas.supernets.finite import not_finite
from hwnas.supernets.space import Config
from hwnas.supernets.supernet import SuperNetwork
from hwnas.supernets.writing import write_file

if TYPE_CHECKING:
    import torch

Tensors = Mapping[str, "torch.Tensor"]
AnyConfig = Config | dict[str, Any]

# A batch-norm's running statistics: they are not parameters, have no gradient, and must not be given to optimisers.
_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


@dataclass(frozen=True, eq=False)
class WeightLayout:
    """The tensors in the checkpoint of a super-network, and how a sub-network's are sliced from them.

    Attributes:
        supernet: the super-network's name.
        shapes: of every tensor, by the keys that are written.
        cut: returns the state dict of a config's module, made of slices of the shared tensors.
        spelling: maps all spellings of a key to one, since published files of the same super-network differ.
        trained: the keys of the tensors that are trained; ``None``: all but the statistics of batch-norms.
        types: of tensors that are not of FP32; whole numbers keep theirs in any case.
    """

    supernet: str
    shapes: Mapping[str, tuple[int, ...]]
    cut: Callable[[Tensors, AnyConfig], dict[str, torch.Tensor]]
    spelling: Callable[[str], str] = str
    trained: frozenset[str] | None = None
    types: Mapping[str, torch.dtype] = field(default_factory=dict)

    def is_constant(self, key: str) -> bool:
        """Return whether the tensor under ``key`` is never changed, as a mask, which may have infinite numbers."""
        return not self.is_trained(key) and is_parameter(key)

    @property
    def unchecked(self) -> frozenset[str]:
        """The keys of tensors that need not be finite real numbers."""
        return frozenset(
            key for key in self.shapes if self.is_constant(key) or (key in self.types and self.types[key].is_complex)
        )

    def is_trained(self, key: str) -> bool:
        """Return whether the tensor under ``key`` is trained."""
        return is_parameter(key) if self.trained is None else key in self.trained


class SharedWeights:
    """All weights of one super-network, by the key names of its checkpoint.

    Args:
        layout: of the super-network.
        tensors: one per key of ``layout.shapes``; leaves, of which those that are parameters require gradients.
    """

    def __init__(self, layout: WeightLayout, tensors: Tensors) -> None:
        self.layout = layout
        self.tensors = {key: _leaf(tensors[key], layout.is_trained(key)) for key in layout.shapes}

    def state(self, config: AnyConfig) -> dict[str, torch.Tensor]:
        """Return the state dict of ``net.module(config)``: views of the shared tensors, differentiable.

        Batch-norm statistics are views too. In training mode a forward pass updates the shared running averages of the
        sub-network's channels, as in once-for-all: in the end they are averages over sub-networks, and fit no single
        one. So accuracy is measured after recalibrating them on training data, in a module made by ``build``, which
        has copies.
        """
        return self.layout.cut(self.tensors, config)

    def parameters(self) -> list[torch.Tensor]:
        """Return the trainable tensors, in the order of the keys."""
        return [tensor for tensor in self.tensors.values() if tensor.requires_grad]

    def changing(self) -> list[tuple[str, torch.Tensor]]:
        """Return the tensors that training changes, by their keys."""
        return [(key, tensor) for key, tensor in self.tensors.items() if not self.layout.is_constant(key)]

    def save(self, path: str | Path) -> None:
        """Write a checkpoint ``{"state_dict": ..., "supernet": name}``, completely or not at all.

        Raises:
            WorkError: a weight or a statistic is not finite.
            OutputError: it cannot be written.
        """
        broken = not_finite(self.changing())
        if broken is not None:
            raise WorkError(f"{path}: is not written: {broken} is not finite")
        state = {key: tensor.detach() for key, tensor in self.tensors.items()}
        write_file(path, saved({"state_dict": state, "supernet": self.layout.supernet}))

    @classmethod
    def load(cls, layout: WeightLayout, path: str | Path) -> SharedWeights:
        """Read a checkpoint of the super-network.

        Raises:
            UsageError: there is no such file, or it is not a checkpoint with these keys and shapes; names the first.
        """
        from hwnas.supernets.checkpoints import read_state_dict

        state = read_state_dict(path, layout.unchecked)
        return cls(layout, {key: tensor.clone() for key, tensor in fitted(layout, state, path).items()})


@runtime_checkable
class Trainable(SuperNetwork, Protocol):
    """A super-network whose shared weights can be trained, and read from a checkpoint."""

    def module(self, config: AnyConfig) -> torch.nn.Module:
        """Return the stand-alone sub-network without weights of its own (on the meta device)."""
        ...

    def shared(self, weights: str | None = None, seed: int = 0) -> SharedWeights:
        """Return the shared weights, freshly drawn from ``seed`` or read from the checkpoint ``weights``."""
        ...


def fitted(layout: WeightLayout, state: Tensors, path: str | Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a file by the layout's keys, in its order; floating-point ones in the layout's precision.

    Raises:
        UsageError: keys are missing or unknown, or shapes differ; names the first three.
    """
    import torch

    found = {layout.spelling(key): tensor for key, tensor in state.items()}
    wanted = {layout.spelling(key): key for key in layout.shapes}
    # Old checkpoints lack the number of batches, which nothing depends on.
    zero = torch.zeros((), dtype=torch.int64)
    counts = {spelled: zero for spelled, key in wanted.items() if key.endswith("num_batches_tracked")}
    found = {**counts, **found}
    unknown = [key for key in state if layout.spelling(key) not in wanted]
    missing = [key for spelled, key in wanted.items() if spelled not in found]
    shapes = [
        f"{key}: {tuple(found[spelled].shape)} for {tuple(layout.shapes[key])}"
        for spelled, key in wanted.items()
        if spelled in found and tuple(found[spelled].shape) != tuple(layout.shapes[key])
    ]
    for what, keys in (("lacks", missing), ("has unknown", unknown), ("has other shapes:", shapes)):
        if keys:
            raise UsageError(
                f"weights {str(path)!r}: no checkpoint of {layout.supernet}: it {what} {', '.join(keys[:3])} "
                f"({len(keys)} in all)"
            )
    return {
        key: found[spelled].to(layout.types.get(key, torch.float32))
        if found[spelled].is_floating_point()
        else found[spelled]
        for spelled, key in wanted.items()
    }


def saved(document: Mapping[str, Any]) -> memoryview:
    """Return a document as the bytes that ``torch.save`` writes; its own writer ends the process on a full disk."""
    import torch

    content = io.BytesIO()
    torch.save(document, content)
    return content.getbuffer()


def corner(tensor: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Return the view of the first ``shape[0]`` x ``shape[1]`` x ... entries: how smaller widths share weights."""
    for dim, size in enumerate(shape):
        if tensor.shape[dim] != size:
            tensor = tensor.narrow(dim, 0, size)
    return tensor


def is_parameter(key: str) -> bool:
    """Return whether the tensor under ``key`` is trained, and not a statistic of a batch-norm."""
    return not key.endswith(_BUFFERS)


def _leaf(tensor: torch.Tensor, trained: bool) -> torch.Tensor:
    return tensor.detach().requires_grad_(trained)
