"""How dimensions go through a call: the registry of rules, and what they share.

A rule takes the call's node and its arguments, with tensors as ``Flowing``, unifies the axes that must be equal, and
returns the axes of the result: a list, or a list of lists where the call gives several tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from hwnas.supernets.elastic.axes import Axis, fix, unify
from hwnas.supernets.elastic.program import Node

Axes = list[Axis]
Rule = Callable[..., Any]
_Rule = TypeVar("_Rule", bound=Rule)

RULES: dict[str, Rule] = {}


@dataclass(frozen=True)
class Flowing:
    """A tensor's dimensions.

    Attributes:
        axes: one per dimension.
        weight: it is a parameter or a buffer of the model, or computed of these alone.
    """

    axes: tuple[Axis, ...]
    weight: bool = False

    @property
    def sizes(self) -> tuple[int, ...]:
        """The shape as it was traced."""
        return tuple(axis.size for axis in self.axes)


def rule(*operators: str) -> Callable[[_Rule], _Rule]:
    """Register the rule of operators, by their names without overloads."""

    def register(found: _Rule) -> _Rule:
        RULES.update(dict.fromkeys(operators, found))
        return found

    return register


def at(node: Node) -> str:
    """Return what a call is and where it is, for the reason why something is fixed."""
    where = node.line or node.path
    return f"{node.operator} ({where})" if where else node.operator


def constant(size: int, node: Node) -> Axis:
    """Return a dimension that a call makes and that never shrinks."""
    return Axis(size, f"its size comes from {at(node)}")


def loose(size: int) -> Axis:
    """Return a dimension that a call makes in whatever size is needed."""
    return Axis(size, "" if size > 1 else "it has one entry")


def broadcast(node: Node, values: Sequence[Flowing], sizes: Sequence[int] | None = None) -> Axes:
    """Return the axes of what is computed entry by entry of tensors, whose dimensions are aligned at their ends."""
    sizes = node.shape if sizes is None else sizes
    result = []
    for back in range(len(sizes), 0, -1):
        size = sizes[len(sizes) - back]
        there = [value.axes[-back] for value in values if len(value.axes) >= back and value.axes[-back].size == size]
        if size == 1 or not there:
            result.append(loose(size))
            continue
        for other in there[1:]:
            unify(there[0], other, at(node))
        result.append(there[0])
    return result


def fixed(node: Node, axes: Sequence[Axis], reason: str = "") -> None:
    """Fix axes because of a call."""
    for axis in axes:
        fix(axis, reason or at(node))


def unknown(node: Node, values: Sequence[Flowing]) -> Any:
    """Return the axes of a call without a rule: nothing that goes in or comes out may shrink.

    Its samples are told by their number alone. Where it is something else's, the model's outputs are not found again,
    and it is followed for single samples.
    """
    batch = next((axis for value in values for axis in value.axes if axis.found().batch), None)
    for value in values:
        place = None if batch is None or value.weight else _place(value.sizes, batch.size)
        if batch is not None and place is not None and _is_open(value.axes[place]):
            unify(value.axes[place], batch, at(node))
        fixed(node, [axis for axis in value.axes if not axis.found().batch], f"{at(node)} is not known")
    results = [[constant(size, node) for size in shape] for shape in node.shapes]
    for axes, shape in zip(results, node.shapes, strict=True):
        if batch is not None and (place := _place(shape, batch.size)) is not None:
            axes[place] = batch
    return results[0] if len(results) == 1 else results


def _place(sizes: Sequence[int], size: int) -> int | None:
    """Return the place of the only dimension of a size; of several the first dimension; ``None``: it is none."""
    found = [place for place, one in enumerate(sizes) if one == size]
    return found[0] if len(found) == 1 or 0 in found else None


def _is_open(axis: Axis) -> bool:
    """Return whether a dimension can still be as large as is needed."""
    return not axis.found().form and not axis.found().fixed


def tensors(argument: Any) -> list[Flowing]:
    """Return the tensors among arguments, nested ones too."""
    if isinstance(argument, Flowing):
        return [argument]
    if isinstance(argument, dict):
        argument = list(argument.values())
    return [found for one in argument for found in tensors(one)] if isinstance(argument, tuple | list) else []
