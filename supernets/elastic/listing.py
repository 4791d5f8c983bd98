"""List what is elastic in a model: each set of channels with its layers, its sizes and its share of the work."""

from __future__ import annotations

from typing import Any

from hwnas.supernets.elastic.depth import DEPTH
from hwnas.supernets.elastic.network import ElasticModel
from hwnas.supernets.elastic.sets import ChannelSet
from hwnas.supernets.supernet import SuperNetwork


def rows(net: SuperNetwork) -> list[dict[str, Any]] | None:
    """Return a record for each stage of blocks and each set of channels; ``None``: it is no super-network of a model.

    A record has the ``name`` (of the first layer or block, and how many more there are), the ``key`` in configs, the
    number of ``layers``, the ``values``, why it is ``fixed`` or "", and the shares of ``macs`` and ``params`` that the
    whole model loses when this alone is at its smallest. That of a stage has its ``blocks`` too, the last of which is
    left out first.
    """
    if not isinstance(net, ElasticModel):
        return None
    stages = [
        {
            "name": stage.name,
            "key": DEPTH,
            "layers": len(stage.units),
            "blocks": [unit.path for unit in stage.units],
            "values": list(stage.values),
            "fixed": "",
        }
        for stage in net.elastic.stages
    ]
    elastic = [_row(one) for one in net.elastic.elastic_sets]
    fixed = [_row(one) for one in net.elastic.sets if one.fixed and _counts(one)]
    chosen = [{**record, **_shares(net, column)} for column, record in enumerate([*stages, *elastic])]
    return [*chosen, *({**record, "macs": None, "params": None} for record in fixed)]


def _row(one: ChannelSet) -> dict[str, Any]:
    more = f" +{len(one.layers) - 1}" if len(one.layers) > 1 else ""
    values = list(one.values)
    return {
        "name": one.layers[0] + more,
        "key": one.key,
        "layers": len(one.layers),
        "values": values,
        "fixed": one.fixed,
    }


def _counts(one: ChannelSet) -> bool:
    """Return whether a fixed set is worth a line: kernels and head sizes never shrink."""
    return not one.fixed.startswith(("the kernel", "the size of a head")) and not one.fixed.endswith("apart")


def _shares(net: ElasticModel, column: int) -> dict[str, float]:
    x = net.space.largest()
    least = x.copy()
    least[0, column] = 0
    return {
        name: 1 - float(count(least)[0]) / float(count(x)[0])
        for name, count in (("macs", net.macs), ("params", net.params))
    }
