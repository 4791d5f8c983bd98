"""Order the blocks of a stage by how much a model's outputs change without each of them, on a user's data."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from hwnas.supernets.elastic.depth import Stage, Unit
from hwnas.supernets.elastic.factory import flat
from hwnas.supernets.elastic.network import ElasticModel
from hwnas.supernets.plug_ins import FAILURES

# A few batches tell which blocks matter, and each is run once for every block.
_BATCHES = 8


def by_outputs(net: ElasticModel, batches: Sequence[tuple[torch.Tensor, ...]]) -> tuple[Stage, ...]:
    """Return the stages with their blocks in the order of their importance, the most important first.

    A block's importance is one minus the cosine between the model's first output and that of the model without this
    block alone, the mean over the samples of the first batches. (Men et al., 2024, arXiv 2403.03853, compare what goes
    into a block and what comes out; the model's own output also knows what later blocks make of it.) A block without
    which the model does not run always stays.

    Args:
        net: the super-network.
        batches: inputs of the model, in its order of inputs.
    """
    if not net.elastic.stages:
        return ()
    used = batches[:_BATCHES]
    whole = net.build(net.space.decode(net.space.largest())[0])
    with torch.no_grad():
        wanted = [flat(whole(*batch))[0] for batch in used]
    found = []
    for stage in net.elastic.stages:
        scores = {unit: score for unit in stage.units if (score := _change(net, unit, used, wanted)) is not None}
        # Sorting is stable: of blocks that matter as much, the last ones go first.
        if units := sorted(scores, key=lambda unit, scores=scores: -scores[unit]):  # type: ignore[misc]
            found.append(Stage(tuple(units)))
    return tuple(found)


def _change(
    net: ElasticModel, unit: Unit, batches: Sequence[tuple[torch.Tensor, ...]], wanted: Sequence[torch.Tensor]
) -> float | None:
    """Return how much the outputs change without a block; ``None``: the model does not run without it."""
    try:
        module = net.without(unit)
        with torch.no_grad():
            changes = [_apart(flat(module(*batch))[0], one) for batch, one in zip(batches, wanted, strict=True)]
    except FAILURES:
        return None
    return float(torch.cat(changes).mean())


def _apart(found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Return how far outputs lie apart, one number per sample."""
    one, other = (x.reshape(len(x) if x.dim() else 1, -1).double() for x in (found, wanted))
    return 1 - torch.nn.functional.cosine_similarity(one, other)
