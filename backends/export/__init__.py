"""ONNX graphs of stages, written from the networks' own description.

A stage's module is followed by symbolic tracing, and each call is written down by the emitter registered for it,
batch-norms folded into the convolutions before them: a few hundredths of a second, where ``torch.onnx.export`` takes
seconds. What has no emitter goes to ``torch.onnx.export``. A new emitter is one function in one of the ``emit_`` files.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwnas.supernets.supernet import Stage

if TYPE_CHECKING:
    import torch

__all__ = ["Graph", "export"]


@dataclass(frozen=True)
class Graph:
    """An exported graph.

    Attributes:
        model: the serialised ONNX model; the same network always gives the same bytes.
        hash: SHA-256 of everything but the weights' values (see ``builder.graph_hash``): what determines latency.
        opset: the version of ONNX's operator set.
        exporter: "trace", or "dynamo" for ``torch.onnx.export``.
        inputs: the inputs' names, in the order of the stage's.
        outputs: the outputs' names, nested results flattened.
    """

    model: bytes
    hash: str
    opset: int
    exporter: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


_Key = tuple[tuple[tuple[int, ...], ...], tuple[str, ...], str, bool]

# By module, so that ONNX Runtime and OpenVINO share one export; a graph goes when its module goes.
_exported: weakref.WeakKeyDictionary[torch.nn.Module, dict[_Key, Graph]] = weakref.WeakKeyDictionary()


def export(stage: Stage, precision: str = "fp32", dynamic_batch: bool = False) -> Graph:
    """Return the stage's graph; asked again for the same module, inputs and options, the same object.

    A stage's module does not change once it is made; one whose weights were changed after its export is not seen.

    Args:
        stage: its module in evaluation mode, on the CPU.
        precision: "fp32", or "fp16" and "bf16" for weights and floating-point inputs of that type.
        dynamic_batch: leave the first dimension of every input open; else it is the example's, which runtimes use.

    Raises:
        BackendError: the module can be written neither by this exporter nor by torch's; says what would help.
    """
    key = (tuple(tuple(x.shape) for x in stage.inputs), stage.input_names, precision, dynamic_batch)
    graphs = _exported.setdefault(stage.module, {})
    if key not in graphs:
        graphs[key] = _export(stage, precision, dynamic_batch)
    return graphs[key]


def _export(stage: Stage, precision: str, dynamic_batch: bool) -> Graph:
    import torch

    from hwnas.backends.export.builder import OPSET, Unsupported
    from hwnas.backends.export.dynamo import export_by_torch
    from hwnas.backends.export.trace import Translation

    dtype = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[precision]
    try:
        translation = Translation(stage.module, stage.inputs, stage.input_names, dtype, dynamic_batch)
        model, found, outputs = translation.write()
    except Unsupported as reason:
        return export_by_torch(stage, dtype, dynamic_batch, str(reason))
    return Graph(model, found, OPSET, "trace", stage.input_names, outputs)
