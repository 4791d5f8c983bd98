"""Compare all outputs of a stage on a backend with those of the torch module."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hwnas.backends._tensors import arrays
from hwnas.backends.quantise.instructions import saturates
from hwnas.supernets.errors import BackendError, NotFiniteError
from hwnas.supernets.supernet import Stage

if TYPE_CHECKING:
    import torch

Arrays = tuple[npt.NDArray[np.generic], ...]

# The largest difference from the torch module's outputs, relative to the largest output. Some fifty layers add up their
# rounding errors: of 1e-7 each in fp32, of 1e-3 (fp16) and 1e-2 (bf16) where precision is given up, and of half a
# quantisation step in int8, which comes to 0.1 to 0.3 in networks of random weights, whose layers pass every error on
# (docs/quantisation.md). Outputs that have nothing to do with the module's differ by more than 1.
# If sums of products can saturate, weights have one bit less and rounding errors are twice as large; 0.51 was seen.
TOLERANCES = {"fp32": 1e-4, "fp16": 2e-2, "bf16": 1e-1, "int8": 7.5e-1 if saturates() else 5e-1}

# Kinds of numbers, for an index of a class must not be compared with a probability.
_KINDS = {"b": "truth values", "i": "whole numbers", "u": "whole numbers", "f": "floating-point numbers"}


def reference(stage: Stage, inputs: tuple[torch.Tensor, ...] | None = None) -> Arrays:
    """Return the torch module's outputs, nested ones flattened.

    Args:
        stage: its module in evaluation mode.
        inputs: its inputs; ``None``: the stage's example inputs.

    Raises:
        NotFiniteError: it has no outputs, or one of them is not finite, so that nothing can be compared with it.
    """
    # A module of torch has loaded it. One that is none needs no seconds of a worker's start for it.
    torch = sys.modules.get("torch")
    with torch.inference_mode() if torch is not None else nullcontext():
        found = arrays(stage.module(*(stage.inputs if inputs is None else inputs)))
    if not found:
        raise NotFiniteError(f"stage {stage.name!r}: the torch module has no outputs")
    for number, output in enumerate(found):
        odd = _not_finite(output)
        if odd is not None:
            raise NotFiniteError(f"stage {stage.name!r}: output {number} of the torch module itself {odd}")
    return found


def check_finite(outputs: torch.Tensor, what: str) -> torch.Tensor:
    """Return a network's outputs, of any shape, after checking that they are finite.

    Args:
        outputs: from which its quality is computed.
        what: what they are ("the logits of the network"), for the message.

    Raises:
        NotFiniteError: a number is not finite, so that the network's prediction would be arbitrary.
    """
    import torch

    finite = torch.isfinite(outputs)
    if not bool(finite.all()):
        raise NotFiniteError(f"{what}: {_odd_words(int((~finite).sum()), finite.numel(), outputs[~finite][0].item())}")
    return outputs


def compare(
    stage: str, outputs: Sequence[npt.ArrayLike], expected: Arrays, precision: str, who: str = "the backend"
) -> float:
    """Return the largest difference of ``outputs`` from ``expected``, relative to the largest number of each output.

    Args:
        stage: its name, for messages.
        outputs: the backend's outputs.
        expected: the torch module's outputs; finite.
        precision: "fp32", "fp16", "bf16" or "int8"; see ``TOLERANCES``.
        who: the backend, for messages.

    Raises:
        BackendError: there are more or fewer outputs, or one is not finite, has another shape or kind of numbers, or
            differs by more than the tolerance.
    """
    if len(outputs) != len(expected):
        raise BackendError(f"stage {stage!r}: torch gives {len(expected)} outputs, {who} {len(outputs)}")
    errors = [0.0]
    for number, (output, wanted) in enumerate(zip(outputs, expected, strict=True)):
        fault, error = _difference(np.asarray(output), wanted)
        allowed = TOLERANCES[precision]
        if not fault and not error <= allowed:
            limit = f"allowed is {allowed:.2g} for {precision}"
            fault = f"differ from the torch module's by {error:.2g} of the largest, {limit}"
        if fault:
            raise BackendError(f"stage {stage!r}: the outputs of {who} {fault} (output {number} of {len(expected)})")
        errors.append(error)
    return max(errors)


def _difference(output: npt.NDArray[np.generic], expected: npt.NDArray[np.generic]) -> tuple[str, float]:
    """Return why two outputs cannot be compared, or "", and their largest difference over the largest magnitude."""
    kinds = _KINDS.get(output.dtype.kind), _KINDS.get(expected.dtype.kind)
    if output.shape != expected.shape:
        return f"are of shape {output.shape}, the torch module's of {expected.shape}", 0.0
    if kinds[0] != kinds[1] or kinds[0] is None:
        return f"are of type {output.dtype}, the torch module's of {expected.dtype}", 0.0
    odd = _not_finite(output)
    if odd is not None:
        return f"cannot be right: one {odd}", 0.0
    wanted = np.asarray(expected, dtype=np.float64)
    scale = float(np.abs(wanted).max(initial=0.0))
    difference = float(np.abs(np.asarray(output, dtype=np.float64) - wanted).max(initial=0.0))
    return "", difference / scale if scale > 0 else difference


def _not_finite(output: npt.NDArray[np.generic]) -> str | None:
    """Return how many numbers of an output are not finite, in words; ``None`` if all are finite."""
    if output.dtype.kind not in "fc":
        return None
    finite = np.isfinite(output)
    if finite.all():
        return None
    return f"has {_odd_words(int((~finite).sum()), output.size, output[~finite].flat[0])}"


def _odd_words(odd: int, of: int, one: object) -> str:
    return f"{odd:,} of {of:,} numbers that are not finite ({one})"
