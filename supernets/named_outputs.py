"""What a sub-network of a model of one's own gives, under the names that the model gives it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from hwnas.supernets.errors import suggestion

if TYPE_CHECKING:
    import torch

# Where each named output is among all tensors: a number, or several for what is nested.
Places = Mapping[str, int | tuple[int, ...]]


class NamedOutputs(tuple[Any, ...]):
    """A tuple of all tensors, in order, that is read by the model's own names as well: ``outputs.logits``.

    Example:
        >>> outputs = NamedOutputs((1.0, 2.0, 3.0), {"logits": 0, "hidden": (1, 2)})
        >>> outputs.logits, outputs["hidden"], outputs[2], len(outputs)
        (1.0, (2.0, 3.0), 3.0, 3)
    """

    _places: Places

    def __new__(cls, outputs: Any, places: Places) -> Self:
        made = super().__new__(cls, outputs if isinstance(outputs, tuple) else (outputs,))
        made._places = places
        return made

    def __getnewargs__(self) -> tuple[Any, ...]:
        """Return what a copy is made of."""
        return tuple(self), self._places

    def __getitem__(self, key: Any) -> Any:
        """Return one by its number, some by a slice, or one by its name."""
        if not isinstance(key, str):
            return super().__getitem__(key)
        if key not in self._places:
            raise KeyError(_lacks(key, self._places))
        place = self._places[key]
        return super().__getitem__(place) if isinstance(place, int) else tuple(map(super().__getitem__, place))

    def __getattr__(self, name: str) -> Any:
        """Return one by its name."""
        if name.startswith("_") or name not in self._places:
            raise AttributeError(_lacks(name, self.__dict__.get("_places", {})))
        return self[name]


def name_outputs(module: torch.nn.Module, net: Any) -> torch.nn.Module:
    """Let a sub-network's outputs have the model's names, where the super-network knows some; return the module.

    Only what runs a module for a user's own function does so: runtimes and exporters get plain tensors.
    """
    if places := places_of(net):
        module.register_forward_hook(lambda _module, _inputs, outputs: NamedOutputs(outputs, places))
    return module


def named(outputs: Any, net: Any) -> Any:
    """Return a sub-network's outputs with the model's names, where the super-network knows some."""
    places = places_of(net)
    return NamedOutputs(outputs, places) if places else outputs


def places_of(net: Any) -> Places:
    """Return where a model's named outputs are; nothing where they have no names."""
    return getattr(net, "output_names", None) or {}


def _lacks(name: str, places: Places) -> str:
    return f"the sub-network gives no {name!r}{suggestion(name, list(places))}"
