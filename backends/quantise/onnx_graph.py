"""Quantise ONNX graphs to int8 by ``onnxruntime.quantization`` (static, QuantizeLinear and DequantizeLinear pairs)."""

from __future__ import annotations

import logging
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hwnas.backends.backend import installed_versions
from hwnas.backends.export import Graph
from hwnas.backends.quantise import Batch, Calibration, Layers
from hwnas.backends.quantise.instructions import saturates
from hwnas.supernets.errors import BackendError

# The operators that ONNX Runtime's optimiser turns convolutions and products into: in int8, and not.
_IN_INT8 = {"QLinearConv", "QGemm", "QLinearMatMul", "MatMulIntegerToFloat", "ConvInteger", "MatMulInteger"}
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
        BackendError: the quantiser fails on the graph.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_static

    model = onnx.load_model_from_string(graph.model)
    with tempfile.TemporaryDirectory(prefix="hwnas-") as folder, _silent():
        file = Path(folder) / "int8.onnx"
        try:
            quantize_static(
                model,
                file,
                _Reader(calibration.batches),
                per_channel=True,
                reduce_range=saturates(),
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
        # The quantiser can raise anything; the stage cannot run in int8 then.
        except Exception as error:
            raise BackendError(f"onnxruntime.quantization cannot quantise stage {stage!r}: {error}") from error
        return file.read_bytes()


@contextmanager
def _silent() -> Iterator[None]:
    """Suppress the quantiser's messages on standard error: advice on preparing graphs, and layers left in fp32."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
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
