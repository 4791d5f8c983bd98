"""A super-network of a model in a file: the program, the weights and the order of channels; nothing in it is code.

Worker processes and farms read it instead of running the user's code again.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch

from hwnas.supernets.assets import cache_folder
from hwnas.supernets.elastic.analysis import analysed
from hwnas.supernets.elastic.network import ElasticModel, made
from hwnas.supernets.elastic.options import SHOWN
from hwnas.supernets.elastic.program import Program
from hwnas.supernets.elastic.sets import Wanted
from hwnas.supernets.errors import HwnasError, UsageError
from hwnas.supernets.own_code import explained
from hwnas.supernets.plug_ins import FAILURES
from hwnas.supernets.writing import write_file

_SUFFIX = ".elastic"
# As many of the last ones are kept for processes that begin later.
_KEPT = 12
# numpy has no such type; the bytes are stored as another's.
_OTHERS = {torch.bfloat16: torch.int16}
_FORMAT = 1


def write(file: str | Path, net: ElasticModel, wanted: Wanted) -> None:
    """Write a super-network; raises ``OutputError`` if that is not possible."""
    tensors = {f"weight/{name}": tensor for name, tensor in net.program.weights.items()}
    tensors |= {f"example/{number}": one for number, one in enumerate(net.examples)}
    about = {
        "format": _FORMAT,
        "program": net.program.text(),
        "wanted": asdict(wanted),
        "rankings": [net.elastic.rankings[one.axis].tolist() for one in net.elastic.elastic_sets],
        "depths": [[unit.path for unit in one.units] for one in net.elastic.stages],
        "types": {key: str(tensor.dtype).removeprefix("torch.") for key, tensor in tensors.items()},
    }
    arrays = {key: _array(tensor) for key, tensor in tensors.items()}
    content = io.BytesIO()
    np.savez(content, about=np.frombuffer(json.dumps(about).encode(), dtype=np.uint8), **arrays)
    write_file(file, content.getbuffer())


def read(file: str | Path, name: str) -> ElasticModel:
    """Return the super-network in a file; raises ``UsageError`` if it is none, or one that does not run."""
    try:
        net = _content(file, name)
        for x in (net.space.smallest(), net.space.largest()):
            (stage,) = net.stages(net.space.decode(x)[0], 1)
            with torch.no_grad():
                stage.module(*stage.inputs)
    except UsageError:
        raise
    # The program may be anybody's, and goes wrong wherever it does not fit together.
    except FAILURES as error:
        raise UsageError(f"elastic: file={file}: no super-network of a model: {explained(error)}") from error
    return net


def _content(file: str | Path, name: str) -> ElasticModel:
    try:
        with Path(file).open("rb") as content, np.load(content, allow_pickle=False) as arrays:
            about = json.loads(arrays["about"].tobytes())
            tensors = {key: _tensor(arrays[key], kind) for key, kind in about["types"].items()}
        return _read(about, tensors, name)
    except (OSError, BadZipFile, LookupError, TypeError, ValueError, EOFError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"elastic: file={file}: no super-network of a model: {reason}") from error


def _read(about: Mapping[str, Any], tensors: Mapping[str, torch.Tensor], name: str) -> ElasticModel:
    if about["format"] != _FORMAT:
        raise ValueError(f"it has format {about['format']}, expected {_FORMAT}")
    weights = {key.removeprefix("weight/"): one for key, one in tensors.items() if key.startswith("weight/")}
    examples = [tensors[f"example/{number}"] for number in range(len(tensors) - len(weights))]
    fields: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in about["wanted"].items()
    }
    orders = [np.array(one, dtype=np.int64) for one in about["rankings"]]
    analysis = analysed(Program.from_text(about["program"], weights))
    found = made(analysis, Wanted(**fields), orders, about.get("depths"))
    for axis, order in found.rankings.items():
        if sorted(order.tolist()) != list(range(axis.size)):
            raise ValueError("its order of channels is none")
    return ElasticModel(name, found, examples)


def _array(tensor: torch.Tensor) -> Any:
    plain = tensor.detach().contiguous()
    return (plain.view(_OTHERS[plain.dtype]) if plain.dtype in _OTHERS else plain).numpy()


def _tensor(array: Any, kind: str) -> torch.Tensor:
    dtype = getattr(torch, kind)
    tensor = torch.from_numpy(np.ascontiguousarray(array)).reshape(array.shape)
    return tensor.view(dtype) if dtype in _OTHERS else tensor


# --- for processes that begin later ----------------------------------------------------------------------------------


def cached_file(digest: str) -> Path:
    """Return where a super-network is kept for other processes."""
    return cache_folder("elastic") / f"{digest[:SHOWN]}{_SUFFIX}"


def keep(net: ElasticModel, wanted: Wanted) -> None:
    """Keep a super-network for other processes, if the user's cache can be written; older ones make room."""
    file = cached_file(net.digest)
    with contextlib.suppress(OSError, HwnasError):
        if file.is_file():
            file.touch()
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        write(file, net, wanted)
        files = sorted(file.parent.glob(f"*{_SUFFIX}"), key=lambda one: one.stat().st_mtime, reverse=True)
        for old in files[_KEPT:]:
            old.unlink(missing_ok=True)


def kept(digest: str, name: str) -> ElasticModel | None:
    """Return the super-network of a digest that another process has kept; ``None``: there is none that holds it."""
    file = cached_file(digest)
    try:
        net = _content(file, name) if file.is_file() else None
    except FAILURES:  # a damaged file is made again
        return None
    return net if net is not None and net.digest.startswith(digest) else None
