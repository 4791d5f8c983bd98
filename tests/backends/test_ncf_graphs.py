"""Networks that look whole numbers up in tables compute the same on every backend."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hwnas import backends, supernets
from hwnas.backends import RunningBackend, Settings
from hwnas.backends.export import export

NET = supernets.get("ncf:users=50,items=200")
BACKENDS = [name for name in ("onnxruntime", "openvino", "torch") if backends.get(name).why_not() is None]


def stage(which, batch):
    X = NET.space.sample(1, which) if isinstance(which, int) else getattr(NET.space, which)()
    return NET.stages(NET.space.decode(X)[0], batch)[0]


@pytest.mark.parametrize(("which", "batch"), [("smallest", 1), ("largest", 1), (0, 1), (1, 3)])
@pytest.mark.parametrize("name", BACKENDS)
def test_scores_are_torchs(name, which, batch):
    backend, made = backends.get(name), stage(which, batch)
    assert isinstance(backend, RunningBackend)
    session = backend.prepare(made, Settings(batch=batch))
    session.run()
    (found,) = session.outputs()
    with torch.no_grad():
        expected = made.module(*made.inputs).numpy()
    assert found.shape == expected.shape == (batch, 100)
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()
    session.close()


@pytest.mark.parametrize("kind", ["embedding", "product", "pair", "dense", "head"])
@pytest.mark.parametrize("name", BACKENDS)
def test_every_block_runs_alone(name, kind):
    block = next(block for slot in NET.slots for block in slot.blocks if block is not None and block.kind == kind)
    made = NET.block_stage(block, batch=2)
    session = backends.get(name).prepare(made, Settings(batch=2))
    session.run()
    (found,) = session.outputs()
    with torch.no_grad():
        expected = made.module(*made.inputs).numpy()
    assert found.shape == (2, *block.output)
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()
    session.close()


def test_the_graph_looks_up_whole_numbers_and_is_written_here():
    import onnx

    graph = export(stage(0, 2))
    assert graph.exporter == "trace"
    model = onnx.load_from_string(graph.model)
    onnx.checker.check_model(model, full_check=True)
    types = {value.name: value.type.tensor_type.elem_type for value in model.graph.input}
    assert types == dict.fromkeys(("user", "items"), onnx.TensorProto.INT64)
    assert sum(node.op_type == "Gather" for node in model.graph.node) == 4


def test_sub_networks_of_one_shape_share_a_graph():
    one, other = (export(stage(2, 1)) for _ in range(2))
    assert one.hash == other.hash
