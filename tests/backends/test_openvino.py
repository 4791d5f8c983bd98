from __future__ import annotations

import pytest
import torch
from torch import nn

from hwnas.backends import Settings, get
from hwnas.backends import openvino as backend_module
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
