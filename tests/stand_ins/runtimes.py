"""Stages on the runtimes that read exported graphs, called as the modules themselves are: tensors in, tensors out."""

from __future__ import annotations

import torch

from hwnas.backends.export import export
from hwnas.backends.openvino_core import read_model, shared_core


def on_onnxruntime(stage):
    import onnxruntime

    graph = export(stage)
    session = onnxruntime.InferenceSession(graph.model, providers=["CPUExecutionProvider"])

    def call(*inputs):
        feed = {name: x.numpy() for name, x in zip(graph.inputs, inputs, strict=True)}
        return [torch.from_numpy(found) for found in session.run(list(graph.outputs), feed)]

    return call


def on_openvino(stage):
    core = shared_core()
    compiled = core.compile_model(read_model(core, export(stage).model), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def call(*inputs):
        found = compiled([x.numpy() for x in inputs])
        return [torch.from_numpy(found[port].copy()) for port in compiled.outputs]

    return call


RUNTIMES = [("onnxruntime", on_onnxruntime), ("openvino", on_openvino)]
