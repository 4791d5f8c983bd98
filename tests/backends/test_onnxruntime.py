from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from hwnas.backends import Settings, get
from hwnas.backends.onnxruntime import _device
from hwnas.supernets.errors import BackendError, PlatformError
from hwnas.supernets.supernet import Stage

needs_no_gpu = pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="there is a CUDA provider"
)


def stage():
    return Stage("test", nn.Linear(4, 2).eval(), (torch.ones(1, 4),), ("x",))


def test_what_was_set_is_read_back():
    session = get("onnxruntime").prepare(stage(), Settings(threads=2, options={"spinning": "on"}))
    told = session.describe()
    expected = {
        "threads": 2,
        "interop_threads": 1,
        "execution_mode": "ORT_SEQUENTIAL",
        "optimization_level": "ORT_ENABLE_ALL",
        "spinning": True,
        "flush_denormal": True,
        "provider": "CPUExecutionProvider",
        "exporter": "trace",
        "precision": "fp32",
    }
    assert expected.items() <= told.items()
    assert len(told["graph_hash"]) == 64
    assert not get("onnxruntime").prepare(stage(), Settings()).describe()["spinning"]


@needs_no_gpu
@pytest.mark.parametrize("settings", [Settings(device="cuda:0"), Settings(options={"provider": "cuda"})], ids=str)
def test_without_the_cuda_provider_it_says_what_to_install(settings):
    with pytest.raises(
        PlatformError, match=r"no CUDA provider \(it has .*CPUExecutionProvider.*pip install onnxruntime-gpu"
    ):
        get("onnxruntime").prepare(stage(), settings)


def test_provider_and_device_agree():
    assert _device("onnxruntime", None, "cuda:1") == "cuda:1"
    assert _device("onnxruntime", "cuda", "cpu") == "cuda:0"
    assert _device("onnxruntime", "cuda", "cuda:1") == "cuda:1"
    with pytest.raises(PlatformError, match="device=cpu"):
        _device("onnxruntime", "cpu", "cuda:0")


def test_half_precision_on_the_cpu_is_refused():
    with pytest.raises(PlatformError, match="expected fp32 or int8 on the CPU"):
        get("onnxruntime").prepare(stage(), Settings(precision="fp16"))


def test_a_fallback_of_the_runtime_is_an_error(monkeypatch):
    """ONNX Runtime runs on the CPU without a word when a provider does not load."""
    monkeypatch.setattr(onnxruntime.InferenceSession, "get_providers", lambda self: ["FallbackProvider"])
    with pytest.raises(PlatformError, match="fell back to FallbackProvider"):
        get("onnxruntime").prepare(stage(), Settings())


def test_a_graph_that_the_runtime_refuses(monkeypatch):
    def refuse(*args, **kwargs):
        raise RuntimeError("no such operator")

    monkeypatch.setattr(onnxruntime, "InferenceSession", refuse)
    with pytest.raises(BackendError, match="stage 'test': no such operator"):
        get("onnxruntime").prepare(stage(), Settings())


@pytest.mark.slow
def test_outputs_whose_shape_depends_on_values():
    class Repeats(nn.Module):
        def forward(self, x):
            return x[x > 0]

    pytest.importorskip("onnxscript")
    depending = Stage("test", Repeats().eval(), (torch.tensor([1.0, -1.0, 3.0]),), ("x",))
    session = get("onnxruntime").prepare(depending, Settings())
    session.run()
    np.testing.assert_array_equal(session.outputs()[0], [1, 3])


@pytest.mark.parametrize(
    ("missing", "told"), [("onnxruntime", "pip install onnxruntime"), ("onnx", "pip install onnx")]
)
def test_what_is_not_installed(missing, told, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == missing else object())
    assert get("onnxruntime").why_not() == f"{missing} is not installed: {told}"
