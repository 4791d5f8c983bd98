"""Write the parts of an exported graph that torch has put into graphs of their own back into it.

``torch.export`` does so for code under ``torch.autocast`` and ``torch.enable_grad``, whose settings hold for a part
alone. No result of an inference on the CPU depends on most of these settings.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

# The operators, with the places of their graph and of its first argument.
_GRADIENTS, _AUTOCAST = "wrap_with_set_grad_enabled", "wrap_with_autocast"
_GRAPHS = {_GRADIENTS: 1, _AUTOCAST: 4}


def inline(module: fx.GraphModule) -> None:
    """Write back, in place, the parts that compute the same without their setting; those of other operators stay."""
    for node in list(module.graph.nodes):
        name = operator_of(node)
        if name == _GRADIENTS or (name == _AUTOCAST and not _converts(node)):
            part: Any = module.get_submodule(node.args[_GRAPHS[name]].target)
            inline(part)
            _copy(module.graph, node, part.graph, node.args[_GRAPHS[name] + 1 :])


def operator_of(node: fx.Node) -> str:
    """Return the name of the operator on graphs that a node calls; "": it calls another, or nothing."""
    found = isinstance(node.target, torch._ops.HigherOrderOperator)  # noqa: SLF001 - torch has no other name for it
    return node.target.name() if found and node.op == "call_function" else ""  # type: ignore[union-attr]


def _converts(node: fx.Node) -> bool:
    """Return whether an autocast computes in another type on the CPU."""
    device, _, enabled, *_ = node.args
    return device == "cpu" and bool(enabled)


def _copy(graph: fx.Graph, node: fx.Node, part: fx.Graph, given: tuple[fx.Node, ...]) -> None:
    """Put the nodes of a part in the place of the node that runs it, whose readers each take one of its results."""
    inputs = [one for one in part.nodes if one.op == "placeholder"]
    with graph.inserting_before(node):
        results: Any = graph.graph_copy(part, dict(zip(inputs, given, strict=True)))
    for reader in list(node.users):
        reader.replace_all_uses_with(results[reader.args[1]])
        graph.erase_node(reader)
    graph.erase_node(node)
