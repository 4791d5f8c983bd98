"""Tensor conversions shared by the backends that run torch modules."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hwnas.supernets.supernet import Stage

if TYPE_CHECKING:
    import torch


def moved(stage: Stage, dtype: torch.dtype, device: str) -> tuple[torch.nn.Module, tuple[torch.Tensor, ...]]:
    """Return copies of the stage's module and inputs, as ``dtype`` on ``device``, since each session has its own."""
    from hwnas.supernets.recorded import agree, make_on

    module = copy.deepcopy(stage.module).to(device=device, dtype=dtype)
    types = (dtype if x.is_floating_point() else x.dtype for x in stage.inputs)
    inputs = tuple(x.to(device=device, dtype=one, copy=True) for x, one in zip(stage.inputs, types, strict=True))
    if device != "cpu":
        make_on(module, device)
    agree(module, inputs, dtype)
    return module, inputs


def arrays(result: Any) -> tuple[npt.NDArray[np.generic], ...]:
    """Return a module's result as a flat list of arrays; reduced precision as float32, for numpy has no bf16."""
    return tuple(one if isinstance(one, np.ndarray) else _array(one) for one in _flattened(result))


def _array(tensor: torch.Tensor) -> npt.NDArray[np.generic]:
    import torch

    tensor = tensor.detach().cpu()
    array: npt.NDArray[np.generic] = (
        tensor.float() if tensor.dtype in (torch.bfloat16, torch.float16) else tensor
    ).numpy()
    return array


def _flattened(result: Any) -> Iterator[Any]:
    """Yield the tensors of a result, in order: depth first through tuples, lists and dicts."""
    if isinstance(result, (tuple, list)):
        for part in result:
            yield from _flattened(part)
    elif isinstance(result, dict):
        yield from _flattened(list(result.values()))
    elif result is not None:
        yield result
