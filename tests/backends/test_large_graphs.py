"""Graphs whose weights are too large for one model, as protobuf limits it: they lie beside it."""

from __future__ import annotations

import importlib.util

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from hwnas.backends import Settings, get
from hwnas.backends.export import builder, export
from hwnas.search.deploy import check, write
from hwnas.supernets.errors import BackendError
from hwnas.supernets.supernet import Stage

RUNTIMES = ["onnxruntime", "openvino"]


def stage(name="test"):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 36, 5)).eval()
    return Stage(name, module, (torch.rand(2, 3, 8, 8),), ("x",))


def expected(one):
    with torch.no_grad():
        return one.module(*one.inputs).numpy()


@pytest.fixture
def large(monkeypatch):
    """Take the limit down, so that a small network is beyond it."""
    monkeypatch.setattr(builder, "MOST_BYTES", 10_000)


def test_weights_are_in_the_model_where_they_fit():
    graph = export(stage())
    assert (graph.weights, graph.weights_file) == ((), "")
    with graph.readable() as source:
        assert source is graph.model


def test_weights_lie_beside_the_model_where_they_do_not_fit(large):
    one, graph = stage(), export(stage())
    assert graph.weights_file == "test.weights"
    assert len(graph.model) < 2_000
    assert sum(map(len, graph.weights)) > 10_000
    with graph.readable() as source:
        onnx.checker.check_model(source)
        whole = {each.name: onnx.numpy_helper.to_array(each) for each in onnx.load(source).graph.initializer}
    for name, tensor in one.module.state_dict().items():
        assert any(np.array_equal(tensor.numpy(), each) for each in whole.values()), name


def test_the_hash_is_the_same_wherever_weights_lie(large, monkeypatch):
    apart = export(stage()).hash
    monkeypatch.undo()
    assert export(stage()).hash == apart


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_runtimes_compute_the_same(large, runtime):
    pytest.importorskip(runtime)
    one = stage()
    session = get(runtime).prepare(one, Settings(threads=1))
    session.run()
    np.testing.assert_allclose(session.outputs()[0], expected(one), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_files_to_deploy_are_read_and_compute_the_same(large, runtime, tmp_path):
    pytest.importorskip(runtime)
    one = stage()
    made = write._onnx(one) if runtime == "onnxruntime" else write._openvino(one)
    for name, content in made.items():
        (tmp_path / name).write_bytes(content)
    run = check._by_onnxruntime if runtime == "onnxruntime" else check._by_openvino
    (file,) = (tmp_path / name for name in made if name.endswith((".onnx", ".xml")))
    found = run(file, one.input_names)([each.numpy() for each in one.inputs])
    np.testing.assert_allclose(found[0], expected(one), rtol=1e-4, atol=1e-5)


def test_int8_says_what_stands_in_the_way(large):
    pytest.importorskip("onnxruntime")
    with pytest.raises(BackendError, match="precision=int8: expected at most 2 GB of weights"):
        get("onnxruntime").prepare(stage(), Settings(threads=1, precision="int8"))


def test_a_folder_that_cannot_be_written_is_named(large, monkeypatch, tmp_path):
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(BackendError, match="weights cannot be written"), export(stage()).readable():
        pass


@pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="OpenVINO is not installed")
def test_int8_of_openvino_reads_them_too(large):
    pytest.importorskip("nncf")
    one = stage()
    session = get("openvino").prepare(one, Settings(threads=1, precision="int8"))
    session.run()
    np.testing.assert_allclose(session.outputs()[0], expected(one), atol=0.05)
