"""Read the weights of a Hugging Face folder, in one file or several, and make the files of a sub-network's folder."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwnas.supernets.causal.config import CONFIG, read_json
from hwnas.supernets.checkpoints import check_weights
from hwnas.supernets.contents import Content, content_digest
from hwnas.supernets.errors import UsageError
from hwnas.supernets.files import is_file

if TYPE_CHECKING:
    import torch

INDEX, WHOLE = "model.safetensors.index.json", "model.safetensors"
# Files of the tokeniser and of generation, which a sub-network's folder has as well.
_BESIDE = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json", "vocab.json",
           "merges.txt", "generation_config.json", "added_tokens.json", "chat_template.jinja")  # fmt: skip
_TOKENISERS = ("tokenizer.json", "tokenizer.model")
_INSTALL = "safetensors is not installed: pip install 'hwnas[language]'"

# Our names of what each layer has, and those of Hugging Face.
_LAYER = {
    "norm_1": "input_layernorm",
    "attn.query": "self_attn.q_proj",
    "attn.key": "self_attn.k_proj",
    "attn.value": "self_attn.v_proj",
    "attn.proj": "self_attn.o_proj",
    "attn.query_norm": "self_attn.q_norm",
    "attn.key_norm": "self_attn.k_norm",
    "norm_2": "post_attention_layernorm",
    "mlp.gate": "mlp.gate_proj",
    "mlp.up": "mlp.up_proj",
    "mlp.down": "mlp.down_proj",
}
_OUTSIDE = {
    "wte.weight": "model.embed_tokens.weight",
    "ln_f.weight": "model.norm.weight",
    "lm_head.weight": "lm_head.weight",
}
_IN_LAYER = re.compile(r"h\.(\d+)\.(.+)\.(weight|bias)")


def spelled(key: str) -> str:
    """Return Hugging Face's name of a tensor that is ``h.3.attn.query.weight`` here."""
    found = _IN_LAYER.fullmatch(key)
    if found is None:
        return _OUTSIDE[key]
    return f"model.layers.{found[1]}.{_LAYER[found[2]]}.{found[3]}"


def read_weights(folder: str, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """Return the tensors of a folder by our names, in FP32.

    Args:
        folder: with ``model.safetensors``, or an index and the files that it names.
        shapes: of every tensor, by our names.

    Raises:
        UsageError: a file is missing or no safetensors, a tensor is missing, of another shape or not finite; names the
            file and the tensor.
    """
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError:
        raise UsageError(_INSTALL) from None
    found: dict[str, torch.Tensor] = {}
    wanted = {spelled(key): key for key in shapes}
    for file, names in _placed(folder, wanted).items():
        try:
            with safe_open(file, framework="pt") as opened:
                there = set(opened.keys())
                missing = [name for name in names if name not in there]
                if missing:
                    raise UsageError(f"{file}: lacks {missing[0]} ({len(missing)} in all)")
                state = {name: opened.get_tensor(name) for name in names}
        except (SafetensorError, OSError) as error:
            raise UsageError(f"{file}: is no file of safetensors ({str(error).partition(chr(10))[0]})") from error
        check_weights(state, file)
        for name, tensor in state.items():
            expected = tuple(shapes[wanted[name]])
            if tuple(tensor.shape) != expected:
                raise UsageError(
                    f"{file}: {name}: has the shape {tuple(tensor.shape)}, {Path(folder) / CONFIG} says {expected}"
                )
            found[wanted[name]] = tensor.float()
    return {key: found[key] for key in shapes}


def content_of(folder: str) -> Content:
    """Return the digest of a folder's config and weights."""
    content = hashlib.sha256()
    for file in (Path(folder) / CONFIG, *_files(folder)):
        content.update(content_digest(file).encode())
    return Content(folder, content.hexdigest())


def tokeniser_of(folder: str) -> str | None:
    """Return the file of a folder's tokeniser; ``None``: it has none."""
    files = (str(Path(folder) / name) for name in _TOKENISERS)
    return next((file for file in files if is_file(file)), None)


def files_of(source: str, config: Mapping[str, Any], state: Mapping[str, torch.Tensor], tied: bool) -> dict[str, bytes]:
    """Return the files of a folder that transformers loads: config, weights, and the source's own tokeniser."""
    try:
        from safetensors.torch import save
    except ImportError:
        raise UsageError(_INSTALL) from None
    tensors = {
        spelled(key): tensor.detach().contiguous() for key, tensor in state.items() if not (tied and "lm_head" in key)
    }
    files = {CONFIG: f"{json.dumps(config, indent=2)}\n".encode(), WHOLE: save(tensors, {"format": "pt"})}
    beside = (Path(source) / name for name in _BESIDE)
    return files | {file.name: file.read_bytes() for file in beside if is_file(str(file))}


def _placed(folder: str, wanted: Mapping[str, str]) -> dict[Path, list[str]]:
    """Return which of the wanted tensors each file has."""
    whole = Path(folder) / WHOLE
    if is_file(str(whole)):
        return {whole: list(wanted)}
    places, index = _index(folder), Path(folder) / INDEX
    files: dict[Path, list[str]] = {}
    for name in wanted:
        if name not in places:
            raise UsageError(f"{index}: weight_map: lacks {name}")
        files.setdefault(_shard(folder, places[name]), []).append(name)
    return files


def _files(folder: str) -> Iterator[Path]:
    whole = Path(folder) / WHOLE
    if is_file(str(whole)):
        yield whole
    else:
        yield from sorted({_shard(folder, name) for name in _index(folder).values()})


def _shard(folder: str, name: str) -> Path:
    file = Path(folder) / name
    if not is_file(str(file)) or Path(name).name != name:
        raise UsageError(f"{file}: no such file; {Path(folder) / INDEX} names it: is the download complete?")
    return file


def _index(folder: str) -> dict[str, str]:
    file = Path(folder) / INDEX
    found = read_json(file, f"{Path(folder) / WHOLE}: no such file, and no {INDEX}; expected safetensors")
    places = found.get("weight_map") if isinstance(found, dict) else None
    if not isinstance(places, dict) or not all(isinstance(name, str) for name in places.values()):
        raise UsageError(f"{file}: weight_map: expected names of files by names of tensors")
    return places
