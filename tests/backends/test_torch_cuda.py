"""The GPU backend with a scripted stand-in for ``torch.cuda``: what is called, in which order, what comes of it."""

from __future__ import annotations

import contextlib
import types

import numpy as np
import pytest
import torch

from hwnas.backends import Settings, torch_cuda
from hwnas.backends.torch_cuda import CudaSession, EagerRunner, GraphRunner
from hwnas.supernets.errors import BackendError, PlatformError
from hwnas.supernets.supernet import Stage


class ScriptedCuda:
    """A GPU whose every run takes as long as the script says, in ms, behind a clock of its own."""

    def __init__(self, script=()):
        self.calls = []
        self.script = list(script)
        self.now = 0.0
        self.synchronised = False
        self.capturing = None
        self.streams = ["default"]

    def kernel(self):
        self.calls.append(f"kernel on {self.streams[-1]}")
        if self.capturing is not None:
            self.capturing.kernels += 1
            return
        self.work()

    def work(self):
        self.synchronised = False
        self.now += self.script.pop(0) if self.script else 1.0

    def synchronize(self):
        self.calls.append("synchronize")
        self.synchronised = True

    def Event(self, enable_timing=False):
        return ScriptedEvent(self, enable_timing)

    def Stream(self):
        return types.SimpleNamespace(
            wait_stream=lambda other: self.calls.append(f"side waits for {other.name}"), name="side"
        )

    def current_stream(self):
        wait = lambda other: self.calls.append(f"default waits for {other.name}")  # noqa: E731 - a stand-in
        return types.SimpleNamespace(wait_stream=wait, name="default")

    @contextlib.contextmanager
    def stream(self, stream):
        self.streams.append(stream.name)
        yield
        self.streams.pop()

    def CUDAGraph(self):
        return ScriptedGraph(self)

    @contextlib.contextmanager
    def graph(self, graph):
        self.capturing = graph
        self.calls.append("capture")
        yield
        self.capturing = None
        self.calls.append("captured")


class ScriptedEvent:
    def __init__(self, cuda, enable_timing):
        assert enable_timing
        self.cuda = cuda

    def record(self):
        self.cuda.calls.append("record")
        self.at = self.cuda.now

    def elapsed_time(self, other):
        assert self.cuda.synchronised, "read before the GPU was waited for"
        return other.at - self.at


class ScriptedGraph:
    def __init__(self, cuda):
        self.cuda = cuda
        self.kernels = 0

    def replay(self):
        self.cuda.calls.append("replay")
        for _ in range(self.kernels):
            self.cuda.work()


def session_of(runner, cuda, throttled=lambda: ""):
    return CudaSession(runner, cuda, {"mode": "test"}, throttled)


def test_samples_are_the_gpus_own_and_it_is_waited_for_once():
    cuda = ScriptedCuda([9, 9, 9, 2.0, 3.5, 2.5])
    session = session_of(EagerRunner(cuda.kernel), cuda)
    cuda.calls.clear()
    np.testing.assert_allclose(session.time_runs(3), [0.002, 0.0035, 0.0025])
    assert cuda.calls == ["record", "kernel on default", "record"] * 3 + ["synchronize"]


def test_run_waits_for_the_gpu():
    cuda = ScriptedCuda()
    session = session_of(EagerRunner(cuda.kernel), cuda)
    session.run()
    assert cuda.calls[-2:] == ["kernel on default", "synchronize"]
    assert cuda.synchronised


def test_a_graph_is_warmed_up_on_a_side_stream_captured_once_and_replayed():
    cuda = ScriptedCuda()
    session = session_of(GraphRunner(cuda.kernel, cuda), cuda)
    assert cuda.calls == [
        "side waits for default",
        *["kernel on side"] * 3,
        "default waits for side",
        "capture",
        "kernel on default",
        "captured",
    ]
    cuda.calls.clear()
    cuda.script = [4.0, 5.0]
    np.testing.assert_allclose(session.time_runs(2), [0.004, 0.005])
    assert cuda.calls == ["record", "replay", "record"] * 2 + ["synchronize"]


def test_outputs_are_those_of_the_last_run():
    results = iter(range(10))
    cuda = ScriptedCuda()
    session = session_of(EagerRunner(lambda: {"a": [torch.tensor([next(results)], dtype=torch.bfloat16)]}), cuda)
    session.run()
    session.run()
    (found,) = session.outputs()
    assert found.dtype == np.float32
    assert found == [4]  # three runs of warm-up, two of ours


def test_a_closed_session_does_not_run():
    cuda = ScriptedCuda()
    session = session_of(EagerRunner(cuda.kernel), cuda)
    session.close()
    with pytest.raises(BackendError, match="closed"):
        session.run()


# --- throttling ------------------------------------------------------------------------------------------------------


class Nvml:
    NVMLError = OSError

    def __init__(self, bits, fails=False):
        self.bits = bits
        self.fails = fails
        self.asked = None

    def nvmlInit(self):
        if self.fails:
            raise OSError("no driver")

    def nvmlDeviceGetHandleByIndex(self, index):
        self.asked = index
        return index

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle):
        return self.bits


@pytest.mark.parametrize(
    ("bits", "reasons"),
    [
        (0x0, ""),
        (0x1, ""),  # idle
        (0x2, ""),  # clocks set by an application
        (0x4, "power cap"),
        (0x40 | 0x1, "thermal (hardware)"),
        (0x8 | 0x20, "hardware slowdown, thermal (software)"),
    ],
)
def test_throttling_is_told_from_idling(bits, reasons):
    nvml = Nvml(bits)
    assert torch_cuda.throttling(3, nvml) == reasons
    assert nvml.asked == 3


def test_throttling_is_unknown_where_nvml_is_missing_or_fails(monkeypatch):
    assert torch_cuda.throttling(0, Nvml(0, fails=True)) is None
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert torch_cuda.throttling(0) is None


@pytest.mark.parametrize(
    ("read", "told"), [("", False), ("power cap", "power cap"), (None, "unknown (pip install nvidia-ml-py)")]
)
def test_describe_tells_throttling(read, told):
    cuda = ScriptedCuda()
    session = session_of(EagerRunner(cuda.kernel), cuda, lambda: read)
    assert session.describe() == {"mode": "test", "throttled": told}


# --- what cannot be had ----------------------------------------------------------------------------------------------


def backend():
    return torch_cuda.create("torch-cuda")


def test_without_a_driver_it_says_so_without_importing_torch(monkeypatch):
    monkeypatch.setattr(torch_cuda, "_driver_present", lambda: False)
    assert backend().why_not() == "no NVIDIA GPU was found (no driver is loaded)"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_with_a_driver_and_a_build_that_cannot_use_it_the_message_says_where_to_get_one(monkeypatch):
    monkeypatch.setattr(torch_cuda, "_driver_present", lambda: True)
    assert "pytorch.org" in backend().why_not()


def test_a_gpu_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    stage = Stage("test", torch.nn.Identity(), (torch.ones(1, 2),), ("x",))
    with pytest.raises(PlatformError, match=r"device=cuda:2: GPUs found here: cuda:0"):
        backend().prepare(stage, Settings(device="cuda:2"))
    with pytest.raises(PlatformError, match=r"device=cpu: expected one of cuda:0"):
        backend().prepare(stage, Settings(device="cpu"))


@pytest.fixture
def _tf32():
    """Set TF32 as torch does by itself; these flags have no attribute that monkeypatch could restore."""
    flags = (torch.backends.cudnn, torch.backends.cuda.matmul)
    before = [each.allow_tf32 for each in flags]
    torch.backends.cudnn.allow_tf32 = True
    yield
    for each, value in zip(flags, before, strict=True):
        each.allow_tf32 = value


@pytest.mark.usefixtures("_tf32")
def test_the_module_runs_as_prepared(monkeypatch):
    """All but the GPU itself: the CPU plays its part."""
    cuda = ScriptedCuda()
    for name in ("set_device", "get_device_name"):
        monkeypatch.setattr(torch.cuda, name, lambda index: f"GPU {index}")
    for name in ("synchronize", "Event", "Stream", "current_stream", "stream", "CUDAGraph", "graph"):
        monkeypatch.setattr(torch.cuda, name, getattr(cuda, name))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch_cuda, "moved", lambda stage, dtype, device: (stage.module, stage.inputs))
    stage = Stage("test", torch.nn.ReLU(), (torch.tensor([[-1.0, 2.0]]),), ("x",))
    for mode in ("eager", "graphs"):
        session = backend().prepare(stage, Settings(device="cuda:0", options={"mode": mode}))
        session.run()
        np.testing.assert_array_equal(session.outputs()[0], [[0, 2]])
        assert session.describe()["mode"] == mode
        assert session.describe()["device"] == "GPU 0"
        assert session.describe()["tf32"] is False
