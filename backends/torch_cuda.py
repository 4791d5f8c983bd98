"""The backend ``torch-cuda``: PyTorch on NVIDIA GPUs, timed by the GPU's own events.

This file has never run on a GPU: its logic is tested with a scripted stand-in for ``torch.cuda``, and no figure in this
project comes from it.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hwnas.backends._tensors import arrays, moved
from hwnas.backends.backend import (
    ClosedSessionError,
    Option,
    Session,
    Settings,
    check_settings,
    installed_versions,
    thread_environment,
)
from hwnas.supernets.errors import BackendError, PlatformError
from hwnas.supernets.space import FloatArray
from hwnas.supernets.supernet import Stage

_PRECISIONS = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}
# The first runs choose kernels and grow the allocator's pool; PyTorch's own recipe for graph capture warms up thrice.
_WARM_UPS = 3

# Why a GPU runs below its clock, by NVML's bits (nvmlClocksEventReasons); idle and application clocks do not count.
_THROTTLES = {
    0x04: "power cap",
    0x08: "hardware slowdown",
    0x20: "thermal (software)",
    0x40: "thermal (hardware)",
    0x80: "power brake",
}


def create(name: str) -> TorchCudaBackend:
    """Make the backend."""
    return TorchCudaBackend(name)


class TorchCudaBackend:
    """Runs the module itself on a GPU, as it is or as a captured CUDA graph."""

    keys = frozenset({"batch", "precision", "device"})
    devices: tuple[str, ...] = tuple(f"cuda:{index}" for index in range(8))
    precisions: tuple[str, ...] = tuple(_PRECISIONS)
    options: tuple[Option, ...] = (
        Option("mode", "launch each kernel, or replay a CUDA graph", ("eager", "graphs"), "eager"),
    )

    def __init__(self, name: str) -> None:
        self.name = name

    def why_not(self) -> str | None:
        """Return why it cannot be used here, or ``None``; looks for the driver before it imports torch."""
        if importlib.util.find_spec("torch") is None:
            return "PyTorch is not installed: pip install torch"
        if not _driver_present():
            return "no NVIDIA GPU was found (no driver is loaded)"
        import torch

        if not torch.cuda.is_available():
            build = torch.version.cuda or "no CUDA"
            return (
                f"PyTorch {torch.__version__} (built for {build}) cannot use the GPU: install a build for the driver's "
                "CUDA version, see https://pytorch.org/get-started/locally"
            )
        return None

    def versions(self) -> dict[str, str]:
        """Return torch's version, which names the CUDA version it was built for."""
        return installed_versions("torch", "nvidia-ml-py")

    def environment(self, settings: Settings) -> dict[str, str]:  # noqa: ARG002 - the host's part is one thread
        """Return what must be set before torch is imported."""
        return thread_environment(1)

    def prepare(self, stage: Stage, settings: Settings) -> Session:
        """Make ``stage`` ready.

        Raises:
            PlatformError: settings that cannot be honoured, or no such GPU.
            BackendError: torch fails on the module, or cannot capture it into a graph.
        """
        import torch

        mode = check_settings(self, settings)["mode"]
        count = torch.cuda.device_count()
        index = int(settings.device.partition(":")[2])
        if index >= count:
            found = ", ".join(f"cuda:{each}" for each in range(count)) or "none"
            raise PlatformError(f"{self.name}: device={settings.device}: GPUs found here: {found}")
        try:
            torch.cuda.set_device(index)
            # fp32 means fp32: torch lets convolutions round their inputs to TF32's 10 bits by itself.
            torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
            module, inputs = moved(stage, getattr(torch, _PRECISIONS[settings.precision]), settings.device)
            run = torch.inference_mode()(lambda: module(*inputs))
            runner = EagerRunner(run) if mode == "eager" else GraphRunner(run, torch.cuda)
        except RuntimeError as error:
            raise BackendError(f"{self.name} cannot run stage {stage.name!r} (mode={mode}): {error}") from error
        facts: dict[str, str | int | float | bool] = {
            "device": torch.cuda.get_device_name(index),
            "mode": mode,
            "precision": settings.precision,
            "tf32": bool(torch.backends.cudnn.allow_tf32),
        }
        return CudaSession(runner, torch.cuda, facts, lambda: throttling(index))


def _driver_present() -> bool:
    """Return whether an NVIDIA driver is loaded, without importing anything heavy."""
    if Path("/proc/driver/nvidia/version").exists() or Path("/dev/nvidiactl").exists():
        return True
    # Windows, and Linux inside WSL, have it elsewhere.
    return any(Path(path).exists() for path in ("/dev/dxg", "C:/Windows/System32/nvml.dll"))


# --- ways to run -----------------------------------------------------------------------------------------------------


class EagerRunner:
    """Launches the module's kernels one by one.

    Args:
        run: runs the module once and returns its result.
    """

    def __init__(self, run: Callable[[], Any]) -> None:
        for _ in range(_WARM_UPS):
            self.result = run()
        self._run = run

    def launch(self) -> None:
        """Put one run on the current stream."""
        self.result = self._run()


class GraphRunner:
    """Replays the module's kernels as one captured CUDA graph, which spares the launches' cost on the host.

    Args:
        run: runs the module once and returns its result, whose memory every replay overwrites.
        cuda: ``torch.cuda``.
    """

    def __init__(self, run: Callable[[], Any], cuda: Any) -> None:
        # Capturing needs a stream of its own for the warm-up: work of the default stream must not end up in the graph.
        side = cuda.Stream()
        side.wait_stream(cuda.current_stream())
        with cuda.stream(side):
            for _ in range(_WARM_UPS):
                run()
        cuda.current_stream().wait_stream(side)
        self._graph = cuda.CUDAGraph()
        with cuda.graph(self._graph):
            self.result = run()

    def launch(self) -> None:
        """Put one replay on the current stream."""
        self._graph.replay()


# --- a session -------------------------------------------------------------------------------------------------------


class CudaSession:
    """A module on a GPU, timed by events.

    Args:
        runner: launches one run and holds its result.
        cuda: ``torch.cuda``.
        facts: for ``describe``.
        throttled: names the reasons for which the clock is below what was asked for, "" for none, ``None``: unknown.
    """

    def __init__(
        self,
        runner: EagerRunner | GraphRunner,
        cuda: Any,
        facts: dict[str, str | int | float | bool],
        throttled: Callable[[], str | None],
    ) -> None:
        self._runner: Any = runner
        self._cuda = cuda
        self._facts = facts
        self._throttled = throttled

    def run(self) -> None:
        """Run one inference and wait for the GPU."""
        self._runner.launch()
        self._cuda.synchronize()

    def time_runs(self, n: int) -> FloatArray:
        """Return the seconds of each of ``n`` runs by the GPU's clock, ``(n,)``.

        The runs are queued behind one another, an event before and after each; the host waits once, at the end. So a
        sample holds no waiting for the host, as long as the host is ahead, which ``mode=graphs`` sees to for small
        networks.
        """
        pairs = [(self._event(), self._event()) for _ in range(n)]
        for start, end in pairs:
            start.record()
            self._runner.launch()
            end.record()
        self._cuda.synchronize()
        return np.array([start.elapsed_time(end) for start, end in pairs], dtype=np.float64) / 1e3

    def outputs(self) -> tuple[npt.NDArray[np.generic], ...]:
        """Return the outputs of the last run, nested results flattened, of reduced precision as float32."""
        return arrays(self._runner.result)

    def describe(self) -> dict[str, str | int | float | bool]:
        """Return the settings and, read now, whether the GPU's clock is throttled, and why."""
        reasons = self._throttled()
        if reasons is None:
            return {**self._facts, "throttled": "unknown (pip install nvidia-ml-py)"}
        return {**self._facts, "throttled": reasons or False}

    def close(self) -> None:
        """Release module, graph and buffers."""
        self._runner = ClosedSessionError()

    def _event(self) -> Any:
        return self._cuda.Event(enable_timing=True)


def throttling(index: int, nvml: Any = None) -> str | None:
    """Return why GPU ``index`` runs below its clock, "" when it does not, ``None`` when that cannot be known.

    Args:
        index: of the GPU.
        nvml: the module ``pynvml``, found by itself where it is installed.
    """
    if nvml is None:
        if importlib.util.find_spec("pynvml") is None:
            return None
        nvml = importlib.import_module("pynvml")
    try:
        nvml.nvmlInit()
        bits = nvml.nvmlDeviceGetCurrentClocksThrottleReasons(nvml.nvmlDeviceGetHandleByIndex(index))
    except nvml.NVMLError:
        return None
    return throttle_reasons(bits)


def throttle_reasons(bits: int) -> str:
    """Spell NVML's bits; "" when none of them slows the clock."""
    return ", ".join(reason for bit, reason in _THROTTLES.items() if bits & bit)
