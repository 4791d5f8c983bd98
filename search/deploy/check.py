"""Read an exported sub-network back, run it, and compare its outputs with the torch module's."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hwnas.supernets.errors import BackendError
from hwnas.supernets.supernet import Stage

if TYPE_CHECKING:
    import torch

# Inputs that differ from those that the stage was written with: what was written down as a constant shows.
FRESH = 2
_SEED = 1_000

Arrays = list[npt.NDArray[np.generic]]
Runs = Callable[[Arrays], Arrays]


def check_written(stage: Stage, form: str, contents: Mapping[str, bytes]) -> float:
    """Compare files with the stage that was written to them, on the stage's inputs, others of its own, and fresh ones.

    Args:
        stage: the torch module and its example inputs.
        form: "onnx", "openvino" or "torch".
        contents: of the files, by name; the first is what the runtime of that form is given.

    Returns:
        The largest difference, see ``hwnas.backends.outputs.compare``; at most that of fp32.

    Raises:
        BackendError: the runtime is not installed, refuses the file, or computes something else.
        NotFiniteError: the torch module's own outputs are not finite.
    """
    from hwnas.backends.outputs import compare, reference

    who = f"the written {form} file"
    given = [stage.inputs, *stage.calibration[:FRESH], *(fresh_inputs(stage, seed) for seed in range(FRESH))]
    try:
        with tempfile.TemporaryDirectory(prefix="hwnas-") as folder:
            for name, content in contents.items():
                (Path(folder) / name).write_bytes(content)
            run = _RUNTIMES[form](Path(folder) / next(iter(contents)), stage.input_names)
            found = [run([np.ascontiguousarray(x.detach().numpy()) for x in inputs]) for inputs in given]
    except ImportError as error:
        raise BackendError(f"stage {stage.name!r}: {who} cannot be checked: {error.name} is not installed") from error
    # The runtimes' own exceptions share no base class below Exception.
    except Exception as error:
        raise BackendError(f"stage {stage.name!r}: {who} cannot be run: {error}") from error
    return max(
        compare(stage.name, outputs, reference(stage, inputs), "fp32", who)
        for inputs, outputs in zip(given, found, strict=True)
    )


def fresh_inputs(stage: Stage, seed: int) -> tuple[torch.Tensor, ...]:
    """Return seeded random inputs like a stage's: normal numbers, and whole ones from between its smallest and largest.

    Truth values, and numbers that are not all finite, are masks and stay as they are.
    """
    import torch

    generator = torch.Generator().manual_seed(_SEED + seed)

    def fresh(x: torch.Tensor) -> torch.Tensor:
        if x.is_floating_point():
            drawn = torch.randn(x.shape, generator=generator).to(x.dtype)
            return drawn if bool(torch.isfinite(x).all()) else x
        if x.dtype == torch.bool or not x.numel():
            return x
        return torch.randint(int(x.min()), int(x.max()) + 1, x.shape, generator=generator).to(x.dtype)

    return tuple(fresh(x) for x in stage.inputs)


# --- runtimes --------------------------------------------------------------------------------------------------------


def _by_onnxruntime(file: Path, names: Sequence[str]) -> Runs:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return lambda arrays: list(session.run(None, dict(zip(names, arrays, strict=True))))


def _by_openvino(file: Path, names: Sequence[str]) -> Runs:
    from hwnas.backends.openvino_core import input_places, shared_core

    # By itself it computes in bf16 where the CPU can.
    compiled = shared_core().compile_model(str(file), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(arrays: Arrays) -> Arrays:
        found = compiled({port: arrays[place] for place, port in input_places(compiled, names)})
        return [np.array(found[port]) for port in compiled.outputs]

    return run


def _by_torch(file: Path, names: Sequence[str]) -> Runs:  # noqa: ARG001 - one signature for all
    import torch

    from hwnas.backends._tensors import arrays as as_arrays

    module: Any = torch.export.load(str(file)).module()

    def run(arrays: Arrays) -> Arrays:
        with torch.no_grad():
            return list(as_arrays(module(*(torch.from_numpy(x) for x in arrays))))

    return run


_RUNTIMES: dict[str, Callable[[Path, Sequence[str]], Runs]] = {
    "onnx": _by_onnxruntime,
    "openvino": _by_openvino,
    "torch": _by_torch,
}
