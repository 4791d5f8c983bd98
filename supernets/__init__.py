"""Super-networks and their search spaces: ``names()`` lists super-networks, ``get(name)`` makes one.

A super-network is one file in
``hwnas.supernets.zoo`` or an installed package's entry point in the group ``hwnas.supernets``. One that is made of a
user's own file says by ``NEEDS`` ("model=FILE.py:FUNCTION") which option it cannot be made without.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hwnas.supernets.names import check_name
from hwnas.supernets.quoting import shortened
from hwnas.supernets.registry import Registry
from hwnas.supernets.spec import parse_spec

if TYPE_CHECKING:
    from hwnas.supernets.supernet import Stage, SuperNetwork

__all__ = ["Stage", "SuperNetwork", "get", "names", "needs", "registry"]


def __getattr__(name: str) -> Any:
    # The errors of this package are part of every command, and ``hwnas --help`` needs no numpy.
    if name not in {"Stage", "SuperNetwork"}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from hwnas.supernets import supernet

    return getattr(supernet, name)


def _protocols() -> tuple[type, ...]:
    from hwnas.supernets.supernet import SuperNetwork

    return (SuperNetwork,)


def _counted(net: SuperNetwork) -> None:
    """Raise ``TypeError`` if the counts of the smallest sub-network are not numbers."""
    import numpy as np

    for name, count in (("params", net.params), ("macs", net.macs)):
        found = count(net.space.smallest())
        if np.shape(found) != (1,) or np.asarray(found).dtype.kind not in "iuf":
            raise TypeError(f"{name}(X): expected a number for each sub-network, got {shortened(repr(found))}")


registry = Registry("super-network", "hwnas.supernets.zoo", "hwnas.supernets", makes=_protocols, proves=_counted)


def names() -> list[str]:
    """Return the names of all super-networks that can be made by name alone."""
    without = needs()
    return [name for name in registry.names() if name not in without]


def needs() -> dict[str, str]:
    """Return the super-networks that are made of a user's own files, each with the option that it needs."""
    given = {name: registry.stated(name, "NEEDS") for name in registry.working()}
    return {name: option for name, option in given.items() if option}


def get(spec: str) -> SuperNetwork:
    """Make the super-network of ``NAME[:KEY=VALUE[,KEY=VALUE...]]``, such as ``ofa-mbv3-w1.2:r=160``.

    With ``/blocks`` appended, it is the super-network whose sub-networks are the single blocks of the other.

    Raises:
        UnknownNameError: no such super-network.
        UsageError: it does not have an option, or an option does not have the value.
    """
    from hwnas.supernets.listed import PREFIX, Listed
    from hwnas.supernets.single_blocks import SUFFIX, SingleBlocks

    if spec:  # an empty one is none that is known, which is said below
        check_name("super-network", spec)
    if spec.endswith(SUFFIX):
        return SingleBlocks(get(spec.removesuffix(SUFFIX)))
    if spec.startswith(PREFIX):
        return Listed.named(spec)
    name, options = parse_spec(spec, f"super-network {spec!r}")
    net: SuperNetwork = registry.create(name, options)
    return net
