"""Quantise ONNX graphs to int8 by ``onnxruntime.quantization`` (static, QuantizeLinear and DequantizeLinear pairs)."""

from __future__ import annotations

import logging
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hwnas.backends.backend import installed_versions
from hwnas.backends.export import Graph
from hwnas.backends.quantise import Batch, Calibration, Layers
from hwnas.backends.quantise.instructions import saturates
from hwnas.supernets.errors import BackendError

if TYPE_CHECKING:
    from onnx import GraphProto

# The operators that ONNX Runtime's optimiser turns convolutions and products into: in int8, and not.
_IN_INT8 = {
    "ConvInteger",
    "DynamicQuantizeMatMul",
    "MatMulInteger",
    "MatMulIntegerToFloat",
    "QGemm",
    "QLinearConv",
    "QLinearMatMul",
}
_IN_FULL = {"Conv", "FusedConv", "ConvTranspose", "Gemm", "FusedGemm", "MatMul", "FusedMatMul"}


def quantiser() -> str:
    """Return the quantiser's name and version."""
    found = installed_versions("onnxruntime", "onnxruntime-gpu")
    return " ".join(next(iter(found.items())))


def quantise(graph: Graph, calibration: Calibration, stage: str) -> bytes:
    """Return the serialised model, quantised wherever ONNX Runtime has a kernel for it.

    Args:
        graph: in fp32.
        calibration: ranges are the smallest and largest values seen.
        stage: its name, for messages.

    Raises:
        BackendError: the quantiser fails on the graph, or its weights are too large to be in one model.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_static

    if graph.weights:
        raise BackendError(f"stage {stage!r}: precision=int8: expected at most 2 GB of weights in FP32")
    model = onnx.load_model_from_string(graph.model)
    with tempfile.TemporaryDirectory(prefix="hwnas-") as folder, _silent():
        file = Path(folder) / "int8.onnx"
        try:
            quantize_static(
                model,
                file,
                _Reader(calibration.batches),
                per_channel=True,
                nodes_to_exclude=[*_shared_look_ups(model.graph), *_in_full(model.graph)],
                reduce_range=saturates(),
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
        # The quantiser can raise anything; the stage cannot run in int8 then.
        except Exception as error:
            raise BackendError(f"onnxruntime.quantization cannot quantise stage {stage!r}: {error}") from error
        return file.read_bytes()


def _shared_look_ups(graph: GraphProto) -> list[str]:
    """Return the nodes that look up rows in what another node multiplies by, or transpose it.

    Such are a table of tokens and logits, and a decoder with its encoder's weights. The quantiser would quantise the
    table for the first that it meets, along an axis that is not the other's. Look-ups cost nothing that int8 would
    spare.
    """
    readers = Counter(name for node in graph.node for name in set(node.input))
    weights = {one.name for one in graph.initializer}
    shared = [node for node in graph.node if node.input and readers[node.input[0]] > 1]
    return [
        node.name
        for node in shared
        if node.op_type == "Gather" or (node.op_type == "Transpose" and node.input[0] in weights)
    ]


def _in_full(graph: GraphProto) -> list[str]:
    """Return the nodes that stay as they are.

    Those that put minus infinity where attention must not look, and softmax, which reads it: a range that has infinity
    in it has no steps. And transposed convolutions: ONNX Runtime has no int8 kernel for them (1.32), and of groups the
    quantiser fails, which takes their outputs for those of one group.
    """
    return [node.name for node in graph.node if node.op_type in {"Where", "Softmax", "ConvTranspose"}]


@contextmanager
def _silent() -> Iterator[None]:
    """Suppress the quantiser's messages on standard error: advice on preparing graphs, and layers left in fp32.

    It also computes steps of ranges that it does not use, and warns of those with infinity in them.
    """
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with np.errstate(divide="ignore", invalid="ignore"):
            yield
    finally:
        logging.disable(before)


def layers(optimised: Path) -> Layers:
    """Return how many layers of a graph run in int8, from the file with ONNX Runtime's optimised graph."""
    import onnx

    kinds = Counter(node.op_type for node in onnx.load(optimised).graph.node)
    int8 = sum(kinds[kind] for kind in _IN_INT8)
    return Layers(int8, int8 + sum(kinds[kind] for kind in _IN_FULL))


class _Reader:
    """Passes batches to the quantiser one by one, through the interface of its ``CalibrationDataReader``."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        self._batches = iter(batches)

    def get_next(self) -> Batch | None:
        return next(self._batches, None)
