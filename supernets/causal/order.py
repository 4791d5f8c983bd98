"""Order what can be left out by its importance: hidden units, groups of keys and values, and layers.

With a calibration text importance is activation-aware: a hidden unit's is the mean of its absolute value over the
tokens times the norm of its column in the projection that follows (as Sun et al., 2024, arXiv 2306.11695, score
weights), a group's is the same summed over its channels, and a layer's is how much it changes the direction of the
residual, one minus the cosine of its input and output (Men et al., 2024, arXiv 2403.03853). Without a text, units and
groups are ordered by the norms of their weights, and layers stay in order: the last ones are left out first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch

from hwnas.supernets.causal.llama import GatedFeedForward, GroupedAttention
from hwnas.supernets.decoder.network import Decoder
from hwnas.supernets.space import IntArray

# Windows of the calibration text that are read.
WINDOWS, WINDOW = 32, 128


@dataclass(frozen=True)
class Order:
    """The order of a model's parts, the most important first.

    Attributes:
        layers: their numbers.
        units: of each layer, the numbers of its hidden units.
        groups: of each layer, the numbers of its groups.
    """

    layers: tuple[int, ...]
    units: tuple[torch.Tensor, ...]
    groups: tuple[torch.Tensor, ...]


def by_weights(model: Decoder) -> Order:
    """Return the order by the norms of weights."""
    units, groups = [], []
    for _, attn, mlp in _parts(model):
        units.append(mlp.gate.weight.norm(dim=1) * mlp.up.weight.norm(dim=1) * mlp.down.weight.norm(dim=0))
        groups.append(_of_groups(attn, attn.proj.weight.norm(dim=0) ** 2).sqrt() * _value_norms(attn))
    return Order(tuple(range(len(units))), _sorted(units), _sorted(groups))


def by_activations(model: Decoder, tokens: IntArray) -> Order:
    """Return the order by what the parts do on a text.

    Args:
        model: the whole model.
        tokens: of the text, ``(n,)``; at most ``WINDOWS`` windows of ``WINDOW`` are read.
    """
    n = len(model.layers)
    units = [torch.zeros(mlp.gate.out_features) for _, _, mlp in _parts(model)]
    channels = [torch.zeros(attn.proj.in_features) for _, attn, _ in _parts(model)]
    changes = torch.zeros(n)
    length = min(WINDOW, model.rotary.positions, len(tokens))
    rows = torch.from_numpy(tokens[: length * min(WINDOWS, len(tokens) // length)]).view(-1, length)
    with torch.inference_mode():
        places = model.rotary.first(length, model.wte.weight)
        for row in rows:
            x = model.wte(row[None])
            for index, (layer, attn, mlp) in enumerate(_parts(model)):
                seen: list[torch.Tensor] = []
                hook = attn.proj.register_forward_pre_hook(lambda _, given, seen=seen: seen.append(given[0]))
                inner = mlp.down.register_forward_pre_hook(lambda _, given, seen=seen: seen.append(given[0]))
                y, _ = layer(x, places)
                hook.remove()
                inner.remove()
                channels[index] += seen[0].abs().mean((0, 1))
                units[index] += seen[1].abs().mean((0, 1))
                changes[index] += 1 - torch.cosine_similarity(x, y, dim=-1).mean()
                x = y
    scored = []
    for index, (_, attn, mlp) in enumerate(_parts(model)):
        units[index] = units[index] * mlp.down.weight.norm(dim=0)
        scored.append(_of_groups(attn, channels[index] * attn.proj.weight.norm(dim=0)))
    # Each process computes the order anew, with other last bits: layers that change as good as nothing stay in order.
    layers = torch.argsort((changes / len(rows)).round(decimals=5), descending=True, stable=True).tolist()
    return Order(tuple(layers), _sorted(units), _sorted(scored))


def rearranged(state: dict[str, torch.Tensor], order: Order, width: int, shared_by: int) -> dict[str, torch.Tensor]:
    """Return weights with the units and groups of each layer in their order, so that the first ones are kept.

    Args:
        state: of the whole model, by our names.
        order: of its parts.
        width: channels of a head.
        shared_by: how many heads share keys and values.
    """
    found = dict(state)

    def take(key: str, rows: torch.Tensor, dim: int) -> None:
        if key in found:
            found[key] = found[key].index_select(dim, rows)

    for index, (units, groups) in enumerate(zip(order.units, order.groups, strict=True)):
        keys, queries = _spread(groups, width), _spread(groups, width * shared_by)
        for part in ("weight", "bias"):
            take(f"h.{index}.mlp.gate.{part}", units, 0)
            take(f"h.{index}.mlp.up.{part}", units, 0)
            take(f"h.{index}.attn.query.{part}", queries, 0)
            take(f"h.{index}.attn.key.{part}", keys, 0)
            take(f"h.{index}.attn.value.{part}", keys, 0)
        take(f"h.{index}.mlp.down.weight", units, 1)
        take(f"h.{index}.attn.proj.weight", queries, 1)
    return found


def _parts(model: Decoder) -> list[tuple[torch.nn.Module, GroupedAttention, GatedFeedForward]]:
    return [(one, cast("GroupedAttention", one.attn), cast("GatedFeedForward", one.mlp)) for one in model.layers]


def _of_groups(attn: GroupedAttention, channels: torch.Tensor) -> torch.Tensor:
    """Return the sum over each group's channels."""
    return channels.view(attn.groups, -1).sum(1)


def _value_norms(attn: GroupedAttention) -> torch.Tensor:
    norms: torch.Tensor = attn.value.weight.view(attn.groups, -1).norm(dim=1)
    return norms


def _spread(numbers: torch.Tensor, each: int) -> torch.Tensor:
    """Return the numbers of the channels of groups that have ``each`` of them."""
    return (numbers[:, None] * each + torch.arange(each)).flatten()


def _sorted(scores: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    return tuple(torch.argsort(one.detach(), descending=True, stable=True) for one in scores)
