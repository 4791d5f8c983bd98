"""Export a stage as an ONNX graph by symbolic tracing, a hundred times faster than ``torch.onnx.export``.

Each call that is traced is written by the emitter registered for it, with batch-norms folded into the convolutions
before them; this takes a few hundredths of a second. Modules without an emitter are exported by ``torch.onnx.export``,
which takes seconds. A new emitter is one function in one of the ``emit_`` files.
"""

from __future__ import annotations

import contextlib
import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hwnas.supernets.errors import BackendError
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
        weights: what is too large to be in the model, which has at most 2 GiB: the content of a file beside it.
        weights_file: that file's name, which the model knows; "" where there is none.
    """

    model: bytes
    hash: str
    opset: int
    exporter: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    weights: tuple[bytes, ...] = ()
    weights_file: str = ""

    @contextlib.contextmanager
    def readable(self) -> Iterator[bytes | str]:
        """Yield what a runtime reads the graph from: the model, or the name of a file with its weights beside it.

        Raises:
            BackendError: the files cannot be written into a temporary folder.
        """
        if not self.weights:
            yield self.model
            return
        with contextlib.ExitStack() as stack:
            try:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hwnas-")))
                for name, parts in (("model.onnx", (self.model,)), (self.weights_file, self.weights)):
                    with (folder / name).open("wb") as file:
                        file.writelines(parts)
            except OSError as error:
                size = sum(map(len, self.weights)) / 1e9
                raise BackendError(
                    f"{size:.1f} GB of weights cannot be written ({error}); TMPDIR names another folder"
                ) from error
            yield str(folder / "model.onnx")


_Key = tuple[tuple[tuple[int, ...], ...], tuple[str, ...], str, bool]

# By module, so that ONNX Runtime and OpenVINO share one export; a graph is dropped together with its module.
_exported: weakref.WeakKeyDictionary[torch.nn.Module, dict[_Key, Graph]] = weakref.WeakKeyDictionary()


def export(stage: Stage, precision: str = "fp32", dynamic_batch: bool = False) -> Graph:
    """Return the stage's graph; the same object again for the same module, inputs and options.

    A stage's module must not change: weights that are changed after the export are not noticed.

    Args:
        stage: its module in evaluation mode, on the CPU.
        precision: "fp32", or "fp16" and "bf16" for weights and floating-point inputs of that type.
        dynamic_batch: leave the first dimension of every input open; otherwise it is that of the example inputs.

    Raises:
        BackendError: neither this exporter nor torch's can export the module; says what would help.
    """
    key = (tuple(tuple(x.shape) for x in stage.inputs), stage.input_names, precision, dynamic_batch)
    graphs = _exported.setdefault(stage.module, {})
    if key not in graphs:
        graphs[key] = _from_file(stage.module) or _export(stage, precision, dynamic_batch)
    return graphs[key]


def _from_file(module: torch.nn.Module) -> Graph | None:
    """Return the graph of a module that is an ONNX file; ``None``: it is none."""
    if not hasattr(module, "opset"):
        return None
    from hwnas.backends.export.builder import graph_hash
    from hwnas.supernets.onnx_file import OnnxFile

    if not isinstance(module, OnnxFile):
        return None
    import onnx

    found = graph_hash(onnx.load_from_string(module.model))
    return Graph(module.model, found, module.opset, "file", module.names, module.outputs)


def _export(stage: Stage, precision: str, dynamic_batch: bool) -> Graph:
    import torch

    from hwnas.backends.export.builder import OPSET, Unsupported, beside
    from hwnas.backends.export.dynamo import export_by_torch
    from hwnas.backends.export.trace import Translation

    dtype = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[precision]
    try:
        translation = Translation(stage.module, stage.inputs, stage.input_names, dtype, dynamic_batch, stage.name)
        model, found, weights, outputs = translation.write()
    except Unsupported as reason:
        return export_by_torch(stage, dtype, dynamic_batch, str(reason))
    file = beside(stage.name) if weights else ""
    return Graph(model, found, OPSET, "trace", stage.input_names, outputs, weights, file)
