"""How dimensions go through calls that rearrange tensors: shapes, parts and joins."""

# ruff: noqa: ARG001 - the parameters are those of torch's operators, and not all decide about dimensions

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hwnas.supernets.elastic.axes import Axis, fix, join, product, reshaped, unify
from hwnas.supernets.elastic.program import Node
from hwnas.supernets.elastic.rules import Axes, Flowing, at, broadcast, constant, fixed, loose, rule


@rule("view", "reshape", "_unsafe_view", "flatten", "unflatten")
def view(node: Node, x: Flowing, *args: Any, **kwargs: Any) -> Axes:
    """Regroup neighbouring dimensions."""
    return reshaped(x.axes, node.shape, at(node))


@rule("transpose", "swapaxes", "swapdims")
def transpose(node: Node, x: Flowing, dim0: int, dim1: int) -> Axes:
    """Swap two dimensions."""
    axes = list(x.axes)
    axes[dim0], axes[dim1] = axes[dim1], axes[dim0]
    return axes


@rule("numpy_T")
def reversed_dims(node: Node, x: Flowing) -> Axes:
    """Turn the order of dimensions round."""
    return list(x.axes[::-1])


@rule("t", "mT")
def transposed(node: Node, x: Flowing) -> Axes:
    """Swap the last two dimensions."""
    return [*x.axes[:-2], *x.axes[-2:][::-1]]


@rule("permute")
def permute(node: Node, x: Flowing, dims: Sequence[int]) -> Axes:
    """Reorder dimensions."""
    return [x.axes[dim] for dim in dims]


@rule("movedim")
def movedim(node: Node, x: Flowing, source: Any, destination: Any) -> Axes:
    """Move dimensions to other places."""
    rank = len(x.axes)
    sources, targets = ([one] if isinstance(one, int) else list(one) for one in (source, destination))
    rest = iter(dim for dim in range(rank) if dim not in {one % rank for one in sources})
    places = {to % rank: of % rank for of, to in zip(sources, targets, strict=True)}
    return [x.axes[places[dim] if dim in places else next(rest)] for dim in range(rank)]


@rule("unsqueeze")
def unsqueeze(node: Node, x: Flowing, dim: int) -> Axes:
    """Add a dimension of 1."""
    axes = list(x.axes)
    axes.insert(dim % len(node.shape), loose(1))
    return axes


@rule("squeeze")
def squeeze(node: Node, x: Flowing, dim: Any = None) -> Axes:
    """Drop dimensions of 1."""
    dims = range(len(x.axes)) if dim is None else [dim] if isinstance(dim, int) else dim
    dropped = {one % len(x.axes) for one in dims}
    return [axis for number, axis in enumerate(x.axes) if number not in dropped or axis.size != 1]


@rule("expand", "broadcast_to", "expand_as")
def expand(node: Node, x: Flowing, size: Any, *, implicit: bool = False) -> Axes:
    """Repeat dimensions of 1 as often as is needed."""
    others = [size] if isinstance(size, Flowing) else []
    return broadcast(node, [x, *others])


@rule("repeat", "tile")
def repeat(node: Node, x: Flowing, repeats: Sequence[int]) -> Axes:
    """Make products of the repeats and what is repeated."""
    new = len(repeats) - len(x.axes)
    if new < 0:
        repeats, new = [*[1] * -new, *repeats], 0
    axes = [*(loose(1) for _ in range(new)), *x.axes]
    return [_times(axis, times, node, outer=True) for axis, times in zip(axes, repeats, strict=True)]


@rule("repeat_interleave")
def repeat_interleave(node: Node, x: Flowing, repeats: int, dim: int | None = None, **kwargs: Any) -> Any:
    """Make a product of what is repeated and the repeats."""
    axes = list(x.axes)
    if dim is None or not isinstance(repeats, int):
        fixed(node, axes)
        return [constant(size, node) for size in node.shape]
    axes[dim] = _times(axes[dim], repeats, node, outer=False)
    return axes


def _times(axis: Axis, times: int, node: Node, *, outer: bool) -> Axis:
    if times == 1:
        return axis
    if axis.size == 1:
        return loose(times)  # of one sample perhaps as many as there are samples
    # A whole tensor may be repeated as often as there are samples.
    return product([loose(times), axis] if outer else [axis, constant(times, node)])


@rule("cat", "concat", "concatenate")
def concatenate(node: Node, tensors: Sequence[Flowing], dim: int = 0) -> Axes:
    """Join one dimension, and unify the others."""
    # What is empty is left out, as torch does.
    there = [one for one in tensors if one.sizes != (0,)]
    dim %= len(node.shape)
    joined = join([one.axes[dim] for one in there])
    rest = [Flowing((*one.axes[:dim], loose(1), *one.axes[dim + 1 :])) for one in there]
    sizes = [1 if number == dim else size for number, size in enumerate(node.shape)]
    axes = broadcast(node, rest, sizes)
    axes[dim] = joined
    return axes


@rule("stack")
def stack(node: Node, tensors: Sequence[Flowing], dim: int = 0) -> Axes:
    """Add a dimension of as many entries as there are tensors."""
    rank = len(node.shape)
    rest = [Flowing((*one.axes[: dim % rank], loose(1), *one.axes[dim % rank :])) for one in tensors]
    sizes = [1 if number == dim % rank else size for number, size in enumerate(node.shape)]
    axes = broadcast(node, rest, sizes)
    axes[dim % rank] = constant(len(tensors), node)
    return axes


@rule("split", "split_with_sizes", "chunk", "tensor_split")
def split(node: Node, x: Flowing, sizes: Any, dim: int = 0) -> list[Axes]:
    """Make a dimension the join of its parts."""
    dim %= len(x.axes)
    axis = x.axes[dim]
    parts = [Axis(shape[dim], axis.fixed) for shape in node.shapes]
    if len(parts) > 1 and not axis.found().batch:
        unify(axis, join(parts), at(node))
    else:
        fix(axis, at(node))
    return [[*x.axes[:dim], part, *x.axes[dim + 1 :]] for part in parts]


@rule("glu")
def glu(node: Node, x: Flowing, dim: int = -1) -> Axes:
    """Make a dimension the join of two equal halves."""
    half = Axis(node.shape[dim])
    unify(x.axes[dim], join([half, half]), at(node))
    axes = list(x.axes)
    axes[dim] = half
    return axes


@rule("unbind")
def unbind(node: Node, x: Flowing, dim: int = 0) -> list[Axes]:
    """Fix the dimension that is taken apart."""
    dim %= len(x.axes)
    fix(x.axes[dim], f"{at(node)} takes it apart")
    return [[*x.axes[:dim], *x.axes[dim + 1 :]] for _ in node.shapes]


@rule("select")
def select(node: Node, x: Flowing, dim: int, index: int) -> Axes:
    """Fix the dimension of which one entry is taken."""
    dim %= len(x.axes)
    fix(x.axes[dim], f"{at(node)} takes one entry of it")
    return [*x.axes[:dim], *x.axes[dim + 1 :]]


@rule("slice", "narrow", "index_select", "roll", "flip", "constant_pad_nd", "pad", "cumsum")
@rule("cumprod", "logcumsumexp")
def along(node: Node, x: Flowing, *args: Any, **kwargs: Any) -> Axes:
    """Fix what a call changes the size of, or treats by position; other dimensions go through."""
    touched = _touched(node, x, args)
    for number, axis in enumerate(x.axes):
        if axis.size != node.shape[number] or number in touched:
            fix(axis, at(node))
    return [axis if axis.size == size else constant(size, node) for axis, size in zip(x.axes, node.shape, strict=True)]


def _touched(node: Node, x: Flowing, args: Sequence[Any]) -> set[int]:
    """Return the dimensions that a call treats by position, even where it keeps their size."""
    rank = len(x.axes)
    match node.operator:
        case "slice" | "narrow" | "constant_pad_nd" | "pad":
            return set()  # a slice or padding that keeps the size is the whole
        case "roll":
            return {dim % rank for dim in args[1]} if len(args) > 1 else set(range(rank))
        case "flip":
            return {dim % rank for dim in args[0]}
        case "index_select" | "cumsum" | "cumprod" | "logcumsumexp":
            return {args[0] % rank}
        case _:
            return set(range(rank))


@rule("unfold")
def windows(node: Node, x: Flowing, dimension: int, *args: Any) -> Axes:
    """Fix the dimension of whose windows a new one is made, at the end."""
    dim = dimension % len(x.axes)
    fix(x.axes[dim], at(node))
    count, size = constant(node.shape[dim], node), constant(node.shape[-1], node)
    return [*x.axes[:dim], count, *x.axes[dim + 1 :], size]


@rule("im2col")
def columns(node: Node, x: Flowing, *args: Any) -> Axes:
    """Make products of channels and a window's pixels."""
    pixels = constant(node.shape[-2] // x.axes[-3].size, node)
    return [*x.axes[:-3], product([x.axes[-3], pixels]), constant(node.shape[-1], node)]


@rule("col2im")
def from_columns(node: Node, x: Flowing, *args: Any) -> Axes:
    """Take a window's pixels from products of channels and these."""
    channels, pixels = node.shape[-3], x.axes[-2].size // node.shape[-3]
    outer, inner = reshaped([x.axes[-2]], [channels, pixels], at(node))
    fix(inner, f"the pixels of {at(node)}")
    return [*x.axes[:-2], outer, *(constant(size, node) for size in node.shape[-2:])]


@rule("slice_scatter", "select_scatter")
def part_changed(node: Node, x: Flowing, part: Flowing, dim: int = 0, *args: Any) -> Axes:
    """Fix the dimension of which a part is another's, unless it is all of it; the others are both's."""
    dim %= len(x.axes)
    rest = list(part.axes)
    if node.operator == "select_scatter":
        rest.insert(dim, loose(1))
    for number, (axis, other) in enumerate(zip(x.axes, rest, strict=True)):
        if number == dim and axis.size != other.size:
            fixed(node, [axis, other])
        else:
            unify(axis, other, at(node))
    return list(x.axes)


@rule("gather")
def gather(node: Node, x: Flowing, dim: int, indices: Flowing, **kwargs: Any) -> Axes:
    """Fix the dimension of which entries are taken; in the others there is an index for each."""
    dim %= max(1, len(x.axes))
    for number, (axis, other) in enumerate(zip(x.axes, indices.axes, strict=True)):
        if number == dim or axis.size != other.size:
            fix(axis, at(node))
        else:
            unify(axis, other, at(node))
    return list(indices.axes)


@rule("index")
def index(node: Node, x: Flowing, indices: Sequence[Flowing | None]) -> Any:
    """Fix the dimensions that are indexed, but for samples that are all taken in order."""
    chosen = [number for number, one in enumerate(indices) if one is not None]
    given = [one for one in indices if one is not None]
    together = chosen == list(range(chosen[0], chosen[0] + len(chosen)))
    rest = [axis for number, axis in enumerate(x.axes) if number not in chosen]
    for number, one in zip(chosen, given, strict=True):
        whole = next((axis for axis in one.axes if axis.counting and axis.size == x.axes[number].size), None)
        if whole is not None:
            unify(x.axes[number], whole, at(node))
        elif not x.axes[number].found().batch:
            fix(x.axes[number], at(node))
    count = len(node.shape) - len(rest)
    start = chosen[0] if together else 0
    axes = broadcast(node, given, node.shape[start : start + count])
    return [*x.axes[:start], *axes, *rest[start:]] if together else [*axes, *rest]


@rule("arange")
def counted(node: Node, *args: Any, **kwargs: Any) -> Axes:
    """Count as far as is needed."""
    axis = loose(node.shape[0])
    axis.counting = True
    return [axis]


@rule("full", "zeros", "ones", "empty", "new_ones", "new_zeros", "new_full", "new_empty", "scalar_tensor")
def made(node: Node, *args: Any, **kwargs: Any) -> Axes:
    """Give what is made of nothing the sizes that are needed."""
    return [loose(size) for size in node.shape]


@rule("diff")
def difference(node: Node, x: Flowing, n: int = 1, dim: int = -1, *ends: Flowing | None) -> Axes:
    """Fix the dimension along which neighbours are subtracted; what is put before and behind has the others."""
    dim %= len(x.axes)
    for end in (one for one in ends if one is not None):
        for number, axis in enumerate(end.axes):
            if number != dim:
                unify(x.axes[number], axis, at(node))
    fix(x.axes[dim], at(node))
    return [constant(size, node) if number == dim else x.axes[number] for number, size in enumerate(node.shape)]


@rule("tril", "triu")
def triangle(node: Node, x: Flowing, diagonal: int = 0) -> Axes:
    """Fix the two dimensions of the triangle."""
    fixed(node, x.axes[-2:])
    return list(x.axes)
