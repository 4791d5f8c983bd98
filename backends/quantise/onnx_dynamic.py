"""Quantise ONNX graphs to int8 with ranges of activations that are found as they are computed.

The weights of products are rounded to 8 bits here, column by column, symmetrically. What then happens to activations is
the runtime's own:

- ONNX Runtime is given the steps: each product becomes

      DynamicQuantizeLinear (of the activation) -> MatMulInteger -> Cast -> Mul (by both scales) [-> Add (of the bias)]

  which it fuses into one kernel, ``DynamicQuantizeMatMul``. Its own ``quantize_dynamic`` writes the same, and goes
  through a weight channel by channel in Python, which takes longer than all the rest of preparing a network.
- OpenVINO is given weights that are turned into fp32 where they are read (``DequantizeLinear``), as NNCF's
  ``compress_weights`` writes them, which takes several times as long. It keeps them in 8 bits and quantises
  activations in groups of channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hwnas.backends.export import Graph
from hwnas.backends.quantise.instructions import saturates
from hwnas.supernets.errors import BackendError
from hwnas.supernets.supernet import DYNAMIC

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto, TensorProto

# What made a graph, for records.
FACTS = {"quantisation": DYNAMIC, "quantiser": "hwnas: weights in 8 bits, column by column"}


def quantise(graph: Graph, stage: str) -> bytes:
    """Return the serialised model with all products with weights in integers, as ONNX Runtime takes it.

    Args:
        graph: in fp32.
        stage: its name, for messages.

    Raises:
        BackendError: its weights are too large to be in one model.
    """
    return _rewritten(graph, stage, _InIntegers)


def compress(graph: Graph, stage: str) -> bytes:
    """Return the serialised model with the weights of products in 8 bits, as OpenVINO takes it; see ``quantise``."""
    return _rewritten(graph, stage, _Compressed)


def _rewritten(graph: Graph, stage: str, rewriting: type[_Rewriting]) -> bytes:
    import onnx

    if graph.weights:
        raise BackendError(f"stage {stage!r}: precision=int8: expected at most 2 GB of weights in FP32")
    model = onnx.load_model_from_string(graph.model)
    rewriting(model.graph).run()
    return bytes(model.SerializeToString(deterministic=True))


def rounded(weight: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Round a weight to 8 bits, column by column.

    Args:
        weight: ``(k, n)``.

    Returns:
        Integers, ``(k, n)``, and the scale of each column, ``(n,)``: their products are about ``weight``.
    """
    # On CPUs whose sums of 8-bit products saturate, weights keep to half of their range.
    most = np.float32(63 if saturates() else 127)
    scale = np.maximum(np.abs(weight).max(axis=0) / most, np.finfo(np.float32).tiny)
    return np.rint(weight / scale).astype(np.int8), scale


class _Rewriting:
    """The nodes of a graph as they are replaced."""

    def __init__(self, graph: GraphProto) -> None:
        self._graph = graph
        self._weights: dict[str, TensorProto] = {each.name: each for each in graph.initializer}
        self._rounded: set[str] = set()

    def run(self) -> None:
        """Replace all products with weights, and drop the weights that nothing reads any more."""
        nodes = [new for node in self._graph.node for new in self._replaced(node)]
        del self._graph.node[:]
        self._graph.node.extend(nodes)
        read = {name for node in nodes for name in node.input}
        kept = [each for each in self._graph.initializer if each.name in read]
        del self._graph.initializer[:]
        self._graph.initializer.extend(kept)

    def _replaced(self, node: NodeProto) -> Iterator[NodeProto]:
        """Yield what stands in a node's place: itself, or its product in 8 bits."""
        transposed = self._transposes(node)
        if transposed is None:
            yield node
        else:
            yield from self._product(node, transposed)

    def _product(self, node: NodeProto, transposed: bool) -> Iterator[NodeProto]:
        raise NotImplementedError

    def _transposes(self, node: NodeProto) -> bool | None:
        """Return whether a product with a weight transposes it; ``None``: it is no such product."""
        from onnx import TensorProto, helper

        if node.op_type not in {"MatMul", "Gemm"}:
            return None
        weight = self._weights.get(node.input[1])
        if weight is None or weight.data_type != TensorProto.FLOAT or len(weight.dims) != 2:
            return None
        given = {each.name: helper.get_attribute_value(each) for each in node.attribute}
        if given.get("transA", 0) or given.get("alpha", 1.0) != 1 or given.get("beta", 1.0) != 1:
            return None
        return bool(given.get("transB", 0))

    def _round(self, weight: str, name: str, transposed: bool, *, as_it_lies: bool) -> tuple[str, str]:
        """Add a weight's integers and scales to the graph, once, and return their names.

        Args:
            weight: its name.
            name: of what is added.
            transposed: its rows are the columns of the product.
            as_it_lies: the integers lie as the weight does; otherwise as the product's columns.
        """
        from onnx import numpy_helper

        names = (f"{name}/int8", f"{name}/scale")
        if name not in self._rounded:
            self._rounded.add(name)
            values = numpy_helper.to_array(self._weights[weight])
            integers, scale = rounded(np.ascontiguousarray(values.T) if transposed else values)
            if transposed and as_it_lies:
                integers = np.ascontiguousarray(integers.T)
            for array, called in zip((integers, scale), names, strict=True):
                self._graph.initializer.append(numpy_helper.from_array(array, called))
        return names


class _InIntegers(_Rewriting):
    """Products are those of integers."""

    def __init__(self, graph: GraphProto) -> None:
        super().__init__(graph)
        # Products of one activation share its integers.
        self._activations: set[str] = set()

    def _product(self, node: NodeProto, transposed: bool) -> Iterator[NodeProto]:
        from onnx import TensorProto, helper

        activation, (output,) = node.input[0], node.output
        integers, scale, zero = f"{activation}/int8", f"{activation}/scale", f"{activation}/zero"
        if activation not in self._activations:
            self._activations.add(activation)
            yield helper.make_node("DynamicQuantizeLinear", [activation], [integers, scale, zero])
        name = f"{node.input[1]}/transposed" if transposed else node.input[1]
        weight, weight_scale = self._round(node.input[1], name, transposed, as_it_lies=False)
        bias = node.input[2] if len(node.input) > 2 else ""
        product = f"{output}/product" if bias else output
        yield helper.make_node("MatMulInteger", [integers, weight, zero], [f"{output}/int32"])
        yield helper.make_node("Cast", [f"{output}/int32"], [f"{output}/float"], to=TensorProto.FLOAT)
        yield helper.make_node("Mul", [scale, weight_scale], [f"{output}/scale"])
        yield helper.make_node("Mul", [f"{output}/float", f"{output}/scale"], [product])
        if bias:
            yield helper.make_node("Add", [product, bias], [output])


class _Compressed(_Rewriting):
    """Products stay, and read weights that lie in 8 bits."""

    def _product(self, node: NodeProto, transposed: bool) -> Iterator[NodeProto]:
        from onnx import helper

        name = f"{node.input[1]}/rows" if transposed else f"{node.input[1]}/columns"
        read = f"{name}/read"
        if name not in self._rounded:
            parts = self._round(node.input[1], name, transposed, as_it_lies=True)
            yield helper.make_node("DequantizeLinear", list(parts), [read], axis=0 if transposed else 1)
        node.input[1] = read
        yield node
