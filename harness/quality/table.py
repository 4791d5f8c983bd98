"""``table:FILE``: the quality that somebody measured and wrote into a CSV file."""

from __future__ import annotations

from hwnas.harness.quality import columns
from hwnas.harness.quality.quality import FreeQuality
from hwnas.supernets.supernet import SuperNetwork


def serves(name: str, net: SuperNetwork) -> list[str]:  # noqa: ARG001 - any super-network can be measured
    """Return how it is spelled."""
    return [f"{name}:FILE"]


def create(name: str, argument: str, net: SuperNetwork) -> FreeQuality:
    """Read ``FILE[,column=COLUMN]``; a sub-network that is not in it has no quality (nan)."""
    found = columns.read(name, argument, net.space)
    return FreeQuality(
        name=f"{name}:{argument}",
        metric=found.metric,
        unit=found.unit,
        maximise=found.maximise,
        predicted=False,
        note=f"{found.metric} of {len(found.lookup.values)} distinct sub-networks, as measured in {argument}",
        function=found.lookup,
        source=found.source,
        contents=found.contents,
        rows=len(found.lookup.values),
    )
