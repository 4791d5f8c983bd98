"""Export modules that have no emitters by ``torch.onnx.export``, which is slower by a factor of a hundred."""

from __future__ import annotations

import contextlib
import copy
import importlib.util
import io
import warnings

import torch

from hwnas.backends.export import Graph
from hwnas.backends.export.builder import OPSET, graph_hash
from hwnas.supernets.errors import BackendError
from hwnas.supernets.supernet import Stage


def export_by_torch(stage: Stage, dtype: torch.dtype, dynamic_batch: bool, reason: str) -> Graph:
    """Return the stage's graph as torch exports it.

    Args:
        stage: what to export.
        dtype: of weights and of floating-point inputs.
        dynamic_batch: leave the first dimension of every input open.
        reason: why hwnas's own exporter cannot; part of the messages.

    Raises:
        BackendError: onnxscript is missing, or torch cannot export the module either.
    """
    if importlib.util.find_spec("onnxscript") is None:
        raise BackendError(
            f"stage {stage.name!r}: {reason}; torch's exporter may do it: pip install onnxscript, "
            "or add an emitter in backends/export"
        )
    module, inputs = stage.module, stage.inputs
    if dtype != torch.float32:
        module = copy.deepcopy(module).to(dtype)
        inputs = tuple(x.to(dtype) if x.is_floating_point() else x for x in inputs)
    shapes = tuple({0: torch.export.Dim("batch")} for _ in inputs) if dynamic_batch else None
    # torch prints its progress to standard output and warns about its own internals.
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            program = torch.onnx.export(
                module,
                inputs,
                input_names=list(stage.input_names),
                dynamic_shapes=shapes,
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
        # torch's exporter can raise anything; the stage cannot be exported then.
        except Exception as error:
            raise BackendError(f"stage {stage.name!r}: {reason}; torch's exporter failed too: {error}") from error
    assert program is not None  # noqa: S101 - it returns one when no file is named
    model = program.model_proto
    outputs = tuple(value.name for value in model.graph.output)
    return Graph(
        model.SerializeToString(deterministic=True), graph_hash(model), OPSET, "dynamo", stage.input_names, outputs
    )
