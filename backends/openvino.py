"""The backend ``openvino``: OpenVINO on the CPU, and on Intel's GPUs and NPUs if there are any."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import replace
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
from hwnas.backends.openvino_core import input_places, read_model, shared_core
from hwnas.backends.quantise import (
    CALIBRATION,
    QUANTISATION,
    Calibration,
    int8_refusal,
    is_dynamic,
    onnx_dynamic,
    openvino_model,
)
from hwnas.supernets.errors import BackendError, PlatformError
from hwnas.supernets.supernet import STATIC, Stage

# The precision of all layers for which the graph does not specify one, as it does for int8 layers.
_HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16", "int8": "f32"}


# Channels that share a range, in dynamic quantisation: what OpenVINO itself takes for language models on CPUs.
GROUP_SIZE = 32


def create(name: str) -> OpenVinoBackend:
    """Make the backend."""
    return OpenVinoBackend(name)


class OpenVinoBackend:
    """Runs the exported graph."""

    reads: tuple[str, ...] = ("onnx",)
    keys = frozenset({"threads", "batch", "precision", "device"})
    devices: tuple[str, ...] = ("cpu", "GPU", "NPU")
    precisions: tuple[str, ...] = tuple(_HINTS)
    options: tuple[Option, ...] = (
        # Pinned threads of two programs can end up on one core and stay there; a process's affinity avoids that.
        Option("pinning", "whether OpenVINO binds its threads to cores", ("off", "on"), "off"),
        QUANTISATION,
        CALIBRATION,
    )

    def __init__(self, name: str) -> None:
        self.name = name

    def why_not(self) -> str | None:
        """Return why it cannot be used here, or ``None``."""
        if importlib.util.find_spec("openvino") is None:
            return "OpenVINO is not installed: pip install 'hwnas[openvino]'"
        missing = [name for name in ("onnx", "torch") if importlib.util.find_spec(name) is None]
        return f"{missing[0]} is not installed: pip install {missing[0]}" if missing else None

    def versions(self) -> dict[str, str]:
        """Return the versions of OpenVINO, NNCF, ONNX and the torch that exports."""
        return installed_versions("openvino", "nncf", "onnx", "torch")

    def refuses(self, settings: Settings) -> str | None:
        """Return what is missing for int8 on this machine, or ``None``.

        Where the platform does not say how to quantise, the super-network does: what that needs is known by its stages.
        """
        static = settings.precision == "int8" and settings.options.get(QUANTISATION.key) == STATIC
        lacking = openvino_model.missing() if static else None
        return int8_refusal(settings) if lacking is None else f"precision=int8: {lacking}"

    def environment(self, settings: Settings) -> dict[str, str]:
        """Return what must be set before anything is imported."""
        return thread_environment(settings.threads)

    def prepare(self, stage: Stage, settings: Settings) -> Session:
        """Make ``stage`` ready, and verify every setting in the compiled model: OpenVINO silently clamps some.

        Raises:
            PlatformError: settings that cannot be honoured: an unknown option, a device that is not there, a precision
                or a number of threads that OpenVINO replaces by another.
            BackendError: the stage cannot be exported or quantised, or OpenVINO refuses the graph.
        """
        from hwnas.backends.export import export

        chosen = check_settings(self, settings)
        device = settings.device.upper()
        core = shared_core()
        if not any(found == device or found.startswith(f"{device}.") for found in core.available_devices):
            found = ", ".join("cpu" if each == "CPU" else each for each in core.available_devices)
            raise PlatformError(f"{self.name}: device={settings.device}: OpenVINO finds here only {found}")
        graph = export(stage)
        config = _config(device, settings, chosen["pinning"] == "on")
        int8, dynamic = settings.precision == "int8", is_dynamic(stage, settings)
        lacking = openvino_model.missing() if int8 and not dynamic else None
        if lacking is not None:
            raise PlatformError(f"{self.name}: precision=int8: {lacking}")
        if dynamic:
            graph = replace(graph, model=onnx_dynamic.compress(graph, stage.name))
            config["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = GROUP_SIZE
        try:
            with graph.readable() as source:
                model = read_model(core, source)
                if int8 and not dynamic:
                    model = openvino_model.quantise(model, Calibration.of(stage), stage.name)
                compiled = core.compile_model(model, device, config)
        except RuntimeError as error:
            raise BackendError(f"{self.name} cannot compile stage {stage.name!r}: {error}") from error
        facts = _read_back(compiled, config)
        if int8:
            facts |= _int8_facts(compiled, stage.name, dynamic)
        _check(self.name, settings, device, facts)
        facts |= {"graph_hash": graph.hash, "opset": graph.opset, "exporter": graph.exporter}
        # Copies, so that ``feed`` does not change the stage's inputs.
        arrays = [np.array(x.detach().numpy(), order="C") for x in stage.inputs]
        return OpenVinoSession(compiled, graph.inputs, arrays, facts)


class OpenVinoSession:
    """A compiled graph and a request whose inputs and outputs are buffers that stay.

    Args:
        compiled: the compiled model.
        names: the names of the graph's inputs.
        arrays: the inputs, in the graph's order.
        facts: for ``describe``.
    """

    def __init__(
        self,
        compiled: Any,
        names: Sequence[str],
        arrays: list[npt.NDArray[np.generic]],
        facts: dict[str, str | int | float | bool],
    ) -> None:
        import openvino

        self._facts = facts
        self._request = compiled.create_infer_request()
        self._arrays = arrays  # the tensors share their memory
        for place, port in input_places(compiled, names):
            self._request.set_input_tensor(port, openvino.Tensor(arrays[place], shared_memory=True))
        for index, port in enumerate(compiled.outputs):
            if port.partial_shape.is_static:
                buffer = openvino.Tensor(port.element_type, port.shape)
                self._request.set_output_tensor(index, buffer)
        self._n_outputs = len(compiled.outputs)

    def run(self) -> None:
        """Run one inference, in this thread, and return when it is done."""
        self._request.infer(share_outputs=True)

    def feed(self, *inputs: npt.NDArray[np.generic]) -> None:
        """Replace the inputs by others of the same shapes."""
        for buffer, array in zip(self._arrays, inputs, strict=True):
            np.copyto(buffer, array)

    def outputs(self) -> tuple[npt.NDArray[np.generic], ...]:
        """Return copies of the outputs of the last run."""
        return tuple(self._request.get_output_tensor(index).data.copy() for index in range(self._n_outputs))

    def describe(self) -> dict[str, str | int | float | bool]:
        """Return the settings that the compiled model reports, and the graph's hash."""
        return dict(self._facts)

    def close(self) -> None:
        """Release the graph and the buffers."""
        self._request = ClosedSessionError()
        self._arrays = []


def _config(device: str, settings: Settings, pinning: bool) -> dict[str, Any]:
    config: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": _HINTS[settings.precision]}
    if device == "CPU":
        config |= {
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": settings.threads,
            "ENABLE_CPU_PINNING": pinning,
            "CPU_DENORMALS_OPTIMIZATION": True,
        }
    return config


# Settings are reported under the names that all backends use, if there is one.
_NAMES = {
    "INFERENCE_NUM_THREADS": "threads",
    "INFERENCE_PRECISION_HINT": "precision",
    "ENABLE_CPU_PINNING": "pinning",
    "CPU_DENORMALS_OPTIMIZATION": "flush_denormal",
    "NUM_STREAMS": "streams",
    "PERFORMANCE_HINT": "performance_hint",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": "dynamic_group_size",
}


def _read_back(compiled: Any, config: dict[str, Any]) -> dict[str, str | int | float | bool]:
    facts: dict[str, str | int | float | bool] = {}
    for key in config:
        value = compiled.get_property(key)
        facts[_NAMES[key]] = value if isinstance(value, (bool, int, float)) else _spelled(value)
    facts["execution_devices"] = ",".join(compiled.get_property("EXECUTION_DEVICES"))
    return facts


def _int8_facts(compiled: Any, stage: str, dynamic: bool) -> dict[str, str | int | float | bool]:
    """Return how many layers of the compiled model run in int8, the others in fp32, and what quantised them."""
    layers = openvino_model.layers(compiled)
    layers.check("OpenVINO", stage)
    by = onnx_dynamic.FACTS if dynamic else {"quantiser": openvino_model.quantiser()}
    return {"precision": "int8", "int8_layers": str(layers), **by}


def _spelled(value: Any) -> str:
    """Return "fp32" for an element type, and the last word of an enumeration's value."""
    text = str(value.get_type_name() if hasattr(value, "get_type_name") else value)
    named = {"f32": "fp32", "f16": "fp16", "bf16": "bf16"}
    return named.get(text, text.rpartition(".")[2])


def _check(name: str, settings: Settings, device: str, facts: dict[str, str | int | float | bool]) -> None:
    wanted: dict[str, str | int] = {"precision": settings.precision}
    if device == "CPU":
        wanted |= {"threads": settings.threads, "streams": 1}
    for key, value in wanted.items():
        if facts[key] != value:
            raise PlatformError(f"{name}: {key}={value}: OpenVINO uses {facts[key]} here")
