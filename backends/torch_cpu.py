"""The backend ``torch``: PyTorch on the CPU, eager, compiled by TorchInductor, or frozen by TorchScript."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sysconfig
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hwnas.backends._tensors import arrays, moved
from hwnas.backends.backend import Option, Session, Settings, check_settings, installed_versions, thread_environment
from hwnas.supernets.errors import BackendError, PlatformError
from hwnas.supernets.supernet import Stage

if TYPE_CHECKING:
    import torch

NAMES = ("torch",)

_PRECISIONS = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


def create(name: str) -> TorchBackend:
    """Make the backend."""
    return TorchBackend(name)


class TorchBackend:
    """Runs the module itself."""

    keys = frozenset({"threads", "batch", "precision", "device"})
    devices: tuple[str, ...] = ("cpu",)
    precisions: tuple[str, ...] = tuple(_PRECISIONS)
    options: tuple[Option, ...] = (
        Option("mode", "how the module is run", ("eager", "compile", "freeze"), "eager"),
        Option("spinning", "whether idle threads spin; off where programs share the machine", ("off", "on"), "off"),
    )

    def __init__(self, name: str) -> None:
        self.name = name

    def why_not(self) -> str | None:
        """Return why it cannot be used here, or ``None``."""
        return None if importlib.util.find_spec("torch") else "PyTorch is not installed: pip install torch"

    def versions(self) -> dict[str, str]:
        """Return torch's version."""
        return installed_versions("torch")

    def environment(self, settings: Settings) -> dict[str, str]:
        """Return what must be set before torch is imported."""
        return thread_environment(settings.threads, check_settings(self, settings)["spinning"] == "on")

    def prepare(self, stage: Stage, settings: Settings) -> Session:
        """Make ``stage`` ready; in the compiled and frozen modes, run it, because they compile in the first runs.

        Raises:
            PlatformError: settings that cannot be honoured: an unknown option, a precision without a kernel, threads
                that torch does not accept, ``mode=compile`` without a C++ compiler.
            BackendError: torch fails on the module.
        """
        import torch

        mode = check_settings(self, settings)["mode"]
        missing = _compiler_missing() if mode == "compile" else None
        if missing is not None:
            raise PlatformError(
                f"{self.name}: mode=compile needs {missing}; install it (apt install g++ python3-dev), "
                "or use mode=freeze or mode=eager"
            )
        _set_threads(settings.threads)
        torch.set_flush_denormal(True)
        dtype = getattr(torch, _PRECISIONS[settings.precision])
        module, inputs = moved(stage, dtype, "cpu")
        try:
            call = _MODES[mode](module, inputs)
            if mode != "eager" or settings.precision != "fp32":
                call(*inputs)
        except RuntimeError as error:
            if "not implemented for" in str(error):
                raise PlatformError(
                    f"{self.name}: precision={settings.precision}: torch has no CPU kernel for it here ({error})"
                ) from error
            raise BackendError(f"{self.name} cannot run stage {stage.name!r} (mode={mode}): {error}") from error
        return TorchSession(call, inputs, mode, settings.precision)


class TorchSession:
    """A module and its inputs.

    Args:
        call: runs the module without gradients.
        inputs: in the session's precision.
        mode: how the module is run, for ``describe``.
        precision: likewise.
    """

    def __init__(self, call: Callable[..., Any], inputs: tuple[torch.Tensor, ...], mode: str, precision: str) -> None:
        self._call = call
        self._inputs = inputs
        self._mode = mode
        self._precision = precision
        self._result: Any = None

    def run(self) -> None:
        """Run one inference; torch on the CPU returns when the result is there."""
        self._result = self._call(*self._inputs)

    def feed(self, *inputs: npt.NDArray[np.generic]) -> None:
        """Replace the inputs by others of the same shapes."""
        import torch

        given = (torch.from_numpy(np.ascontiguousarray(x)) for x in inputs)
        self._inputs = tuple(x.to(old.dtype) for x, old in zip(given, self._inputs, strict=True))

    def outputs(self) -> tuple[npt.NDArray[np.generic], ...]:
        """Return the outputs of the last run, nested results flattened, of reduced precision as float32."""
        return arrays(self._result)

    def describe(self) -> dict[str, str | int | float | bool]:
        """Return the settings that torch reports."""
        import torch

        return {
            "threads": torch.get_num_threads(),
            "interop_threads": torch.get_num_interop_threads(),
            "spinning": os.environ.get("OMP_WAIT_POLICY", "").upper() != "PASSIVE",
            "mode": self._mode,
            "precision": self._precision,
            "capability": torch.backends.cpu.get_cpu_capability(),
            "flush_denormal": _flushes_denormals(),
        }

    def close(self) -> None:
        """Release module, inputs and outputs."""
        self._call = _closed
        self._inputs = ()
        self._result = None


def _set_threads(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)
    if torch.get_num_threads() != threads:
        raise PlatformError(f"torch: threads={threads}: torch uses {torch.get_num_threads()} in spite of it")
    if torch.get_num_interop_threads() != 1:
        # Possible once per process, before anything ran in parallel; describe() reports the actual number.
        try:
            torch.set_num_interop_threads(1)
        except RuntimeError:
            return


def _flushes_denormals() -> bool:
    import torch

    return float(torch.tensor([1e-40]) * 1) == 0


# --- modes -----------------------------------------------------------------------------------------------------------


def _eager(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> Callable[..., Any]:  # noqa: ARG001 - a mode
    import torch

    return torch.inference_mode()(module)


def _frozen(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> Callable[..., Any]:
    """Fold weights and batch-norms by TorchScript; deprecated, and still torch's fastest way without a compiler."""
    import torch

    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        trace: Any = torch.jit.trace  # has no types
        frozen: Callable[..., Any] = torch.jit.freeze(trace(module, inputs, check_trace=False))
        for _ in range(2):  # its profiling executor specialises the code in the first two runs
            frozen(*inputs)
    run: Callable[..., Any] = torch.inference_mode()(frozen)
    return run


def _compiled(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> Callable[..., Any]:
    """Compile with TorchInductor, weights frozen.

    The module is exported first. Compiled code belongs to the Python code of ``forward``, which all sub-networks of a
    super-network share: after a handful, torch would give up compiling them and run the rest eagerly. An exported
    module has code of its own.
    """
    import torch

    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        exported = torch.export.export(module, inputs).module()
        compiled = torch.compile(exported, fullgraph=True, dynamic=False, options={"freezing": True})
        compiled(*inputs)
    return torch.no_grad()(compiled)


_MODES: dict[str, Callable[..., Callable[..., Any]]] = {"eager": _eager, "freeze": _frozen, "compile": _compiled}


def _compiler_missing() -> str | None:
    """Return what is missing for TorchInductor on this machine, or ``None``."""
    names = [os.environ["CXX"]] if "CXX" in os.environ else ["g++", "clang++", "cl"]
    if not any(shutil.which(name) for name in names):
        return f"a C++ compiler ({' or '.join(names)} was not found)"
    if not (Path(sysconfig.get_paths()["include"]) / "Python.h").exists():
        return "Python's C headers (Python.h was not found)"
    return None


def _closed(*_inputs: Any) -> Any:
    raise BackendError("the session is closed")
