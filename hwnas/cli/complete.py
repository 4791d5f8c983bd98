"""What a shell offers when a value is begun: super-networks, platforms, studies and other names that are known here.

Whatever goes wrong, nothing is offered: an error message in the middle of a command line would help nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Complete = Callable[[Any, str], list[str]]


def _offering(names: Callable[[Any], Iterable[str]], *, listed: bool = False) -> Complete:
    """Return a function that offers those of ``names`` that begin as what is typed, or as its last one of several.

    Args:
        names: all that could be said.
        listed: the value is several of them, separated by commas.
    """

    def complete(ctx: Any, incomplete: str) -> list[str]:
        before, comma, begun = incomplete.rpartition(",") if listed else ("", "", incomplete)
        try:
            return sorted(f"{before}{comma}{name}" for name in names(ctx) if name.startswith(begun))
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


def _predictors(_: Any) -> Iterable[str]:
    from hwnas.search import predictors
    from hwnas.search.predictors.study import HIERARCHICAL

    return [*predictors.kinds(), HIERARCHICAL]


def _effort_levels(_: Any) -> Iterable[str]:
    from hwnas.harness.measurement.protocol import EFFORTS

    return EFFORTS


def _tables(_: Any) -> Iterable[str]:
    from hwnas.latency_luts import published

    return published.names()


def _weights(_: Any) -> Iterable[str]:
    from hwnas.supernets import weights

    return weights.names()


def _experiments(_: Any) -> Iterable[str]:
    from hwnas import experiments

    return ["list", "all", "summary", *experiments.names()]


def _known(ctx: Any) -> Iterable[str]:
    """Return what a search can start from."""
    return ["known", *_studies(ctx), *_platforms(ctx)]


supernets = _offering(_supernets)
platforms = _offering(_platforms)
studies = _offering(_studies)
algorithms = _offering(_algorithms)
algorithm_list = _offering(_algorithms, listed=True)
predictor_list = _offering(_predictors, listed=True)
qualities = _offering(_qualities)
objectives = _offering(_objectives)
efforts = _offering(_effort_levels)
tables = _offering(_tables)
weights = _offering(_weights)
experiments = _offering(_experiments)
known = _offering(_known)
