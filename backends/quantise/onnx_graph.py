"""ONNX graphs in int8: ``onnxruntime.quantization``, static, with pairs of QuantizeLinear and DequantizeLinear."""

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

# What ONNX Runtime's optimiser makes of convolutions and products that can run in int8, and of those that cannot.
_IN_INT8 = {"QLinearConv", "QGemm", "QLinearMatMul", "MatMulIntegerToFloat", "ConvInteger", "MatMulInteger"}
_IN_FULL = {"Conv", "FusedConv", "ConvTranspose", "Gemm", "FusedGemm", "MatMul", "FusedMatMul"}


def quantiser() -> str:
    """Return who quantises, with the version."""
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
        # Whatever the quantiser stumbles over, the stage cannot be had in int8.
        except Exception as error:
            raise BackendError(f"onnxruntime.quantization cannot quantise stage {stage!r}: {error}") from error
        return file.read_bytes()


@contextmanager
def _silent() -> Iterator[None]:
    """Keep the quantiser's advice on how to prepare graphs, and what it leaves in fp32, from standard error."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def layers(optimised: Path) -> Layers:
    """Return how many layers of a graph run in int8, from the file that ONNX Runtime writes it to as it will run it."""
    import onnx

    kinds = Counter(node.op_type for node in onnx.load(optimised).graph.node)
    int8 = sum(kinds[kind] for kind in _IN_INT8)
    return Layers(int8, int8 + sum(kinds[kind] for kind in _IN_FULL))


class _Reader:
    """Hands batches to the quantiser one by one, as its ``CalibrationDataReader`` does."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        self._batches = iter(batches)

    def get_next(self) -> Batch | None:
        return next(self._batches, None)
