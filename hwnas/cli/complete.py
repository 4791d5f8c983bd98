"""What a shell offers when a value is begun: super-networks, platforms, studies and other names that are known here.

Whatever goes wrong, nothing is offered: an error message in the middle of a command line would help nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Complete = Callable[[Any, str], list[str]]


def _offering(names: Callable[[Any], Iterable[str]]) -> Complete:
    """Return a function that offers those of ``names`` that begin as what is typed."""

    def complete(ctx: Any, incomplete: str) -> list[str]:
        try:
            return sorted(name for name in names(ctx) if name.startswith(incomplete))
        except Exception:  # noqa: BLE001 - see above
            return []

    return complete


def _supernets(_: Any) -> Iterable[str]:
    from hwnas import supernets

    own = (f"{name}:{option.partition('=')[0]}=" for name, option in supernets.needs().items())
    return [*supernets.names(), *own]


def _platforms(_: Any) -> Iterable[str]:
    from hwnas import backends
    from hwnas.harness.platform import named_platforms
    from hwnas.latency_luts import published

    tables = [f"lut:table={name}" for name in published.names()]
    return {*backends.names(), *named_platforms(), *tables}


def _studies(ctx: Any) -> Iterable[str]:
    from hwnas.defaults import DEFAULT_STORE
    from hwnas.harness.store import Store

    location = ctx.params.get("store") or DEFAULT_STORE
    if "://" not in location and not Path(location).is_file():
        return []
    with Store.open(location, create=False) as store:
        return [one.name for one in store.studies()]


def _algorithms(_: Any) -> Iterable[str]:
    from hwnas.search import algorithms

    return algorithms.names()


def _qualities(_: Any) -> Iterable[str]:
    from hwnas.harness import quality

    return quality.names()


def _objectives(_: Any) -> Iterable[str]:
    from hwnas.search import objectives

    return objectives.registry.names()


supernets = _offering(_supernets)
platforms = _offering(_platforms)
studies = _offering(_studies)
algorithms = _offering(_algorithms)
qualities = _offering(_qualities)
objectives = _offering(_objectives)
