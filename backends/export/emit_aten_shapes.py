"""Emit ONNX for torch's own operators that move, repeat or pad entries; see ``emit_aten``."""

# ruff: noqa: A002 - parameters carry the names that torch's operators give

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from hwnas.backends.export import emit_arrays, emit_shapes
from hwnas.backends.export.builder import GraphBuilder, Unsupported, Value
from hwnas.backends.export.emit_aten import Number, alike, aten, expand, pad, pads
from hwnas.backends.export.registered import Emitter

alike(torch.transpose, "swapaxes", "swapdims")
alike(torch.cat, "concat", "concatenate")
alike("type_as", "type_as")


@aten("numpy_T")
def reversed_dims(g: GraphBuilder, input: Value) -> Value:
    """Write dimensions in the reverse order."""
    return emit_shapes.permute(g, input, list(range(g.rank(input)))[::-1])


@aten("mT")
def transposed(g: GraphBuilder, input: Value) -> Value:
    """Write the last two dimensions swapped."""
    rank = g.rank(input)
    return emit_shapes.permute(g, input, [*range(rank - 2), rank - 1, rank - 2])


@aten("gather")
def gather(g: GraphBuilder, input: Value, dim: int, index: Value, **_gradients: Any) -> Value:
    """Write a look-up of single numbers along a dimension, of the first entries in others where indices are fewer.

    The first entries are split off: OpenVINO drops a slice of them before a look-up, whatever its dimension (2026.4).
    """
    x, rank = input, g.rank(input)
    for other, (size, wanted) in enumerate(zip(g.shape(input), g.shape(index), strict=True)):
        if other != dim % rank and wanted < size:
            x = emit_arrays.split(g, x, [wanted, size - wanted], other)[0]
    found: Value = emit_arrays.gather(g, x, dim, index)
    return found


@aten("roll")
def roll(g: GraphBuilder, input: Value, shifts: Sequence[int], dims: Sequence[int] = ()) -> Value:
    """Write a shift along dimensions, where what leaves at one end comes in at the other."""
    if not dims:
        raise Unsupported("a roll of all entries")
    x = input
    for shift, dim in zip(shifts, dims, strict=True):
        at = shift % g.shape(input)[dim]
        if at:
            before = (slice(None),) * (dim % g.rank(input))
            parts = [emit_arrays.getitem(g, x, (*before, one)) for one in (slice(-at, None), slice(None, -at))]
            x = emit_arrays.concatenate(g, parts, dim)
    return x


@aten("flip")
def flip(g: GraphBuilder, input: Value, dims: Sequence[int]) -> Value:
    """Write dimensions the other way round."""
    axes = [dim % g.rank(input) for dim in dims]
    if not axes:
        return input
    steps = [-1] * len(axes)
    return g.like("Slice", input, g.ints(*steps), g.ints(*[-(2**31)] * len(axes)), g.ints(*axes), g.ints(*steps))


def _triangle(upper: int) -> Emitter:
    def emit(g: GraphBuilder, input: Value, diagonal: int = 0) -> Value:
        return g.like("Trilu", input, g.constant(diagonal, torch.int64), upper=upper)

    return emit


aten("tril")(_triangle(0))
aten("triu")(_triangle(1))


@aten("expand_as")
def expand_as(g: GraphBuilder, input: Value, other: Value) -> Value:
    """Write a repetition of dimensions of size 1."""
    found: Value = expand(g, input, g.shape(other))
    return found


@aten("movedim")
def movedim(g: GraphBuilder, input: Value, source: int | Sequence[int], destination: int | Sequence[int]) -> Value:
    """Write another order of dimensions."""
    rank = g.rank(input)
    sources, targets = ([one] if isinstance(one, int) else list(one) for one in (source, destination))
    places = {to % rank: one % rank for one, to in zip(sources, targets, strict=True)}
    others = iter(one for one in range(rank) if one not in places.values())
    found: Value = emit_shapes.permute(
        g, input, [places[one] if one in places else next(others) for one in range(rank)]
    )
    return found


@aten("tile")
def tile(g: GraphBuilder, input: Value, dims: Sequence[int]) -> Value:
    """Write a repetition along dimensions, the last ones if fewer are named."""
    found: Value = emit_shapes.repeat(g, input, *[1] * (g.rank(input) - len(dims)), *dims)
    return found


@aten("repeat_interleave")
def repeat_interleave(
    g: GraphBuilder,
    input: Value,
    repeats: Any,
    dim: int | None = None,
    output_size: int | None = None,  # noqa: ARG001
) -> Value:
    """Write a repetition of each entry along a dimension."""
    if dim is None or not isinstance(repeats, int) or (g.dynamic_batch and dim % g.rank(input) == 0):
        raise Unsupported("a repetition of entries by numbers that are computed, of all entries, or over an open batch")
    rank, at, shape = g.rank(input), dim % g.rank(input), list(g.shape(input))
    wide = g.op("Unsqueeze", input, g.ints(at + 1), rank=rank + 1, dtype=g.dtype_of(input))
    times = [1] * (rank + 1)
    times[at + 1] = repeats
    wide = g.op("Expand", wide, g.ints(*times), rank=rank + 1, dtype=g.dtype_of(input))
    sizes = [0 if one == 0 else size for one, size in enumerate(shape)]
    sizes[at] = shape[at] * repeats
    return g.op("Reshape", wide, g.ints(*sizes), rank=rank, dtype=g.dtype_of(input))


@aten("slice_scatter")
def with_part(
    g: GraphBuilder,
    input: Value,
    src: Value,
    dim: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> Value:
    """Write a stretch of a dimension that is replaced."""
    if step != 1:
        raise Unsupported(f"every {step}th entry that is replaced")
    first, last, _ = slice(start, end).indices(g.shape(input)[dim])
    before = (slice(None),) * (dim % g.rank(input))
    parts = [emit_arrays.getitem(g, input, (*before, slice(0, first)))] if first else []
    parts.append(src)
    if last < g.shape(input)[dim]:
        parts.append(emit_arrays.getitem(g, input, (*before, slice(last, None))))
    return src if len(parts) == 1 else emit_arrays.concatenate(g, parts, dim)


@aten("select_scatter")
def with_entry(g: GraphBuilder, input: Value, src: Value, dim: int, index: int) -> Value:
    """Write one entry of a dimension that is replaced."""
    first, rank = index % g.shape(input)[dim], g.rank(input)
    wide = g.op("Unsqueeze", src, g.ints(dim % rank), rank=rank, dtype=g.dtype_of(src))
    found: Value = with_part(g, input, wide, dim, first, first + 1)
    return found


# --- beyond the edges ------------------------------------------------------------------------------------------------


def _edges(mode: str) -> Emitter:
    return lambda g, x, padding: g.like("Pad", x, pads(g, x, padding), mode=mode)


def _circle(g: GraphBuilder, x: Value, padding: Sequence[int]) -> Value:
    """Write what lies at the other end beyond each edge; ONNX's own mode for it OpenVINO does not read (2026.4)."""
    if min(padding) < 0:
        raise Unsupported("a circular padding that cuts")
    for number in range(len(padding) // 2):
        begin, end = padding[2 * number : 2 * number + 2]
        dim = g.rank(x) - 1 - number
        before = (slice(None),) * dim
        parts = [emit_arrays.getitem(g, x, (*before, slice(-begin, None)))] if begin else []
        parts.append(x)
        parts += [emit_arrays.getitem(g, x, (*before, slice(0, end)))] if end else []
        x = x if len(parts) == 1 else emit_arrays.concatenate(g, parts, dim)
    return x


_REFLECTED, _REPEATED = _edges("reflect"), _edges("edge")
aten("reflection_pad1d", "reflection_pad2d")(_REFLECTED)
aten("replication_pad1d", "replication_pad2d")(_REPEATED)
_MODES = {"reflect": _REFLECTED, "replicate": _REPEATED, "circular": _circle}


@aten("pad")
def padded(
    g: GraphBuilder, input: Value, sides: Sequence[int], mode: str = "constant", value: Number | None = None
) -> Value:
    """Write a padding with a number, or with what lies at the edges."""
    if mode != "constant" and mode not in _MODES:
        raise Unsupported(f"padding of mode {mode!r}")
    found: Value = _MODES[mode](g, input, sides) if mode in _MODES else pad(g, input, sides, value or 0)
    return found
