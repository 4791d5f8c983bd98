"""Write an ONNX graph node by node."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch
    from onnx import ModelProto, TensorProto
    from torch import fx

# LayerNormalization came with 17, ReduceMean's axes as input with 18, Gelu with 20; onnxruntime 1.20 and
# OpenVINO 2024.6, the oldest that are served, read 21.
OPSET = 20
_IR_VERSION = 10
# A serialised model has at most 2 GiB, which protobuf cannot exceed. Beyond so many bytes, weights lie beside it, all
# but small ones.
MOST_BYTES, SMALL = 2_000_000_000, 1024

# The types of ONNX attributes.
Attribute = int | float | str | Sequence[int] | Sequence[float]


class Unsupported(Exception):  # noqa: N818 - a signal between two exporters that no caller sees
    """The module does something that this exporter does not support."""


@dataclass(frozen=True)
class Value:
    """A tensor in the graph.

    Attributes:
        name: in the graph.
        rank: its number of dimensions if the emitter knows it.
        dtype: its type if the emitter knows it.
        node: the traced call that it is the result of, from which unknown shapes are inferred.
    """

    name: str
    rank: int | None = None
    dtype: torch.dtype | None = None
    node: fx.Node | None = None


class GraphBuilder:
    """The nodes, weights and constants of a graph that is being written.

    Args:
        dtype: of weights and of floating-point constants; float32 weights are cast to it.
        dynamic_batch: the first dimension of the inputs stays open.
        name: after which the file is named in which large weights lie.
    """

    def __init__(self, dtype: torch.dtype, dynamic_batch: bool, name: str = "network") -> None:
        from onnx import GraphProto

        self.name = name
        self.dtype = dtype
        self.dynamic_batch = dynamic_batch
        self._graph = GraphProto(name="network")
        # Weights are added after the graph is hashed.
        self._data: list[bytes] = []
        self._named: dict[str, Value] = {}
        self._used: dict[str, int] = {}

    def op(
        self,
        kind: str,
        *inputs: Value | None,
        rank: int | None = None,
        dtype: torch.dtype | None = None,
        name: str | None = None,
        **attributes: Attribute,
    ) -> Value:
        """Add a node with one output and return that; ``None`` among the inputs leaves an optional one out."""
        return self.op_many(kind, *inputs, outputs=1, rank=rank, dtype=dtype, name=name, **attributes)[0]

    def op_many(
        self,
        kind: str,
        *inputs: Value | None,
        outputs: int,
        rank: int | None = None,
        dtype: torch.dtype | None = None,
        name: str | None = None,
        **attributes: Attribute,
    ) -> list[Value]:
        """Add a node with several outputs of one rank and type."""
        from onnx.helper import make_attribute

        node = self._graph.node.add()
        base = self._unused(name or f"v{len(self._graph.node) - 1}")
        names = [base] if outputs == 1 else [self._unused(f"{base}.{index}") for index in range(outputs)]
        node.op_type = kind
        node.name = base
        given = list(inputs)
        while given and given[-1] is None:  # some crash onnxruntime as an empty name at the end
            given.pop()
        node.input.extend("" if value is None else value.name for value in given)
        node.output.extend(names)
        node.attribute.extend(make_attribute(key, value) for key, value in sorted(attributes.items()))
        return [Value(each, rank, dtype) for each in names]

    def like(self, kind: str, x: Value, *more: Value | None, name: str | None = None, **attributes: Attribute) -> Value:
        """Add a node whose output has the rank and type of ``x``, its first input."""
        nodes = self.op_many(
            kind, x, *more, outputs=1, rank=self.rank(x), dtype=self.dtype_of(x), name=name, **attributes
        )
        return nodes[0]

    def rank(self, x: Value) -> int:
        """Return the number of dimensions of ``x``."""
        return len(self.shape(x)) if x.rank is None else x.rank

    def cast_dtype(self, dtype: torch.dtype) -> torch.dtype:
        """Return the type that ``dtype`` of the module has in the graph."""
        import torch

        return self.dtype if dtype == torch.float32 else dtype

    def dtype_of(self, x: Value) -> torch.dtype:
        """Return the type of ``x``."""
        raise NotImplementedError

    def shape(self, x: Value) -> tuple[int, ...]:
        """Return the shape of ``x``."""
        raise NotImplementedError

    def weight(self, name: str, tensor: torch.Tensor) -> Value:
        """Add a tensor once under its name; floating-point values are not part of the graph's hash."""
        if name not in self._named:
            tensor = tensor.detach()
            self._named[name] = self._initializer(self._unused(name), tensor.to(self.cast_dtype(tensor.dtype)))
        return self._named[name]

    def constant(self, values: npt.ArrayLike | torch.Tensor, dtype: torch.dtype) -> Value:
        """Add a constant; equal ones are added once, under a name with their values, so that hashes include them."""
        import torch

        tensor = (values if isinstance(values, torch.Tensor) else torch.as_tensor(np.asarray(values))).to(dtype)
        shown = tensor.tolist() if tensor.numel() <= 16 else hashlib.sha256(_bytes(tensor)).hexdigest()
        name = f"const.{str(dtype).removeprefix('torch.')}.{tuple(tensor.shape)}.{shown}"
        if name not in self._named:
            self._named[name] = self._initializer(name, tensor)
        return self._named[name]

    def ints(self, *values: int) -> Value:
        """Add a 1-d constant of integers, such as the axes of a reduction or a shape."""
        import torch

        return self.constant(values, torch.int64)

    def _unused(self, name: str) -> str:
        """Return ``name``, with a number if something else has it: a module's other call, a weight, an input.

        All names of a graph are in one space, and those of a model's parts and inputs are its author's.
        """
        self._used[name] = self._used.get(name, 0) + 1
        return name if self._used[name] == 1 else self._unused(f"{name}#{self._used[name]}")

    def _initializer(self, name: str, tensor: torch.Tensor) -> Value:
        proto = self._graph.initializer.add()
        proto.name = name
        proto.data_type = onnx_type(tensor.dtype)
        proto.dims.extend(tensor.shape)
        self._data.append(_bytes(tensor))
        return Value(name, tensor.dim(), tensor.dtype)

    def finish(
        self, inputs: Sequence[tuple[str, torch.dtype, Sequence[int | str]]], outputs: Sequence[tuple[str, Value]]
    ) -> tuple[bytes, str, tuple[bytes, ...]]:
        """Return the model, serialised, its hash, and the weights that are too large to be in it.

        Weights beside the model are in the file that ``beside`` names, one after the other.

        Args:
            inputs: name, type and shape of each; a dimension that is text is dynamic.
            outputs: the name and value of each; the names are nothing else's.
        """
        from onnx.helper import make_model, make_opsetid, make_tensor_value_info

        graph = self._graph
        for name, dtype, shape in inputs:
            graph.input.append(make_tensor_value_info(name, onnx_type(dtype), list(shape)))
        for name, value in outputs:
            # An output needs its own name, and an input or a weight may be one.
            self._graph.node.add(op_type="Identity", name=name, input=[value.name], output=[name])
            graph.output.append(
                make_tensor_value_info(name, onnx_type(self.dtype_of(value)), [None] * self.rank(value))
            )
        model = make_model(
            graph, opset_imports=[make_opsetid("", OPSET)], ir_version=_IR_VERSION, producer_name="hwnas"
        )
        found = graph_hash(model)
        apart = sum(map(len, self._data)) > MOST_BYTES
        at = 0
        for proto, data in zip(model.graph.initializer, self._data, strict=True):
            # Axes and shapes stay in the model: readers look at them before they read weights.
            if apart and len(data) > SMALL:
                _lies_beside(proto, beside(self.name), at, len(data))
                at += len(data)
            else:
                proto.raw_data = data
        weights = [d for p, d in zip(model.graph.initializer, self._data, strict=True) if not p.HasField("raw_data")]
        return model.SerializeToString(deterministic=True), found, tuple(weights)


def beside(name: str) -> str:
    """Return the name of the file with the weights that lie beside a model, given the model's own name."""
    return f"{name}.weights"


def _lies_beside(proto: TensorProto, file: str, offset: int, length: int) -> None:
    from onnx import TensorProto

    proto.data_location = TensorProto.EXTERNAL
    for key, value in (("location", file), ("offset", str(offset)), ("length", str(length))):
        entry = proto.external_data.add()
        entry.key, entry.value = key, value


def graph_hash(model: ModelProto) -> str:
    """Return the SHA-256 of a model without its weights.

    It covers the operator set and every node with its attributes, every name, type and shape, and the values of all
    tensors that are not floating-point (axes, shapes, indices). It does not cover floating-point values and metadata.
    """
    from onnx import GraphProto, TensorProto

    bare = GraphProto()
    bare.CopyFrom(model.graph)
    floats = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE}
    for proto in bare.initializer:
        if proto.data_type in floats:
            for values in ("raw_data", "float_data", "double_data", "int32_data"):
                proto.ClearField(values)
    digest = hashlib.sha256(",".join(f"{entry.domain}:{entry.version}" for entry in model.opset_import).encode())
    digest.update(bare.SerializeToString(deterministic=True))
    return digest.hexdigest()


def onnx_type(dtype: torch.dtype) -> int:
    """Return ONNX's number for a torch type; raises ``Unsupported`` if it has none."""
    import torch
    from onnx import TensorProto

    known: dict[Any, int] = {
        torch.float32: TensorProto.FLOAT,
        torch.float16: TensorProto.FLOAT16,
        torch.bfloat16: TensorProto.BFLOAT16,
        torch.float64: TensorProto.DOUBLE,
        torch.int64: TensorProto.INT64,
        torch.int32: TensorProto.INT32,
        torch.uint8: TensorProto.UINT8,
        torch.int8: TensorProto.INT8,
        torch.bool: TensorProto.BOOL,
    }
    if dtype not in known:
        raise Unsupported(f"ONNX has no type for {dtype}")
    return known[dtype]


def _bytes(tensor: torch.Tensor) -> bytes:
    import torch

    tensor = tensor.detach().contiguous()
    # numpy has no bfloat16, so its bits are returned.
    return (tensor.view(torch.int16) if tensor.dtype == torch.bfloat16 else tensor).numpy().tobytes()
