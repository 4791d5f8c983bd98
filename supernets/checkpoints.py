"""Read weights from files. Nothing but tensors is ever unpickled."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from torch import nn

from supernets.errors import UsageError


def read_state_dict(file: str | Path) -> dict[str, torch.Tensor]:
    """Return the state dict in ``file``, or the one under its key ``state_dict``.

    Raises:
        UsageError: the file is not there, is no checkpoint, or holds more than tensors.
    """
    try:
        found = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UsageError(f"weights {str(file)!r}: no such file") from None
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise UsageError(f"weights {str(file)!r}: not a checkpoint of tensors ({reason})") from error
    state = found.get("state_dict", found) if isinstance(found, dict) else found
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise UsageError(f"weights {str(file)!r}: expected a state dict of tensors")
    return state


def load_into(module: nn.Module, file: str | Path) -> nn.Module:
    """Load ``file``'s state dict into ``module``; raises ``UsageError`` with the first keys that do not fit."""
    state, wanted = read_state_dict(file), module.state_dict()
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
    module.load_state_dict(state)
    return module
