"""Call a user's function that makes a model, and check what it gives."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from hwnas.supernets.elastic.tracing import Inputs
from hwnas.supernets.errors import UsageError
from hwnas.supernets.own_code import explained, load, printing_aside
from hwnas.supernets.plug_ins import FAILURES

_EXPECTED = "expected a torch module and its example inputs for one sample, like (model, torch.rand(1, 3, 224, 224))"


def function(spec: str, what: str) -> Callable[..., Any]:
    """Return the function of ``FILE.py:FUNCTION`` or ``package.module:FUNCTION``; raises ``UsageError``."""
    place, _, name = spec.rpartition(":")
    if not place or place.endswith(".py") or "/" in place:
        found: Callable[..., Any] = load(spec, what).function
        return found
    try:
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
    if not isinstance(given, tuple) or len(given) != 2:
        raise UsageError(f"{what}: {_EXPECTED}, got a {type(given).__name__}")
    return checked(*given, what)


def checked(module: Any, inputs: Any, what: str) -> tuple[nn.Module, Inputs]:
    """Return a module and its example inputs, checked by running it twice.

    Raises:
        UsageError: they are of another kind, it does not run, or its outputs change from call to call.
    """
    if not isinstance(module, nn.Module):
        raise UsageError(f"{what}: {_EXPECTED}, got a {type(module).__name__} for the module")
    several = _several(inputs)
    if not several or not all(isinstance(one, torch.Tensor) for one in several):
        raise UsageError(f"{what}: {_EXPECTED}; inputs can be a tensor, a tuple or a dict of them, got {inputs!r:.80}")
    tensors = [*module.parameters(), *module.buffers(), *several]
    elsewhere = next((one.device for one in tensors if one.device.type != "cpu"), None)
    if elsewhere is not None:
        raise UsageError(f"{what}: has tensors on {elsewhere}; expected all of them on the CPU: model.cpu()")
    module.eval()
    try:
        with torch.no_grad(), printing_aside():
            first, second = (flat(called(module, inputs)) for _ in range(2))
    except FAILURES as error:
        raise UsageError(f"{what}: does not run on its example inputs: {explained(error)}") from error
    if not first:
        raise UsageError(f"{what}: its outputs are no tensors")
    if len(first) != len(second) or not all(
        torch.equal(a.nan_to_num(), b.nan_to_num()) if a.is_floating_point() else torch.equal(a, b)
        for a, b in zip(first, second, strict=True)
    ):
        raise UsageError(
            f"{what}: its outputs change from call to call, in evaluation mode; sub-networks of it cannot be compared"
        )
    return module, inputs


def _several(inputs: Any) -> Sequence[Any]:
    if isinstance(inputs, Mapping):
        return list(inputs.values())
    return list(inputs) if isinstance(inputs, tuple | list) else [inputs]


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
