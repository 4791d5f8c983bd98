"""Read weights from files. Nothing but tensors is ever unpickled."""

from __future__ import annotations

import functools
import pickle
import re
import struct
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hwnas.supernets.contents import content_digest, holding
from hwnas.supernets.errors import UsageError
from hwnas.supernets.finite import finite
from hwnas.supernets.quoting import shortened

# The errors that torch.load raises on truncated files and files of another format.
_NO_CHECKPOINT = (
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    KeyError,
    IndexError,
    AttributeError,
    TypeError,
    AssertionError,
    struct.error,
)
# Characters of what torch says of an object that it refuses.
_LONGEST_REFUSAL = 1000
# Reads a checkpoint: what torch says is shortened for as long as that takes.
_ONE_AT_A_TIME = threading.Lock()


def read_document(file: str | Path) -> Any:
    """Return the content of a checkpoint: tensors, numbers, texts, and lists and dicts of them.

    Raises:
        UsageError: the file does not exist, is truncated, is not a checkpoint, or contains other objects.
    """
    try:
        with warnings.catch_warnings(), _brief_refusals():
            # torch warns about odd pickles before it refuses them; the refusal is enough.
            warnings.simplefilter("ignore")
            return torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UsageError(f"weights {str(file)!r}: no such file") from None
    except _NO_CHECKPOINT as error:
        raise UsageError(f"weights {str(file)!r}: not a checkpoint of tensors ({_reason(error)})") from error


@contextmanager
def _brief_refusals() -> Iterator[None]:
    """Shorten what torch's unpickler says of an object that it refuses, which a file may make as long as it likes.

    torch looks for words in it by expressions whose time grows with the square of its length: a megabyte took hours.
    """
    from torch import _weights_only_unpickler

    unpickler: Any = _weights_only_unpickler.Unpickler

    def brief(self: Any) -> Any:
        try:
            return load(self)
        except pickle.UnpicklingError as error:
            raise pickle.UnpicklingError(shortened(str(error), _LONGEST_REFUSAL)) from None

    with _ONE_AT_A_TIME:
        load = unpickler.load
        unpickler.load = brief
        try:
            yield
        finally:
            unpickler.load = load


# torch's message about an object that it does not unpickle, without its advice to trust the file.
_OBJECT = re.compile(r"(?:GLOBAL|global|class|type) ([\w.]+\.\w+)")


def _reason(error: Exception) -> str:
    """Return why a file was not read: torch's first line, or the object in it that is refused."""
    foreign = _OBJECT.search(str(error)) if isinstance(error, pickle.UnpicklingError) else None
    if foreign is not None:
        advice = "where it was made, save the tensors alone, by torch.save(model.state_dict(), FILE)"
        return f"it holds a {foreign[1]}: {advice}"
    first = str(error).partition("\n")[0] or type(error).__name__
    return "it cannot be unpickled" if "trust" in first else first


def read_state_dict(file: str | Path, unchecked: frozenset[str] = frozenset()) -> Mapping[str, torch.Tensor]:
    """Return the state dict in ``file``, or the one under its key ``state_dict``.

    The last files are cached, since an evaluation extracts many sub-networks from one file. So the returned tensors
    must not be changed.

    Args:
        file: the file.
        unchecked: the names of tensors that need not be finite real numbers.

    Raises:
        UsageError: as ``read_document``, or the content is not a state dict of tensors.
    """
    try:
        digest = content_digest(file)
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        missing = isinstance(error, FileNotFoundError)
        reason = "no such file" if missing else f"cannot be read ({getattr(error, 'strerror', None) or error})"
        raise UsageError(f"weights {str(file)!r}: {reason}") from None
    return _read(str(file), digest, unchecked)


@functools.lru_cache(maxsize=2)
def _read(shown: str, digest: str, unchecked: frozenset[str]) -> dict[str, torch.Tensor]:
    with holding(shown, digest):
        found = read_document(shown)
    state = found.get("state_dict", found) if isinstance(found, dict) else found
    if not isinstance(state, dict) or not tensors_by_name(state):
        raise UsageError(f"weights {shown!r}: expected a state dict of tensors")
    check_weights({key: tensor for key, tensor in state.items() if key not in unchecked}, shown)
    return state


def tensors_by_name(state: Mapping[Any, Any]) -> bool:
    """Return whether all keys are text, and all values tensors."""
    return all(isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in state.items())


def check_weights(state: Mapping[str, torch.Tensor], file: str | Path) -> None:
    """Refuse invalid weights before anything is evaluated with them.

    Args:
        state: tensors by name, as read from ``file``.
        file: for messages.

    Raises:
        UsageError: a number is nan, infinite or too large for FP32, or the variance of a batch-norm is below 0; names
            the tensor.
    """
    for key, tensor in state.items():
        try:
            fault = _weights_fault(key, tensor)
        # Tensors that are not stored number by number (sparse, quantised, meta) cannot be checked.
        except (RuntimeError, NotImplementedError, TypeError) as error:
            fault = f"cannot be read as numbers ({str(error).partition(chr(10))[0]})"
        if fault:
            raise UsageError(f"weights {str(file)!r}: {key}: {fault}")


def _weights_fault(key: str, tensor: torch.Tensor) -> str:
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
        return "expected a plain tensor of numbers"
    if tensor.is_complex():
        return "expected real numbers, got complex ones"
    if not tensor.is_floating_point():
        return ""
    there = finite(tensor)
    if not bool(there.all()):
        odd = tensor[~there].flatten()[0].item() if tensor.dim() else tensor.item()
        n, of = int((~there).sum()), there.numel()
        return f"{n:,} of {of:,} numbers are not finite ({odd:g}); the training that wrote them had diverged"
    if key.endswith("running_var") and bool((tensor < 0).any()):
        return f"the variance of a batch-norm is below 0 ({float(tensor.min()):g})"
    return ""


def load_into(module: nn.Module, state: Mapping[str, torch.Tensor], file: str | Path) -> nn.Module:
    """Copy a state dict, read from ``file``, into ``module``; raises ``UsageError`` with the first keys that misfit."""
    wanted = module.state_dict()
    missing = [key for key in wanted if key not in state]
    unknown = [key for key in state if key not in wanted]
    shapes = [
        f"{key}: {tuple(state[key].shape)} for {tuple(wanted[key].shape)}"
        for key in wanted
        if key in state and state[key].shape != wanted[key].shape
    ]
    for what, keys in (("lacks", missing), ("has unknown", unknown), ("has other shapes:", shapes)):
        if keys:
            raise UsageError(f"weights {str(file)!r} {what} {', '.join(keys[:3])} ({len(keys)} in all)")
    return assign(module, state)


def assign(module: nn.Module, state: Mapping[str, torch.Tensor]) -> nn.Module:
    """Give ``module``, which may be on the meta device, its own copies of ``state``; return it in evaluation mode."""
    # Without the memory format a slice would keep its strides, and kernels would run over gaps.
    own = {key: tensor.detach().clone(memory_format=torch.contiguous_format) for key, tensor in state.items()}
    module.load_state_dict(own, assign=True)
    return module.requires_grad_(requires_grad=True).eval()
