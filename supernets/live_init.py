"""Initialise a network with seeded random weights such that no layer's activations vanish ("live" initialisation).

Latency must not depend on the values of the weights, but it does if activations vanish: they become denormal numbers,
with which many CPUs are tens of times slower, and a comparison of two backends' outputs would compare zeros. In freshly
initialised networks they do vanish: with batch-norm statistics that were never set, the signal shrinks layer by layer.
So weights are drawn, and each batch-norm's statistics are set from its inputs in one forward pass.

Statistics of single channels from one pass are too noisy: a channel that happens to be nearly constant is scaled up by
hundreds, and after twenty such layers the standard deviation is 1e6. So each channel gets its own mean, and all
channels of a layer the same variance, which one image estimates well.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from hwnas.supernets.bare import without_weights

_SEED = 2205_10358  # any fixed number serves

# How many random numbers are drawn and used repeatedly, since drawing every weight would take most of the time. A
# prime larger than any row of weights, so that no two rows of a layer are equal.
_POOL = 1_048_583


def build_live(make: Callable[[], nn.Module], inputs: tuple[torch.Tensor, ...]) -> nn.Module:
    """Make a module, give it live weights, and return it in evaluation mode.

    Args:
        make: builds the module; called under ``without_weights``, so that no weight is initialised twice.
        inputs: positional inputs of the forward pass that sets the batch-norm statistics. One sample is enough, and it
            may be a little smaller than the real ones, but not smaller than the kernels: most of a kernel would meet
            padding, and statistics would be too small for the real size.

    Raises:
        ValueError: the module has a buffer that is not batch-norm's, whose values would be lost.
    """
    with without_weights():
        module = make()
    _allocate(module)
    draw_weights(module)
    module.eval()
    set_statistics(module, inputs)
    return module


def _allocate(module: nn.Module) -> None:
    """Give every parameter and buffer memory in place of the meta device's.

    Not by ``to_empty``: what is done to a meta tensor is done in Python, which loads a library for symbols.
    """
    made: dict[int, torch.Tensor] = {}  # by what it replaces: parameters may be shared
    for part in module.modules():
        # With duplicates: one module may call a parameter by two names.
        parameters = part.named_parameters(recurse=False, remove_duplicate=False)
        buffers = part.named_buffers(recurse=False, remove_duplicate=False)
        for name, old in [*parameters, *buffers]:
            setattr(part, name, made.setdefault(id(old), _empty(old)))


def _empty(old: torch.Tensor) -> torch.Tensor:
    new = torch.empty(old.shape, dtype=old.dtype)
    return nn.Parameter(new, requires_grad=old.requires_grad) if isinstance(old, nn.Parameter) else new


def draw_weights(module: nn.Module) -> None:
    """Fill every parameter and buffer: weights uniform with the variance of He et al. (2015), all others neutral.

    Raises:
        ValueError: a buffer that is not batch-norm's.
    """
    norms = list(_norms(module))
    known = {id(buffer) for norm in norms for buffer in norm.buffers()}
    for name, buffer in module.named_buffers():
        if id(buffer) not in known:
            raise ValueError(f"buffer {name!r}: only batch-norm's are known; make it a constant of forward()")
    for norm in norms:
        norm.reset_running_stats()
    start = 0
    with torch.no_grad():
        for name, tensor in module.named_parameters():
            if tensor.dim() > 1:
                start = _fill(tensor.view(-1), math.sqrt(6 / tensor[0].numel()), start)
            else:
                tensor.fill_(0.0 if name.endswith("bias") else 1.0)


def set_statistics(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
    """Set batch-norm statistics from one pass over ``inputs``: each channel's mean, and the layer's mean variance."""

    def measure(norm: nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        assert isinstance(norm, _BatchNorm)  # noqa: S101 - hooked below on nothing else
        x = args[0]
        others = [dim for dim in range(x.dim()) if dim != 1]
        mean = x.mean(others, keepdim=True)
        # Not by var_mean: over several dimensions it takes longer than the layers themselves.
        variance = (x - mean).square_().mean()
        if norm.running_mean is not None and norm.running_var is not None:
            norm.running_mean.copy_(mean.flatten())
            norm.running_var.fill_(variance)

    hooks = [norm.register_forward_pre_hook(measure) for norm in _norms(module)]
    if hooks:
        with torch.no_grad():
            module(*inputs)
    for hook in hooks:
        hook.remove()


def random_input(*shape: int) -> torch.Tensor:
    """Return seeded normal numbers of a shape."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(_SEED))


def _norms(module: nn.Module) -> Iterator[_BatchNorm]:
    return (part for part in module.modules() if isinstance(part, _BatchNorm))


@functools.cache
def _pool() -> torch.Tensor:
    return torch.empty(_POOL).uniform_(-1, 1, generator=torch.Generator().manual_seed(_SEED))


def _fill(flat: torch.Tensor, bound: float, start: int) -> int:
    """Fill ``flat`` from the pool, scaled by ``bound``, from the pool's entry ``start``; return the next entry."""
    pool, done = _pool(), 0
    while done < len(flat):
        take = min(len(flat) - done, len(pool) - start)
        torch.mul(pool[start : start + take], bound, out=flat[done : done + take])
        done, start = done + take, (start + take) % len(pool)
    return start
