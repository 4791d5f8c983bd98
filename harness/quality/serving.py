"""Find the quality sources that serve a super-network with its options, as advice in error messages.

Each source has a function ``serves(name, net)`` in its file, which returns the specs to write, or none. It looks at the
super-network only, so that it costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from hwnas.supernets.errors import PlugInError
from hwnas.supernets.registry import Registry
from hwnas.supernets.supernet import SuperNetwork


def serving(registry: Registry, net: SuperNetwork, but: str = "") -> list[str]:
    """Return specs of the sources that serve ``net``, its default source first.

    Args:
        registry: of the quality sources.
        net: the super-network.
        but: a spec that has been refused.
    """
    specs = [spec for name in registry.working() for spec in _specs(registry, name, net) if spec != but]
    return sorted(specs, key=lambda spec: spec.partition(":")[0] != net.default_quality)


def joined(specs: Iterable[str]) -> str:
    """Join specs for a message."""
    *most, last = specs
    return f"{', '.join(most)} or {last}" if most else last


def _specs(registry: Registry, name: str, net: SuperNetwork) -> list[str]:
    serves = getattr(registry.provider(name), "serves", None)
    try:
        with registry.at_work(name):
            return [] if serves is None else [str(spec) for spec in serves(name, net)]
    except PlugInError:  # it is only asked for advice
        return []
