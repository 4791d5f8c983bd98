"""The names of a model's outputs: of those that it gives as a dict, a named tuple or a data class."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.utils import _pytree as pytree

from hwnas.supernets.plug_ins import FAILURES


def output_names(exported: torch.export.ExportedProgram, given: Sequence[bool]) -> dict[str, int | tuple[int, ...]]:
    """Return where each named output is among the tensors that a model gives, nested ones together.

    Args:
        exported: the model.
        given: of each of its results, whether it is a tensor; others (``None``, numbers) are no outputs.
    """
    spec = exported.call_spec.out_spec
    if spec is None or spec.num_leaves != len(given):
        return {}
    numbers = iter(range(len(given)))
    places: list[Any] = [next(numbers) if tensor else None for tensor in given]
    try:
        outputs = pytree.tree_unflatten(places, spec)
        found = {name: pytree.tree_leaves(one) for name, one in _items(outputs)}
    except FAILURES:  # a class of the user's own that takes tensors alone; its tensors are counted
        return {}
    kept = {name: tuple(one for one in some if one is not None) for name, some in found.items()}
    single = {name for name, one in _items(outputs) if isinstance(one, int)}
    return {name: some[0] if name in single else some for name, some in kept.items() if some}


def _items(outputs: Any) -> list[tuple[str, Any]]:
    if isinstance(outputs, Mapping):
        return [(str(name), one) for name, one in outputs.items()]
    if dataclasses.is_dataclass(outputs):
        return [(field.name, getattr(outputs, field.name)) for field in dataclasses.fields(outputs)]
    return list(outputs._asdict().items()) if hasattr(outputs, "_asdict") else []
