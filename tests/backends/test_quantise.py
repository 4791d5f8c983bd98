"""What int8 needs, and what it must not do besides."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from hwnas.backends import Settings, get
from hwnas.backends.backend import refusal
from hwnas.backends.outputs import compare, reference
from hwnas.backends.quantise import Calibration, Layers, instructions, onnx_graph, openvino_model
from hwnas.supernets.errors import BackendError, PlatformError
from hwnas.supernets.supernet import Stage

INT8 = Settings(precision="int8")


def stage(**more):
    layers = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.Flatten(), torch.nn.Linear(8 * 36, 4)).eval()
    return Stage("test", layers, (torch.ones(1, 3, 8, 8),), ("x",), **more)


# --- calibration -----------------------------------------------------------------------------------------------------


def test_without_typical_inputs_the_examples_serve():
    found = Calibration.of(stage())
    assert not found.typical
    (batch,) = found.batches
    np.testing.assert_array_equal(batch["x"], np.ones((1, 3, 8, 8)))


def test_typical_inputs_take_the_examples_place():
    found = Calibration.of(stage(calibration=((torch.zeros(1, 3, 8, 8),), (torch.full((1, 3, 8, 8), 2.0),))))
    assert found.typical
    assert [float(batch["x"].max()) for batch in found.batches] == [0, 2]


# --- instructions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu sse4_2 avx2 avx512f avx512_vnni amx_int8", ("avx512_vnni", "amx_int8")),
        ("avx2 avx_vnni", ("avx_vnni",)),
        ("fp asimd asimddp", ("asimddp",)),
        ("avx2 avx512f avx512_vnnix", ()),
        ("", ()),
    ],
)
def test_instructions_for_8_bit_products(flags, expected):
    assert instructions.int8_instructions(flags.split()) == expected


@pytest.mark.parametrize(
    ("machine", "has", "expected"),
    [("x86_64", (), True), ("AMD64", (), True), ("x86_64", ("avx_vnni",), False), ("aarch64", (), False)],
)
def test_sums_saturate_on_x86_without_vnni(machine, has, expected, monkeypatch):
    monkeypatch.setattr(instructions, "here", lambda: has)
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert instructions.saturates() is expected


def onnx_weights():
    """The largest 8-bit weight of each layer that ONNX Runtime is given."""
    import onnx

    from hwnas.backends.export import export

    model = onnx.load_model_from_string(onnx_graph.quantise(export(stage()), Calibration.of(stage()), "test"))
    weights = [onnx.numpy_helper.to_array(each) for each in model.graph.initializer]
    return [int(np.abs(each.astype(int)).max()) for each in weights if each.dtype == np.int8 and each.ndim > 1]


def openvino_weights():
    """The same for OpenVINO."""
    pytest.importorskip("openvino")
    pytest.importorskip("nncf")
    from hwnas.backends.export import export
    from hwnas.backends.openvino_core import read_model, shared_core

    read = read_model(shared_core(), export(stage()).model)
    model = openvino_model.quantise(read, Calibration.of(stage()), "test")
    constants = [each.data for each in model.get_ops() if each.get_type_name() == "Constant"]
    return [int(np.abs(each.astype(int)).max()) for each in constants if each.dtype == np.int8 and each.ndim > 1]


@pytest.mark.slow
@pytest.mark.parametrize(("module", "weights"), [(onnx_graph, onnx_weights), (openvino_model, openvino_weights)])
def test_weights_of_every_layer_keep_to_half_their_range_where_sums_saturate(module, weights, monkeypatch):
    monkeypatch.setattr(module, "saturates", lambda: False)
    assert weights() == [127, 127]
    monkeypatch.setattr(module, "saturates", lambda: True)
    assert all(largest in {63, 64} for largest in weights())


# --- failures --------------------------------------------------------------------------------------------------------


def test_without_nncf_only_int8_on_openvino_is_missing(monkeypatch):
    pytest.importorskip("openvino")
    monkeypatch.setattr(openvino_model, "missing", lambda: "it needs NNCF: pip install 'hwnas[int8]'")
    backend = get("openvino")
    assert backend.why_not() is None
    backend.prepare(stage(), Settings()).close()
    with pytest.raises(PlatformError, match=r"precision=int8: it needs NNCF: pip install 'hwnas\[int8\]'"):
        backend.prepare(stage(), INT8)
    get("onnxruntime").prepare(stage(), INT8).close()


def test_nncf_missing_is_seen_without_importing_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "nncf" else object())
    assert openvino_model.missing() == "it needs NNCF: pip install 'hwnas[int8]'"


def fail(*args, **kwargs):
    raise RuntimeError("no such operator")


def test_a_quantiser_of_onnx_runtime_that_fails_is_named_with_the_stage(monkeypatch):
    monkeypatch.setattr("onnxruntime.quantization.quantize_static", fail)
    with pytest.raises(BackendError, match=r"onnxruntime.quantization cannot quantise stage 'test': no such operator"):
        get("onnxruntime").prepare(stage(), INT8)


def test_a_quantiser_of_openvino_that_fails_is_named_with_the_stage(monkeypatch):
    nncf = pytest.importorskip("nncf")
    monkeypatch.setattr(nncf, "quantize", fail)
    with pytest.raises(BackendError, match="NNCF cannot quantise stage 'test': no such operator"):
        get("openvino").prepare(stage(), INT8)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "module", "runtime"),
    [("onnxruntime", onnx_graph, "ONNX Runtime"), ("openvino", openvino_model, "OpenVINO")],
)
def test_a_runtime_that_runs_no_layer_in_int8_is_an_error(name, module, runtime, monkeypatch):
    reason = get(name).why_not() or refusal(get(name), INT8)
    if reason is not None:
        pytest.skip(reason)
    monkeypatch.setattr(module, "layers", lambda _: Layers(0, 2))
    with pytest.raises(PlatformError, match=f"precision=int8: {runtime} runs none of the 2 layers of stage"):
        get(name).prepare(stage(), INT8)


_QUIET = """
import importlib.util, sys, torch
from hwnas.backends import Settings, get
from hwnas.supernets.supernet import Stage
layers = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.Flatten(), torch.nn.Linear(8 * 36, 4)).eval()
stage = Stage("test", layers, (torch.ones(1, 3, 8, 8),), ("x",))
for name, package in (("onnxruntime", "onnxruntime"), ("openvino", "nncf")):
    if importlib.util.find_spec(package):
        get(name).prepare(stage, Settings(precision="int8")).close()
if "nncf" in sys.modules:
    assert type(sys.modules["nncf.telemetry.wrapper"].telemetry).__name__ == "MagicMock", "NNCF reports its use"
"""


@pytest.mark.slow
def test_nothing_is_printed_and_nobody_is_told():
    """Not in this process: under pytest NNCF reports its use to nobody in any case."""
    environment = {key: value for key, value in os.environ.items() if key not in {"CI", "NNCF_CI"}}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run([sys.executable, "-c", _QUIET], capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


class _Mirrored(nn.Module):
    """A decoder whose weight is the encoder's, transposed."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(16, 24)

    def forward(self, x):
        return nn.functional.linear(torch.relu(self.encoder(x)), self.encoder.weight.t())


def test_a_weight_that_is_also_read_transposed():
    pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    stage = Stage("test", _Mirrored().eval(), (torch.randn(4, 16),), ("x",))
    session = get("onnxruntime").prepare(stage, Settings(threads=1, batch=4, precision="int8"))
    session.run()
    assert compare("test", session.outputs(), reference(stage), "int8") < 0.1
    assert session.describe()["int8_layers"] == "2 of 2"
    session.close()


@pytest.mark.parametrize("groups", [1, 4])
def test_transposed_convolutions_stay_as_they_are(groups):
    pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    layers = [nn.Conv2d(8, 16, 3), nn.ReLU(), nn.ConvTranspose2d(16, 8, 2, 2, groups=groups), nn.Conv2d(8, 4, 3)]
    stage = Stage("test", nn.Sequential(*layers).eval(), (torch.randn(2, 8, 8, 8),), ("x",))
    session = get("onnxruntime").prepare(stage, Settings(threads=1, batch=2, precision="int8"))
    session.run()
    assert compare("test", session.outputs(), reference(stage), "int8") < 0.1
    assert session.describe()["int8_layers"] == "2 of 3"
    session.close()
