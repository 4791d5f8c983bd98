"""Evaluate published accuracy predictors, which are multi-layer perceptrons, with numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hwnas.supernets.errors import UsageError, WorkError
from hwnas.supernets.space import FloatArray

# Rows at a time: their activations fit the second-level cache; with 1,024 rows products take a third longer.
_CHUNK = 256


@dataclass(frozen=True, eq=False)
class Mlp:
    """Linear layers with rectifiers between them; immutable.

    Attributes:
        weights: one per layer, ``(inputs, outputs)``.
        biases: likewise, ``(outputs,)``.
        base: added to the result.
    """

    weights: tuple[FloatArray, ...]
    biases: tuple[FloatArray, ...]
    base: float = 0.0

    @classmethod
    def load(cls, file: Path, layers: Sequence[str], base: str | None = None) -> Mlp:
        """Read a checkpoint.

        Args:
            file: the checkpoint, of tensors only.
            layers: the names of its linear layers; a layer may lack ``.bias``.
            base: the name of a number that is added to the result.

        Raises:
            WorkError: the file is not such a checkpoint.
        """
        from hwnas.supernets.checkpoints import read_state_dict

        try:
            return cls._of({name: tensor.numpy() for name, tensor in read_state_dict(file).items()}, layers, base)
        except (UsageError, LookupError, TypeError, ValueError, RuntimeError) as error:
            raise WorkError(f"{file}: is not the published predictor ({error})") from error

    @classmethod
    def _of(cls, state: Mapping[str, Any], layers: Sequence[str], base: str | None) -> Mlp:
        weights = tuple(_numbers(state[f"{layer}.weight"].T) for layer in layers)
        zeros = (np.zeros(weight.shape[-1], dtype=np.float64) for weight in weights)
        biases = tuple(_numbers(state.get(f"{layer}.bias", zero)) for layer, zero in zip(layers, zeros, strict=True))
        inputs = [weight.shape[0] for weight in weights]
        if [weight.shape for weight in weights] != list(zip(inputs, [*inputs[1:], 1], strict=True)):
            raise ValueError(f"layers of shapes {[weight.shape for weight in weights]} do not follow each other")
        if any(bias.shape != weight.shape[1:] for weight, bias in zip(weights, biases, strict=True)):
            raise ValueError("a bias has not a value for each output of its layer")
        return cls(weights, biases, float(state[base].item()) if base else 0.0)

    def __call__(self, features: FloatArray) -> FloatArray:
        """Return the one output of each row, ``(n,)``, for ``features``, ``(n, inputs)``."""
        result = np.empty(len(features))
        for start in range(0, len(features), _CHUNK):
            part = np.asarray(features[start : start + _CHUNK], dtype=np.float64)
            for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
                part = part @ weight
                part += bias
                np.maximum(part, 0, out=part)
            result[start : start + _CHUNK] = (part @ self.weights[-1] + self.biases[-1])[:, 0]
        return result + self.base


def _numbers(values: npt.NDArray[Any]) -> FloatArray:
    """Return values in the order that products are fastest in; raises ``TypeError`` where they are complex."""
    return np.ascontiguousarray(values.astype(np.float64, casting="same_kind"))
