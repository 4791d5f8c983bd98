"""An ONNX file as a torch module: runtimes that read ONNX are given the graph itself, others cannot run it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.shape_inference
import torch

from hwnas.supernets.errors import UsageError

# Operators that multiply and accumulate, with the place of their weights.
_RECURRENT = ("LSTM", "GRU", "RNN")
_PRODUCTS = {"Conv", "ConvTranspose", "Gemm", "MatMul"}


class OnnxFile(torch.nn.Module):
    """A graph from a file, for one batch size. As a torch module it computes what ONNX Runtime does, unoptimised.

    Args:
        file: the file; weights beside it are read too.
        batch: takes the place of an open first dimension of the inputs.

    Raises:
        UsageError: an input has another open dimension, or another batch size.

    Attributes:
        model: the serialised graph.
        opset: the version of ONNX's operator set.
        names: of the inputs.
        outputs: the outputs' names.
    """

    def __init__(self, file: Path, batch: int) -> None:
        super().__init__()
        loaded = onnx.load(str(file))
        given = {one.name for one in loaded.graph.initializer}
        self._inputs = [one for one in loaded.graph.input if one.name not in given]
        for one in self._inputs:
            _close(one, batch, file)
        del loaded.graph.value_info[:]
        self.model: bytes = loaded.SerializeToString()
        self.opset = max((one.version for one in loaded.opset_import if one.domain in {"", "ai.onnx"}), default=0)
        self.names = tuple(one.name for one in self._inputs)
        self.outputs = tuple(one.name for one in loaded.graph.output)
        self._session: Any = None

    def examples(self) -> tuple[torch.Tensor, ...]:
        """Return seeded inputs: normal numbers, and zeros for what are no floats."""
        rng = np.random.default_rng(0)
        return tuple(torch.from_numpy(_example(one, rng)) for one in self._inputs)

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the outputs, to compare with."""
        import onnxruntime

        if self._session is None:
            options = onnxruntime.SessionOptions()
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
            options.log_severity_level = 3
            self._session = onnxruntime.InferenceSession(self.model, options, providers=["CPUExecutionProvider"])
        fed = {name: one.numpy() for name, one in zip(self.names, inputs, strict=True)}
        return tuple(torch.from_numpy(np.array(one)) for one in self._session.run(None, fed))


def counts(file: Path) -> tuple[int, int]:
    """Return the multiply-accumulates at batch 1, of convolutions, products and recurrent layers, and the parameters.

    Raises:
        UsageError: it is no ONNX file.
    """
    try:
        loaded = onnx.load(str(file))
        initial = {one.name: tuple(one.dims) for one in loaded.graph.initializer}
        batch = _close_all(loaded, file)
        graph = onnx.shape_inference.infer_shapes(loaded).graph
    except UsageError:
        raise
    except Exception as error:
        # protobuf's and onnx's errors share no base class below Exception.
        raise UsageError(f"model {str(file)!r}: is not an ONNX file: {' '.join(str(error).split())}") from error
    shapes = initial | {one.name: _shape(one) for one in (*graph.input, *graph.value_info, *graph.output)}
    total = sum(_macs(node, shapes) for node in graph.node if node.op_type in (*_PRODUCTS, *_RECURRENT))
    return total // batch, sum(math.prod(dims) for dims in initial.values())


def _close_all(loaded: Any, file: Path) -> int:
    """Put 1 in the place of open batch sizes; return the batch size of the first input."""
    given = {one.name for one in loaded.graph.initializer}
    inputs = [one for one in loaded.graph.input if one.name not in given]
    for one in inputs:
        dims = one.type.tensor_type.shape.dim
        _close(one, dims[0].dim_value or 1 if dims else 1, file)
    return int(inputs[0].type.tensor_type.shape.dim[0].dim_value) if inputs and _shape(inputs[0]) else 1


def _close(one: Any, batch: int, file: Path) -> None:
    dims = one.type.tensor_type.shape.dim
    for place, dim in enumerate(dims):
        if place == 0 and not dim.dim_value:
            dim.dim_value = batch
        elif not dim.dim_value:
            raise UsageError(
                f"model {str(file)!r}: input {one.name!r} has an open dimension {place}: export it with a fixed one"
            )
    if dims and dims[0].dim_value != batch:
        raise UsageError(
            f"model {str(file)!r}: input {one.name!r} is of {dims[0].dim_value} samples, the platform's batch is "
            f"{batch}"
        )


def _shape(one: Any) -> tuple[int, ...]:
    return tuple(int(dim.dim_value) for dim in one.type.tensor_type.shape.dim)


def _example(one: Any, rng: np.random.Generator) -> Any:
    dtype = onnx.helper.tensor_dtype_to_np_dtype(one.type.tensor_type.elem_type)
    shape = _shape(one)
    return rng.standard_normal(shape).astype(dtype) if dtype.kind == "f" else np.zeros(shape, dtype)


def _macs(node: Any, shapes: dict[str, tuple[int, ...]]) -> int:
    """Return the multiply-accumulates of a node; 0 where its shapes are not known."""
    left, right, out = (shapes.get(name, ()) for name in (node.input[0], node.input[1], node.output[0]))
    if not left or not right:
        return 0
    if node.op_type in _RECURRENT:  # each step multiplies with both kinds of weights, (directions, ...)
        again = shapes.get(node.input[2], ())
        return math.prod(left[:2]) * (math.prod(right) + math.prod(again)) if again else 0
    if node.op_type == "Conv":  # weights (out, in / groups, ...)
        return math.prod(out) * math.prod(right[1:])
    if node.op_type == "ConvTranspose":  # weights (in, out / groups, ...)
        return math.prod(left) * math.prod(right[1:])
    transposed = any(one.name == "transA" and one.i for one in node.attribute)
    return math.prod(out) * left[0 if transposed else -1]
