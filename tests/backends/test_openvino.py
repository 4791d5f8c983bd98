from __future__ import annotations

import pytest
import torch
from torch import nn

from hwnas.backends import Settings, get
from hwnas.backends import openvino as backend_module
from hwnas.backends.openvino_core import shared_core
from hwnas.search.deploy import write
from hwnas.search.deploy.check import check_written
from hwnas.supernets.errors import BackendError, PlatformError
from hwnas.supernets.supernet import Stage

pytest.importorskip("openvino")


def stage():
    return Stage("test", nn.Linear(4, 2).eval(), (torch.ones(1, 4),), ("x",))


def test_what_was_set_is_read_back():
    told = get("openvino").prepare(stage(), Settings(threads=1)).describe()
    expected = {
        "threads": 1,
        "streams": 1,
        "precision": "fp32",
        "pinning": False,
        "flush_denormal": True,
        "performance_hint": "LATENCY",
        "execution_devices": "CPU",
        "exporter": "trace",
    }
    assert expected.items() <= told.items()
    assert len(told["graph_hash"]) == 64


def test_a_number_of_threads_that_is_clamped_is_an_error():
    with pytest.raises(PlatformError, match=r"threads=4096: OpenVINO uses \d+ here"):
        get("openvino").prepare(stage(), Settings(threads=4096))


@pytest.mark.parametrize("device", ["GPU", "NPU"])
def test_a_device_that_is_not_there_is_refused(device, monkeypatch):
    class Core:
        available_devices = ("CPU",)

    monkeypatch.setattr(backend_module, "shared_core", Core)
    with pytest.raises(PlatformError, match=f"device={device}: OpenVINO finds here only cpu"):
        get("openvino").prepare(stage(), Settings(device=device))


def test_a_precision_that_is_replaced_is_an_error():
    class Compiled:
        def get_property(self, key):
            return (
                ["CPU"]
                if key == "EXECUTION_DEVICES"
                else {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}.get(key, "bf16")
            )

    settings = Settings(precision="fp16")
    config = backend_module._config("CPU", settings, False)
    facts = backend_module._read_back(Compiled(), config)
    with pytest.raises(PlatformError, match="precision=fp16: OpenVINO uses bf16 here"):
        backend_module._check("openvino", settings, "CPU", facts)


def test_a_graph_that_openvino_refuses(monkeypatch):
    class Core:
        available_devices = ("CPU",)

        def read_model(self, model, weights):
            raise RuntimeError("no such operator")

        def compile_model(self, model, device, config):
            return model

    monkeypatch.setattr(backend_module, "shared_core", Core)
    with pytest.raises(BackendError, match="stage 'test': no such operator"):
        get("openvino").prepare(stage(), Settings())


def test_what_is_not_installed(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert get("openvino").why_not() == "OpenVINO is not installed: pip install 'hwnas[openvino]'"


class _Unread(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 2)

    def forward(self, unread, x):
        return self.linear(x)


def unread():
    inputs = torch.ones(1, 3, dtype=torch.bool), torch.tensor([[1.0, -1.0, 0.5, -0.5]])
    return Stage("test", _Unread().eval(), inputs, ("unread", "x"))


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_inputs_that_nothing_reads(precision):
    """OpenVINO drops them, and the others have other numbers then."""
    if precision == "int8":
        pytest.importorskip("nncf")
    given = unread()
    session = get("openvino").prepare(given, Settings(precision=precision))
    other = torch.tensor([[0.5, -1.0, 0.25, 1.0]])
    session.feed(given.inputs[0].numpy(), other.numpy())
    session.run()
    expected = given.module(None, other).detach().numpy()
    assert session.outputs()[0] == pytest.approx(expected, abs=1e-5 if precision == "fp32" else 0.1)


def test_a_written_file_takes_inputs_that_nothing_reads(tmp_path):
    given = unread()
    files = write._FORMS["openvino"](given)
    assert check_written(given, "openvino", files) < 1e-4
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    compiled = shared_core().compile_model(tmp_path / "test.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = compiled({"unread": given.inputs[0].numpy(), "x": given.inputs[1].numpy()})[0]
    assert found == pytest.approx(given.module(*given.inputs).detach().numpy(), abs=1e-5)
