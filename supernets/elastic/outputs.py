"""Order the blocks of a stage by how much a model's outputs change without each of them, on a user's data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import fx

from hwnas.supernets.elastic.depth import Stage, Unit
from hwnas.supernets.elastic.factory import flat
from hwnas.supernets.elastic.network import ElasticModel
from hwnas.supernets.elastic.rebuild import RECORDED
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
    assert isinstance(whole, fx.GraphModule)  # noqa: S101 - it was made of a program
    with torch.no_grad():
        wanted = [flat(whole(*batch))[0] for batch in used]
        found = []
        for stage in net.elastic.stages:
            scores = {unit: score for unit in stage.units if (score := _change(whole, unit, used, wanted)) is not None}
            # Sorting is stable: of blocks that matter as much, the last ones go first.
            if units := sorted(scores, key=lambda unit, scores=scores: -scores[unit]):  # type: ignore[misc]
                found.append(Stage(tuple(units)))
    return tuple(found)


def _change(
    whole: fx.GraphModule, unit: Unit, batches: Sequence[tuple[torch.Tensor, ...]], wanted: Sequence[torch.Tensor]
) -> float | None:
    """Return how much the outputs change without a block; ``None``: the model does not run without it."""
    module = _Without(whole, unit)
    try:
        changes = [_apart(flat(module.run(*batch))[0], one) for batch, one in zip(batches, wanted, strict=True)]
    except FAILURES:
        return None
    return float(torch.cat(changes).mean())


class _Without(fx.Interpreter):
    """Runs a model without one block: what goes into the block is what comes out.

    A module of its own for each block would take longer to make than to run.
    """

    def __init__(self, whole: fx.GraphModule, unit: Unit) -> None:
        super().__init__(whole)
        self.extra_traceback = False
        self._unit = unit
        self._entry: Any = None

    def run_node(self, n: fx.Node) -> Any:
        """Return a node's result."""
        name = n.meta.get(RECORDED)
        result = self._entry if name == self._unit.exit else super().run_node(n)
        if name == self._unit.entry:
            self._entry = result
        return result


def _apart(found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Return how far outputs lie apart, one number per sample."""
    one, other = (x.reshape(len(x) if x.dim() else 1, -1).double() for x in (found, wanted))
    return 1 - torch.nn.functional.cosine_similarity(one, other)
