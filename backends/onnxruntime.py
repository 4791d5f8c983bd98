"""The backend ``onnxruntime``: ONNX Runtime on the CPU, or on NVIDIA GPUs through its CUDA provider."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hwnas.backends.backend import (
    ClosedSessionError,
    Option,
    Session,
    Settings,
    check_settings,
    installed_versions,
    thread_environment,
)
from hwnas.backends.quantise import (
    CALIBRATION,
    QUANTISATION,
    Calibration,
    int8_refusal,
    is_dynamic,
    onnx_dynamic,
    onnx_graph,
)
from hwnas.supernets.errors import BackendError, PlatformError
from hwnas.supernets.supernet import Stage

_CUDA_DEVICES = tuple(f"cuda:{index}" for index in range(8))
_PACKAGES = ("onnxruntime", "onnxruntime-gpu", "onnx")


def create(name: str) -> OnnxRuntimeBackend:
    """Make the backend."""
    return OnnxRuntimeBackend(name)


class OnnxRuntimeBackend:
    """Runs the exported graph, or an ONNX file as it is."""

    reads: tuple[str, ...] = ("onnx",)
    keys = frozenset({"threads", "batch", "precision", "device"})
    devices: tuple[str, ...] = ("cpu", *_CUDA_DEVICES)
    precisions: tuple[str, ...] = ("fp32", "fp16", "int8")
    options: tuple[Option, ...] = (
        Option("provider", "execution provider; by default the device's", ("cpu", "cuda")),
        Option("spinning", "whether idle threads spin; off where programs share the machine", ("off", "on"), "off"),
        QUANTISATION,
        CALIBRATION,
    )

    def __init__(self, name: str) -> None:
        self.name = name

    def why_not(self) -> str | None:
        """Return why it cannot be used here, or ``None``."""
        missing = [name for name in ("onnxruntime", "onnx", "torch") if importlib.util.find_spec(name) is None]
        return f"{missing[0]} is not installed: pip install {missing[0]}" if missing else None

    def versions(self) -> dict[str, str]:
        """Return the versions of ONNX Runtime, ONNX and the torch that exports."""
        return installed_versions(*_PACKAGES, "torch")

    def refuses(self, settings: Settings) -> str | None:
        """Return why settings cannot be honoured, or ``None``: fp16 on the CPU, int8 anywhere else."""
        on_cpu = settings.device == "cpu" and settings.options.get("provider") != "cuda"
        if settings.precision == "fp16" and on_cpu:
            # Most CPU kernels would silently compute in fp32.
            return "precision=fp16: expected fp32 or int8 on the CPU; fp16 needs device=cuda:0"
        if settings.precision == "int8" and not on_cpu:
            return "precision=int8: expected fp32 or fp16 on a GPU; int8 needs device=cpu"
        return int8_refusal(settings)

    def environment(self, settings: Settings) -> dict[str, str]:
        """Return what must be set before anything is imported."""
        return thread_environment(settings.threads)

    def prepare(self, stage: Stage, settings: Settings) -> Session:
        """Make ``stage`` ready.

        Raises:
            PlatformError: settings that cannot be honoured: an unknown option, a provider that is not there, a
                precision that the device does not have.
            BackendError: the stage cannot be exported or quantised, or ONNX Runtime refuses the graph.
        """
        import onnxruntime

        from hwnas.backends.export import export

        chosen = check_settings(self, settings)
        device = _device(self.name, chosen.get("provider"), settings.device)
        provider = _provider(self.name, device, onnxruntime.get_available_providers())
        int8, dynamic = settings.precision == "int8", is_dynamic(stage, settings)
        graph = export(stage, "fp32" if int8 else settings.precision)
        if dynamic:
            graph = replace(graph, model=onnx_dynamic.quantise(graph, stage.name))
        elif int8:
            graph = replace(graph, model=onnx_graph.quantise(graph, Calibration.of(stage), stage.name))
        options = _session_options(settings.threads, chosen["spinning"] == "on")
        # The optimised graph is written to a file only for the facts about int8.
        with (
            graph.readable() as model,
            tempfile.TemporaryDirectory(prefix="hwnas-") if int8 else nullcontext("") as folder,
        ):
            optimised = Path(folder) / "optimised.onnx"
            if int8:
                options.optimized_model_filepath = str(optimised)
            try:
                session = onnxruntime.InferenceSession(model, options, providers=[provider])
            # ONNX Runtime's own exceptions share no base class below Exception.
            except Exception as error:
                raise BackendError(f"{self.name} cannot load stage {stage.name!r}: {error}") from error
            facts = _int8_facts(optimised, stage.name, dynamic) if int8 else {}
        used = session.get_providers()[0]
        if used != (provider if isinstance(provider, str) else provider[0]):
            raise PlatformError(f"{self.name}: device={device}: ONNX Runtime fell back to {used}")
        arrays = [_array(x, settings.precision) for x in stage.inputs]
        facts |= {
            **_read_back(session),
            "graph_hash": graph.hash,
            "opset": graph.opset,
            "exporter": graph.exporter,
            "precision": settings.precision,
        }
        return OnnxRuntimeSession(session, graph.inputs, arrays, device, facts)


class OnnxRuntimeSession:
    """A loaded graph, its inputs and outputs bound to buffers that stay.

    Args:
        session: the loaded graph.
        names: the inputs' names.
        arrays: the inputs.
        device: "cpu" or "cuda:N".
        facts: for ``describe``.
    """

    def __init__(
        self,
        session: Any,
        names: Sequence[str],
        arrays: Sequence[npt.NDArray[np.generic]],
        device: str,
        facts: dict[str, str | int | float | bool],
    ) -> None:
        from onnxruntime import OrtValue

        kind, _, index = device.partition(":")
        self._session = session
        self._facts = facts
        self._binding = session.io_binding()
        self._dtypes = [array.dtype for array in arrays]
        self._inputs = [OrtValue.ortvalue_from_numpy(array, kind, int(index or 0)) for array in arrays]
        for name, value in zip(names, self._inputs, strict=True):
            self._binding.bind_ortvalue_input(name, value)
        for output in session.get_outputs():
            if all(isinstance(length, int) for length in output.shape):
                buffer = OrtValue.ortvalue_from_shape_and_type(output.shape, _dtype(output.type), kind, int(index or 0))
                self._binding.bind_ortvalue_output(output.name, buffer)
            else:  # its shape depends on values
                self._binding.bind_output(output.name, kind, int(index or 0))

    def run(self) -> None:
        """Run one inference; ONNX Runtime waits for the device before it returns."""
        self._session.run_with_iobinding(self._binding)

    def feed(self, *inputs: npt.NDArray[np.generic]) -> None:
        """Replace the inputs by others of the same shapes."""
        for buffer, array, dtype in zip(self._inputs, inputs, self._dtypes, strict=True):
            buffer.update_inplace(np.ascontiguousarray(array, dtype))

    def outputs(self) -> tuple[npt.NDArray[np.generic], ...]:
        """Return the outputs of the last run, half precision as float32."""
        arrays = self._binding.copy_outputs_to_cpu()
        return tuple(array.astype(np.float32) if array.dtype == np.float16 else array for array in arrays)

    def describe(self) -> dict[str, str | int | float | bool]:
        """Return the options that the session reports, the provider and the graph's hash."""
        return dict(self._facts)

    def close(self) -> None:
        """Release the graph and the buffers."""
        self._session = ClosedSessionError()
        self._binding = ClosedSessionError()
        self._inputs = []


def _session_options(threads: int, spinning: bool) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spinning)))
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    return options


def _read_back(session: Any) -> dict[str, str | int | float | bool]:
    options = session.get_session_options()
    return {
        "threads": options.intra_op_num_threads,
        "interop_threads": options.inter_op_num_threads,
        "execution_mode": options.execution_mode.name,
        "optimization_level": options.graph_optimization_level.name,
        "spinning": options.get_session_config_entry("session.intra_op.allow_spinning") == "1",
        "flush_denormal": options.get_session_config_entry("session.set_denormal_as_zero") == "1",
        "provider": session.get_providers()[0],
    }


def _int8_facts(optimised: Path, stage: str, dynamic: bool) -> dict[str, str | int | float | bool]:
    """Return how many layers of the optimised graph run in int8, and what quantised them."""
    layers = onnx_graph.layers(optimised)
    layers.check("ONNX Runtime", stage)
    by = onnx_dynamic.FACTS if dynamic else {"quantiser": onnx_graph.quantiser()}
    return {"int8_layers": str(layers), **by}


def _device(name: str, provider: str | None, device: str) -> str:
    """Return the device that ``provider`` and ``device`` specify together."""
    if provider == "cpu" and device != "cpu":
        raise PlatformError(f"{name}: provider=cpu: expected device=cpu, got device={device}")
    return "cuda:0" if provider == "cuda" and device == "cpu" else device


def _provider(name: str, device: str, available: Sequence[str]) -> str | tuple[str, dict[str, str]]:
    if device == "cpu":
        return "CPUExecutionProvider"
    if "CUDAExecutionProvider" not in available:
        raise PlatformError(
            f"{name}: device={device}: this ONNX Runtime has no CUDA provider (it has {', '.join(available)}); "
            "on a machine with an NVIDIA GPU: pip uninstall onnxruntime, then pip install onnxruntime-gpu"
        )
    return "CUDAExecutionProvider", {"device_id": device.partition(":")[2]}


def _array(x: Any, precision: str) -> npt.NDArray[np.generic]:
    """Return a copy of a tensor in the session's precision, so that ``feed`` does not change the stage's inputs."""
    array: npt.NDArray[np.generic] = np.array(x.detach().numpy(), order="C")
    return array.astype(np.float16) if precision == "fp16" and array.dtype == np.float32 else array


def _dtype(spelled: str) -> Any:
    """Return numpy's type for "tensor(float)" and the like."""
    inner = spelled.removeprefix("tensor(").removesuffix(")")
    return np.dtype({"float": "float32", "double": "float64"}.get(inner, inner)).type
