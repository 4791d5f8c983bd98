"""Published predictors that are multi-layer perceptrons, evaluated with numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from supernets.errors import UsageError, WorkError
from supernets.space import FloatArray

# Rows at a time: their activations stay in the second-level cache, at 1,024 the products take a third longer.
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
            layers: the names of its linear layers; one without ``.bias`` has none.
            base: the name of a number that is added to the result.

        Raises:
            WorkError: it is no such checkpoint.
        """
        from supernets.checkpoints import read_state_dict

        try:
            state = {name: tensor.numpy() for name, tensor in read_state_dict(file).items()}
            weights = tuple(np.ascontiguousarray(state[f"{layer}.weight"].T, dtype=np.float64) for layer in layers)
        except (UsageError, KeyError) as error:
            raise WorkError(f"{file}: is not the published predictor ({error})") from error
        zeros = (np.zeros(weight.shape[1], dtype=np.float64) for weight in weights)
        biases = tuple(
            np.asarray(state.get(f"{layer}.bias", zero), dtype=np.float64)
            for layer, zero in zip(layers, zeros, strict=True)
        )
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
