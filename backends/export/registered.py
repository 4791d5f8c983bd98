"""Register the emitters by the torch module, function or method that they write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from torch import nn

# An emitter takes the graph builder and the arguments of the torch call (for a module, the module first), with tensors
# replaced by values, and returns the value or values of the result.
Emitter = Callable[..., Any]

_Emitter = TypeVar("_Emitter", bound=Emitter)

MODULES: dict[type[nn.Module], Emitter] = {}
FUNCTIONS: dict[Any, Emitter] = {}  # keyed by the function itself; methods by their name


def module(*types: type[nn.Module]) -> Callable[[_Emitter], _Emitter]:
    """Register the emitter of ``types``."""

    def register(emitter: _Emitter) -> _Emitter:
        MODULES.update(dict.fromkeys(types, emitter))
        return emitter

    return register


def function(*targets: Any) -> Callable[[_Emitter], _Emitter]:
    """Register the emitter of functions, and of methods given by name."""

    def register(emitter: _Emitter) -> _Emitter:
        FUNCTIONS.update(dict.fromkeys(targets, emitter))
        return emitter

    return register


def module_emitter(part: nn.Module) -> Emitter | None:
    """Return the emitter of a module's type, or of the type whose ``forward`` it inherits unchanged."""
    for base in type(part).__mro__:
        if base in MODULES and type(part).forward is base.forward:
            return MODULES[base]
    return None
