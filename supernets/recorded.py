"""Use modules that were recorded on the CPU, in FP32, on other devices and in other precisions.

A model's code asks its tensors where they are and of what type. What was recorded of it has the answers in it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import fx, nn
from torch._ops import OpOverload


def make_on(module: nn.Module, device: torch.device | str) -> None:
    """Let a recorded module's calls that make tensors of numbers alone, such as positions, make them on a device."""
    if not isinstance(module, fx.GraphModule):
        return
    making = [node for node in module.graph.nodes if _makes(node)]
    for node in making:
        node.update_kwarg("device", torch.device(device))
    if making:
        module.recompile()


def _makes(node: fx.Node) -> bool:
    if node.op != "call_function" or not isinstance(node.target, OpOverload):
        return False
    arguments = node.target._schema.arguments  # noqa: SLF001 - torch has no other name for it
    takes = any("Tensor" in str(one.type) for one in arguments)
    return not takes and any(one.name == "device" for one in arguments)


def agree(module: nn.Module, inputs: tuple[torch.Tensor, ...], dtype: torch.dtype) -> None:
    """Convert, in a recorded module, what calls are given that refuse operands of several precisions.

    Args:
        module: its weights are of ``dtype``.
        inputs: on which it is run once, to see what is refused.
        dtype: that of the activations, which meet others where the model converted something to FP32.
    """
    if dtype == torch.float32 or not isinstance(module, fx.GraphModule):
        return
    run = _Converting(module, dtype)
    try:
        with torch.no_grad():
            run.run(*inputs)
    except RuntimeError:
        return  # whoever runs it says why it cannot be run
    for node, given in run.mixed.items():
        with module.graph.inserting_before(node):
            for one in given:
                node.replace_input_with(one, module.graph.call_function(torch.ops.aten.to.dtype, (one, dtype)))
    if run.mixed:
        module.recompile()


class _Converting(fx.Interpreter):
    """Runs a module, and converts the operands of calls that refuse them as they are.

    Attributes:
        mixed: those calls, and which of their operands were converted.
    """

    def __init__(self, module: fx.GraphModule, dtype: torch.dtype) -> None:
        super().__init__(module, garbage_collect_values=False)
        self.extra_traceback = False
        self._dtype = dtype
        self.mixed: dict[fx.Node, list[fx.Node]] = {}

    def run_node(self, n: fx.Node) -> Any:
        """Return a node's result."""
        try:
            return super().run_node(n)
        except RuntimeError:
            before = {one: self.env[one] for one in n.all_input_nodes if self._is_other(self.env[one])}
            if not before:
                raise
        self.mixed[n] = list(before)
        self.env.update({one: value.to(self._dtype) for one, value in before.items()})
        result = super().run_node(n)
        self.env.update(before)
        return result

    def _is_other(self, value: Any) -> bool:
        return isinstance(value, torch.Tensor) and value.is_floating_point() and value.dtype != self._dtype
