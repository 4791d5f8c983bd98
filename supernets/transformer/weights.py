"""The weights that translation sub-networks share, with the keys of HAT's checkpoints.

A sub-network uses the first columns of every projection, the first rows of layers before them, and the first layers.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Mapping
from pathlib import Path

import torch

from hwnas.supernets.checkpoints import check_weights, read_document, tensors_by_name
from hwnas.supernets.errors import UsageError
from hwnas.supernets.shared import SharedWeights, Tensors, WeightLayout, corner, fitted
from hwnas.supernets.transformer.dimensions import PAD, Architecture, DecoderLayerShape, EncoderLayerShape

TABLE = "encoder.embed_tokens.weight"

# Further entries of HAT's checkpoints: a version, an empty tensor that shows a type, and the embedding table again.
_ALIAS = "decoder.embed_tokens.weight"
_IGNORED = ("encoder.version", "decoder.version", "embed_positions._float_tensor")


def shapes(largest: Architecture) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all shared tensors, for the largest sub-network."""
    common, inner = largest.common, largest.common.inner
    found: dict[str, tuple[int, ...]] = {TABLE: (common.vocab, largest.table_width)}
    for index, encoder in enumerate(largest.encoder):
        prefix = f"encoder.layers.{index}"
        found |= _attention_shapes(f"{prefix}.self_attn", encoder.embed, inner)
        found |= _feed_forward_shapes(prefix, encoder.embed, encoder.ffn)
    for index, decoder in enumerate(largest.decoder):
        prefix = f"decoder.layers.{index}"
        found |= _attention_shapes(f"{prefix}.self_attn", decoder.embed, inner)
        found |= _attention_shapes(f"{prefix}.encoder_attn", decoder.embed, inner)
        found |= _feed_forward_shapes(prefix, decoder.embed, decoder.ffn)
    return found


def _attention_shapes(name: str, embed: int, inner: int) -> dict[str, tuple[int, ...]]:
    return {
        f"{name}.in_proj_weight": (3 * inner, embed),
        f"{name}.in_proj_bias": (3 * inner,),
        f"{name}.out_proj.weight": (embed, inner),
        f"{name}.out_proj.bias": (embed,),
        f"{name}_layer_norm.weight": (embed,),
        f"{name}_layer_norm.bias": (embed,),
    }


def _feed_forward_shapes(prefix: str, embed: int, ffn: int) -> dict[str, tuple[int, ...]]:
    return {
        f"{prefix}.fc1.weight": (ffn, embed),
        f"{prefix}.fc1.bias": (ffn,),
        f"{prefix}.fc2.weight": (embed, ffn),
        f"{prefix}.fc2.bias": (embed,),
        f"{prefix}.final_layer_norm.weight": (embed,),
        f"{prefix}.final_layer_norm.bias": (embed,),
    }


def cut(tensors: Tensors, architecture: Architecture) -> dict[str, torch.Tensor]:
    """Return the state dict of a sub-network's ``Translator``, of slices of the shared tensors."""
    table = tensors[TABLE]
    state = {"embed_tokens.weight": corner(table, (len(table), architecture.table_width))}
    for index, encoder in enumerate(architecture.encoder):
        state |= _encoder_layer(tensors, f"encoder.layers.{index}", encoder)
    for index, decoder in enumerate(architecture.decoder):
        state |= _decoder_layer(tensors, f"decoder.layers.{index}", decoder, architecture)
    return state


def _encoder_layer(tensors: Tensors, prefix: str, shape: EncoderLayerShape) -> dict[str, torch.Tensor]:
    embed = shape.embed
    return _self_attention(tensors, prefix, embed) | _feed_forward(tensors, prefix, embed, shape.ffn)


def _decoder_layer(
    tensors: Tensors, prefix: str, shape: DecoderLayerShape, architecture: Architecture
) -> dict[str, torch.Tensor]:
    embed, inner, name = shape.embed, architecture.common.inner, f"{prefix}.encoder_attn"
    weight, bias = tensors[f"{name}.in_proj_weight"], tensors[f"{name}.in_proj_bias"]
    return {
        **_self_attention(tensors, prefix, embed),
        # One tensor has both: queries come from the decoder's channels, keys and values from the encoder's.
        f"{name}.q_proj.weight": weight[:inner, :embed],
        f"{name}.q_proj.bias": bias[:inner],
        f"{name}.memory.kv_proj.weight": weight[inner:, : architecture.encoder_embed],
        f"{name}.memory.kv_proj.bias": bias[inner:],
        **_joined(tensors, name, embed),
        **_feed_forward(tensors, prefix, embed, shape.ffn),
    }


def _self_attention(tensors: Tensors, prefix: str, embed: int) -> dict[str, torch.Tensor]:
    name = f"{prefix}.self_attn"
    return {
        f"{name}.in_proj.weight": tensors[f"{name}.in_proj_weight"][:, :embed],
        f"{name}.in_proj.bias": tensors[f"{name}.in_proj_bias"],
        **_joined(tensors, name, embed),
    }


def _joined(tensors: Tensors, name: str, embed: int) -> dict[str, torch.Tensor]:
    """Return the layer that joins the heads of an attention, and the norm after it."""
    keys = (f"{name}.out_proj.weight", f"{name}.out_proj.bias", f"{name}_layer_norm.weight", f"{name}_layer_norm.bias")
    return {key: tensors[key][:embed] for key in keys}


def _feed_forward(tensors: Tensors, prefix: str, embed: int, ffn: int) -> dict[str, torch.Tensor]:
    norm = (f"{prefix}.final_layer_norm.weight", f"{prefix}.final_layer_norm.bias")
    return {
        f"{prefix}.ffn.fc1.weight": corner(tensors[f"{prefix}.fc1.weight"], (ffn, embed)),
        f"{prefix}.ffn.fc1.bias": tensors[f"{prefix}.fc1.bias"][:ffn],
        f"{prefix}.ffn.fc2.weight": corner(tensors[f"{prefix}.fc2.weight"], (embed, ffn)),
        f"{prefix}.ffn.fc2.bias": tensors[f"{prefix}.fc2.bias"][:embed],
        **{key: tensors[key][:embed] for key in norm},
    }


def drawn(layout: WeightLayout, seed: int) -> SharedWeights:
    """Return fresh weights as fairseq draws them: uniform after Glorot and Bengio (2010), the table normal."""
    generator = torch.Generator().manual_seed(seed)
    return SharedWeights(layout, {key: _drawn(key, shape, generator) for key, shape in layout.shapes.items()})


def _drawn(key: str, shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    tensor = torch.empty(shape)
    if key == TABLE:
        tensor.normal_(0, shape[1] ** -0.5, generator=generator)
        tensor[PAD] = 0
        return tensor
    if len(shape) == 2:
        bound = math.sqrt(6 / sum(shape))
        return tensor.uniform_(-bound, bound, generator=generator)
    return tensor.fill_(1.0 if key.endswith("norm.weight") else 0.0)


# --- checkpoints -----------------------------------------------------------------------------------------------------


def read(layout: WeightLayout, path: str | Path) -> SharedWeights:
    """Read a checkpoint of a super-network, written by hwnas or by HAT's trainer.

    Raises:
        UsageError: the file is not a checkpoint, or is of another space; says what differs and what can be read.
    """
    return shared(layout, tensors_in(path), path)


def tensors_in(path: str | Path) -> dict[str, torch.Tensor]:
    """Return the tensors in a file: a state dict, or a checkpoint of hwnas's or fairseq's trainer.

    Raises:
        UsageError: the file has none, or has objects that cannot be read without running code from it.
    """
    try:
        # fairseq stores its command line beside the weights, in a plain namespace.
        with torch.serialization.safe_globals([argparse.Namespace]):
            document = read_document(path)
    except UsageError as error:
        found = re.search(r"Unsupported global: GLOBAL ([\w.]+)", str(error.__cause__))
        if found is None:
            raise
        raise UsageError(
            f"weights {str(path)!r}: holds objects beside tensors and options ({found[1]}), which are not read; where "
            "fairseq is installed, torch.save({'model': checkpoint['model']}, FILE) writes the weights alone"
        ) from error
    named = document if isinstance(document, Mapping) else {}
    state = next((named[key] for key in ("state_dict", "model") if isinstance(named.get(key), Mapping)), named)
    tensors = {key: value for key, value in state.items() if not str(key).endswith(_IGNORED)}
    if not tensors or not tensors_by_name(tensors):
        raise UsageError(f"weights {str(path)!r}: expected tensors by name, or those under 'state_dict' or 'model'")
    check_weights(tensors, path)
    return tensors


def shared(layout: WeightLayout, tensors: Tensors, path: str | Path) -> SharedWeights:
    """Return the shared weights from a file's tensors; raises ``UsageError`` if they are of another space."""
    own = dict(tensors)
    again = own.pop(_ALIAS, None)
    if again is not None and not (TABLE in own and torch.equal(again, own[TABLE])):
        raise UsageError(
            f"weights {str(path)!r}: source and target have tables of tokens of their own; {layout.supernet} shares "
            "one (HAT's --share-all-embeddings, as in its WMT models)"
        )
    if "decoder.embed_out" in own:
        raise UsageError(
            f"weights {str(path)!r}: the output has weights of its own; {layout.supernet} shares the table"
        )
    fitting = fitted(layout, own, path)
    return SharedWeights(layout, {key: tensor.float().clone() for key, tensor in fitting.items()})
