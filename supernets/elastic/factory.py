"""Call a user's function that makes a model, and check what it gives."""

from __future__ import annotations

import importlib
import inspect
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from hwnas.supernets.elastic.tracing import Inputs, listed
from hwnas.supernets.errors import UsageError
from hwnas.supernets.own_code import explained, load, printing_aside
from hwnas.supernets.plug_ins import FAILURES

_EXPECTED = "expected a torch module and its example inputs for one sample, like (model, torch.rand(1, 3, 224, 224))"
# Where torch's quantised layers are, whose weights are packed and no tensors.
_QUANTISED = ("torch.ao.nn.quantized", "torch.ao.nn.intrinsic.quantized")
# Bytes of a number in single precision.
_SINGLE = 4
_QUANTISATION = "expected the model before it is quantised (its sub-networks can be)"


def function(spec: str, what: str) -> Callable[..., Any]:
    """Return the function of ``FILE.py:FUNCTION`` or ``package.module:FUNCTION``; raises ``UsageError``."""
    place, _, name = spec.rpartition(":")
    if not place or place.endswith(".py") or "/" in place:
        found: Callable[..., Any] = load(spec, what).function
        return found
    try:
        with printing_aside():
            module = importlib.import_module(place)
    except FAILURES as error:
        raise UsageError(f"{what}: {spec}: cannot import {place!r}: {explained(error)}") from error
    made = getattr(module, name, None)
    if not callable(made):
        raise UsageError(f"{what}: {spec}: {place} has no function {name!r}")
    result: Callable[..., Any] = made
    return result


def model_of(spec: str) -> tuple[nn.Module, Inputs]:
    """Return the module of a user's function, on the CPU and in evaluation mode, and its example inputs.

    Raises:
        UsageError: there is no such function, it fails, or gives something else; names the file and the function.
    """
    what = f"elastic: model={spec}"
    made = function(spec, "elastic: model")
    try:
        with printing_aside():
            given = made()
    except FAILURES as error:
        raise UsageError(f"{what}: the function failed: {explained(error)}") from error
    if inspect.iscoroutine(given):
        given.close()  # or Python warns that nobody has awaited it
    if not isinstance(given, tuple) or len(given) != 2:
        raise UsageError(f"{what}: {_EXPECTED}, got a {type(given).__name__}")
    return checked(*given, what)


def checked(module: Any, inputs: Any, what: str) -> tuple[nn.Module, Inputs]:
    """Return a module and its example inputs, without gradients, checked by running it twice.

    Raises:
        UsageError: they are of another kind, it does not run, or its outputs change from call to call.
    """
    if not isinstance(module, nn.Module):
        raise UsageError(f"{what}: {_EXPECTED}, got a {type(module).__name__} for the module")
    several = listed(inputs)
    if not several or not all(isinstance(one, torch.Tensor) for one in several):
        raise UsageError(f"{what}: {_EXPECTED}; inputs can be a tensor, a tuple or a dict of them, got {inputs!r:.80}")
    if problem := _form(module) or next(filter(None, map(_kind, _tensors(module, several))), ""):
        raise UsageError(f"{what}: {problem}")
    if any(one.shape[:1] == (0,) for one in several):
        raise UsageError(f"{what}: {_EXPECTED}; the inputs have no sample")
    module.eval()
    given = _detached(inputs)
    try:
        with torch.no_grad(), printing_aside():
            first, second = (flat(called(module, given)) for _ in range(2))
    except FAILURES as error:
        raise UsageError(f"{what}: does not run on its example inputs: {explained(error)}") from error
    if not first:
        raise UsageError(f"{what}: its outputs are no tensors")
    if problem := next(filter(None, map(_kind, first)), ""):
        raise UsageError(f"{what}: its outputs: {problem}")
    if len(first) != len(second) or not all(map(_equal, first, second)):
        raise UsageError(
            f"{what}: its outputs change from call to call, in evaluation mode; sub-networks of it cannot be compared"
        )
    return module, given


def _tensors(module: nn.Module, inputs: Sequence[torch.Tensor]) -> Iterator[torch.Tensor]:
    """Yield a model's tensors, without those of lazy modules, which only running it makes."""
    tensors = itertools.chain(module.parameters(), module.buffers(), inputs)
    return (one for one in tensors if not nn.parameter.is_lazy(one))


def _form(module: nn.Module) -> str:
    """Return why a module is of a form that cannot be traced; "": it is not."""
    for part in module.modules():
        if isinstance(part, torch.jit.ScriptModule):
            return f"torch.jit has compiled its {type(part).__name__}; expected the module as it was before"
        if type(part).__module__.startswith(_QUANTISED):
            return f"{_QUANTISATION}, its {type(part).__name__} is"
    for name, one in module.named_parameters():
        if one.dtype.is_floating_point and one.dtype.itemsize < _SINGLE:
            return f"its {name} is of {one.dtype}; expected {torch.float32}: model.float() (a platform has precision=)"
    return ""


def _kind(one: torch.Tensor) -> str:
    """Return why a tensor is of a kind that cannot be used; "": it is not."""
    if one.device.type == "meta":
        return "has tensors on meta, which have no values; expected all of them on the CPU"
    if one.device.type != "cpu":
        return f"has tensors on {one.device}; expected all of them on the CPU: model.cpu()"
    if one.is_quantized:
        return f"{_QUANTISATION}, a tensor is of {one.dtype}"
    if one.layout is not torch.strided:
        return f"has tensors of the layout {one.layout}; expected dense ones: tensor.to_dense()"
    if one.is_inference():
        return "has tensors that torch.inference_mode() has made, which cannot be traced; expected torch.no_grad()"
    return ""


def _detached(inputs: Inputs) -> Inputs:
    if isinstance(inputs, Mapping):
        return {name: one.detach() for name, one in inputs.items()}
    return inputs.detach() if isinstance(inputs, torch.Tensor) else tuple(one.detach() for one in inputs)


def _equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Return whether two outputs are the same; what is no number in one is none in the other."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return torch.allclose(one, other, rtol=0, atol=0, equal_nan=True)


def called(module: nn.Module, inputs: Inputs) -> Any:
    """Return a module's outputs."""
    if isinstance(inputs, Mapping):
        return module(**inputs)
    return module(inputs) if isinstance(inputs, torch.Tensor) else module(*inputs)


def flat(outputs: Any) -> list[torch.Tensor]:
    """Return the tensors among outputs, nested ones in order."""
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    if isinstance(outputs, Mapping):
        outputs = list(outputs.values())
    return [found for one in outputs for found in flat(one)] if isinstance(outputs, tuple | list) else []
