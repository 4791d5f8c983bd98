"""``table:FILE``: look up measured quality in a CSV file."""

from __future__ import annotations

from hwnas.harness.quality import columns
from hwnas.harness.quality.quality import FunctionQuality
from hwnas.supernets.supernet import SuperNetwork

SPELLED = "table:FILE[,column=NAME]"
SUMMARY = "a column of a measured CSV file"


def serves(name: str, net: SuperNetwork) -> list[str]:  # noqa: ARG001 - any super-network can be measured
    """Return the spec of this source."""
    return [f"{name}:FILE"]


def create(name: str, argument: str, net: SuperNetwork) -> FunctionQuality:
    """Read ``FILE[,column=COLUMN]``; a sub-network that is not in the file has no quality (nan)."""
    found = columns.read(name, argument, net.space)
    return FunctionQuality(
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
