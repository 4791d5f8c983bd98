"""Measure the same sub-networks on every platform, with what an interrupted comparison has left."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hwnas.harness.bench.progress import MeasuringProgress
from hwnas.harness.measurement.beside_load import beside_load
from hwnas.search.study.snapshots import compared_since
from hwnas.search.transfer.sentence import BESIDE

if TYPE_CHECKING:
    from hwnas.harness.measurement.measurement import Measurement
    from hwnas.harness.platform import Platform
    from hwnas.harness.store import Store
    from hwnas.search.study.result import Study
    from hwnas.supernets.space import IntArray
    from hwnas.supernets.supernet import SuperNetwork


def serving_from(
    store: Store | None, own: Sequence[Study], begun: str, *, fresh: bool, brief: bool
) -> dict[str, str | bool | None]:
    """Return which stored measurements serve in a comparison, as the measurer's ``since`` and ``older``.

    What a search measured briefly, batch by batch, is not compared: all sub-networks are measured side by side. So
    where the comparison is brief too, only what it has measured itself before it was interrupted serves.

    Args:
        store: where the measurements are; ``None``: nowhere.
        own: the studies that the comparison itself has searched, in this call or in an interrupted one.
        begun: when this call began, ISO 8601, UTC.
        fresh: nothing serves.
        brief: the comparison measures with less than full effort.
    """
    if fresh:
        return {"since": None, "older": False}
    if brief:
        return {"since": compared_since(store, own), "older": False}
    records = [None if store is None else store.study(one.name) for one in own]
    return {"since": min([begun, *(one.created_at for one in records if one is not None)]), "older": True}


def everywhere(
    net: SuperNetwork,
    places: Mapping[str, Platform],
    X: IntArray,
    begin: Callable[[str], Callable[[Any], None]],
    **options: Any,
) -> tuple[list[list[Measurement]], dict[str, dict[str, Any]]]:
    """Measure platform by platform: a device is held by one at a time.

    Args:
        net: the super-network.
        places: the platforms, by name.
        X: the sub-networks, vectors ``(n, n_var)``.
        begin: is called with the name of a platform before it is measured on; returns what is told how far that is.
        options: the measurer's.

    Returns:
        One list of measurements per platform, in the order of ``X``, and every platform's environment by name.
    """
    from hwnas.harness.measure import Measurer

    measured, environments = [], {}
    for place, platform in places.items():
        report = begin(place)
        with Measurer(net, platform, progress=report, **options) as measurer:
            measured.append(measurer.measure(X))
            # Of what a table or the store knows the measurer reports nothing.
            report(MeasuringProgress("done", len(X), len(X), ""))
            marked = beside_load(one.load for one in measured[-1])
            environments[place] = {**measurer.environment, **({BESIDE: marked} if marked else {})}
    return measured, environments
