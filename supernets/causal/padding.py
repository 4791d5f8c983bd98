"""Fill the layers of a sub-network up to one size, which is all that a Hugging Face folder can say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from hwnas.supernets.causal.config import ModelShape
from hwnas.supernets.causal.llama import LayerShape


@dataclass(frozen=True)
class Padded:
    """A sub-network whose layers all have the size of the largest.

    Attributes:
        config: the content of its ``config.json``.
        layers: their sizes.
    """

    config: dict[str, Any]
    layers: list[LayerShape]

    def filled(self, state: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return tensors of the shapes of ``wanted``, whose first rows and columns are those of ``state``, the rest 0.

        Hidden units, and heads, of zeros add zeros to the residual: their columns in the projection are 0 as well.
        """
        found = {}
        for key, like in wanted.items():
            tensor = state[key].new_zeros(tuple(like.shape))
            tensor[tuple(slice(size) for size in state[key].shape)] = state[key]
            found[key] = tensor
        return found


def padded(config: Mapping[str, Any], shape: ModelShape, layers: Sequence[LayerShape]) -> Padded:
    """Return the sub-network of ``layers`` in the form that a folder can have."""
    ffn, groups = max(layer.ffn for layer in layers), max(layer.groups for layer in layers)
    changed = {
        "num_hidden_layers": len(layers),
        "intermediate_size": ffn,
        "num_key_value_heads": groups,
        "num_attention_heads": groups * shape.shared_by,
        "head_dim": shape.head_width,
        "torch_dtype": "float32",
        "dtype": "float32",
    }
    made = {**config, **{key: value for key, value in changed.items() if key != "torch_dtype" or key in config}}
    # One entry per layer, all of the same kind: sliding windows are not mixed with whole attention here.
    if isinstance(made.get("layer_types"), list):
        made["layer_types"] = made["layer_types"][: len(layers)]
    if isinstance(made.get("max_window_layers"), int):
        made["max_window_layers"] = min(made["max_window_layers"], len(layers))
    return Padded(made, [LayerShape(ffn, groups)] * len(layers))
