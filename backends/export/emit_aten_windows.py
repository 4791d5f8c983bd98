"""Emit ONNX for torch's own operators that look at windows or channels, such as poolings; see ``emit_aten``.

Poolings of sequences are those of images of one row.
"""

# ruff: noqa: A002 - parameters carry the names that torch's operators give

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from hwnas.backends.export import emit_pooling, emit_shapes
from hwnas.backends.export.builder import GraphBuilder, Unsupported, Value
from hwnas.backends.export.emit_aten import alike, aten, pad
from hwnas.backends.export.emit_aten_layers import each
from hwnas.backends.export.registered import Emitter

Sizes = int | Sequence[int]

alike(F.adaptive_avg_pool2d, "adaptive_avg_pool2d")
alike(F.max_pool2d, "max_pool2d")
alike(F.avg_pool2d, "avg_pool2d")


@aten("max_pool2d_with_indices")
def max_pool_with_indices(g: GraphBuilder, input: Value, *args: Any, **kwargs: Any) -> tuple[Value, None]:
    """Write a maximum over windows; what reads its indices cannot be written."""
    return emit_pooling.max_pool(g, input, *args, **kwargs), None


@aten("unfold")
def windows(g: GraphBuilder, input: Value, dimension: int, size: int, step: int) -> Value:
    """Write the windows of a dimension, as a new one at the end."""
    rank, dim = g.rank(input), dimension % g.rank(input)
    starts = torch.arange(0, g.shape(input)[dim] - size + 1, step)
    places = g.constant(starts[:, None] + torch.arange(size), torch.int64)
    found = g.op("Gather", input, places, rank=rank + 1, dtype=g.dtype_of(input), axis=dim)
    return emit_shapes.permute(g, found, [one for one in range(rank + 1) if one != dim + 1] + [dim + 1])


@aten("im2col")
def columns(g: GraphBuilder, input: Value, kernel_size: Sizes, dilation: Sizes, padding: Sizes, stride: Sizes) -> Value:
    """Write the windows of images as columns: channels x the window's pixels, by the windows' places."""
    sizes, gaps, sides, steps = (each(one, 2) for one in (kernel_size, dilation, padding, stride))
    rank, dtype, shape = g.rank(input), g.dtype_of(input), g.shape(input)
    x = input if not any(sides) else pad(g, input, [sides[1], sides[1], sides[0], sides[0]])
    counts = []
    # Rows come first, and become two dimensions; then columns, which are two further back.
    for number, dim in enumerate((-2, -1)):
        length = shape[dim] + 2 * sides[number]
        counts.append((length - gaps[number] * (sizes[number] - 1) - 1) // steps[number] + 1)
        starts = torch.arange(counts[-1]) * steps[number]
        places = g.constant(starts + gaps[number] * torch.arange(sizes[number])[:, None], torch.int64)
        x = g.op("Gather", x, places, rank=rank + number + 1, dtype=dtype, axis=rank - 2 + 2 * number)
    lead = list(range(rank - 2))
    x = emit_shapes.permute(g, x, [*lead, rank - 2, rank, rank - 1, rank + 1])
    made = [*([0] * (rank - 3)), shape[-3] * sizes[0] * sizes[1], counts[0] * counts[1]]
    return g.op("Reshape", x, g.ints(*made), rank=rank - 1, dtype=dtype)


@aten("col2im")
def from_columns(
    g: GraphBuilder,
    input: Value,
    output_size: Sizes,
    kernel_size: Sizes,
    dilation: Sizes,
    padding: Sizes,
    stride: Sizes,
) -> Value:
    """Write images from the columns of windows that do not overlap."""
    sizes, (height, width) = each(kernel_size, 2), each(output_size, 2)
    tiled = each(stride, 2) == sizes and set(each(dilation, 2)) == {1} and set(each(padding, 2)) == {0}
    if not tiled or height % sizes[0] or width % sizes[1] or g.rank(input) != 3:
        raise Unsupported("images from windows that overlap")
    dtype, channels = g.dtype_of(input), g.shape(input)[1] // (sizes[0] * sizes[1])
    grid = g.ints(0, channels, *sizes, height // sizes[0], width // sizes[1])
    x = emit_shapes.permute(g, g.op("Reshape", input, grid, rank=6, dtype=dtype), [0, 1, 4, 2, 5, 3])
    return g.op("Reshape", x, g.ints(0, channels, height, width), rank=4, dtype=dtype)


# --- sequences -------------------------------------------------------------------------------------------------------


def _of_rows(pool: Any, *names: str) -> Emitter:
    """Return the emitter of a pooling of sequences, given that of images and the names of its window's numbers."""

    def emit(g: GraphBuilder, input: Value, *args: Any, **kwargs: Any) -> Value:
        given = dict(zip(names, args, strict=False)) | kwargs
        for name, beside in (("kernel_size", 1), ("stride", 1), ("padding", 0), ("dilation", 1), ("output_size", 1)):
            if given.get(name) not in (None, []):
                given[name] = [beside, *each(given[name], 1)]
        image = g.op("Unsqueeze", input, g.ints(-2), rank=g.rank(input) + 1, dtype=g.dtype_of(input))
        found = pool(g, image, **given)
        return g.op("Squeeze", found, g.ints(-2), rank=g.rank(input), dtype=g.dtype_of(input))

    return emit


aten("max_pool1d")(_of_rows(emit_pooling.max_pool, "kernel_size", "stride", "padding", "dilation", "ceil_mode"))
aten("avg_pool1d")(
    _of_rows(emit_pooling.average_pool, "kernel_size", "stride", "padding", "ceil_mode", "count_include_pad")
)


@aten("adaptive_avg_pool1d")
def adaptive_average_of_sequences(g: GraphBuilder, input: Value, output_size: Sizes) -> Value:
    """Write an average pooling that gives so many entries."""
    (wanted,) = each(output_size, 1)
    if wanted == 1:
        return emit_pooling.mean(g, input, -1, True)
    length = g.shape(input)[-1]
    if length % wanted:
        raise Unsupported(f"adaptive pooling from {length} to {wanted}")
    found: Value = _of_rows(emit_pooling.average_pool, "kernel_size")(g, input, length // wanted)
    return found


# --- transposed convolutions -----------------------------------------------------------------------------------------


@aten("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def transposed_convolution(  # noqa: PLR0913, PLR0917 - torch's signature
    g: GraphBuilder,
    input: Value,
    weight: Value,
    bias: Value | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Value:
    """Write a transposed convolution whose weight is an input or computed."""
    kernel = list(g.shape(weight)[2:])
    strides, pads, more, dilations = (each(one, len(kernel)) for one in (stride, padding, output_padding, dilation))
    attributes: dict[str, Any] = {"kernel_shape": kernel, "strides": strides, "dilations": dilations, "group": groups}
    attributes |= {"rank": len(kernel) + 2, "dtype": g.dtype_of(input), "pads": pads * 2, "output_padding": more}
    return emit_pooling.of_one(
        g, input, len(kernel) + 2, lambda x: g.op("ConvTranspose", x, weight, bias, **attributes)
    )


# --- norms of channels -----------------------------------------------------------------------------------------------


@aten("batch_norm")
def batch_norm(  # noqa: PLR0913, PLR0917 - torch's signature
    g: GraphBuilder,
    input: Value,
    weight: Value | None,
    bias: Value | None,
    running_mean: Value | None,
    running_var: Value | None,
    training: bool = False,
    momentum: float = 0.1,  # noqa: ARG001
    eps: float = 1e-5,
    cudnn_enabled: bool = True,  # noqa: ARG001
) -> Value:
    """Write a batch-norm with its running statistics."""
    scale = _scale_and_shift(g, input, weight, bias)
    if training or running_mean is None or running_var is None:
        if g.dynamic_batch or g.shape(input)[0] != 1:
            raise Unsupported("a batch-norm without running statistics")
        # Over one sample it is a norm of that one's channels, as where weights are standardised by it.
        return g.like("InstanceNormalization", input, *scale, epsilon=eps)
    return g.like("BatchNormalization", input, *scale, running_mean, running_var, epsilon=eps)


def _scale_and_shift(g: GraphBuilder, x: Value, weight: Value | None, bias: Value | None) -> tuple[Value, Value]:
    """Return a norm's weight and bias, 1 and 0 for each channel where it has none."""
    dtype = g.dtype_of(x)
    return (
        g.constant(torch.ones(g.shape(x)[1]), dtype) if weight is None else weight,
        g.constant(torch.zeros(g.shape(x)[1]), dtype) if bias is None else bias,
    )


@aten("_native_batch_norm_legit_no_training")
def native_batch_norm(
    g: GraphBuilder,
    input: Value,
    weight: Value | None,
    bias: Value | None,
    running_mean: Value,
    running_var: Value,
    momentum: float,  # noqa: ARG001
    eps: float,
) -> tuple[Value, None, None]:
    """Write a batch-norm; what reads the statistics that it returns cannot be written."""
    return batch_norm(g, input, weight, bias, running_mean, running_var, eps=eps), None, None


@aten("instance_norm")
def instance_norm(  # noqa: PLR0913, PLR0917 - torch's signature
    g: GraphBuilder,
    input: Value,
    weight: Value | None = None,
    bias: Value | None = None,
    running_mean: Value | None = None,  # noqa: ARG001
    running_var: Value | None = None,  # noqa: ARG001
    use_input_stats: bool = True,
    momentum: float = 0.1,  # noqa: ARG001
    eps: float = 1e-5,
    cudnn_enabled: bool = True,  # noqa: ARG001
) -> Value:
    """Write a norm of each sample's channels."""
    if not use_input_stats:
        raise Unsupported("an instance norm with running statistics")
    return g.like("InstanceNormalization", input, *_scale_and_shift(g, input, weight, bias), epsilon=eps)
