"""Record a torch module as a program, by ``torch.export``.

The module's code runs once, on tensors without values, so it is the graph that counts and not the names of classes.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import fx, nn

from hwnas.supernets.elastic.program import CALL, GETITEM, INPUT, OUTPUT, WEIGHT, Node, Program, Ref
from hwnas.supernets.errors import UsageError
from hwnas.supernets.own_code import explained
from hwnas.supernets.plug_ins import FAILURES

# The batch that is traced: no 1, which torch takes for a size that is always 1.
SAMPLES = 3

Inputs = torch.Tensor | Sequence[torch.Tensor] | Mapping[str, torch.Tensor]

# Arguments that say where and how memory lies, which is the runtime's business.
_PLACES = ("device", "pin_memory", "layout", "memory_format", "non_blocking", "copy")
# Calls that only check what tracing has settled.
_CHECKS = ("_assert_tensor_metadata", "_assert_async", "_assert_scalar", "sym_constrain_range_for_size")
# Calls that return the values that they are given.
_COPIES = ("contiguous", "clone", "detach", "alias", "lift_fresh_copy", "lift_fresh", "detach_")
_CONVERSIONS = ("to", "_to_copy", "type_as")
# Calls that give a view of their first argument's memory.
_VIEWS = ("view", "reshape", "transpose", "permute", "select", "slice", "unsqueeze", "squeeze", "expand", "t", "narrow")
_FRAME = re.compile(r'File "([^"]+)", line (\d+)')


def traced(module: nn.Module, inputs: Inputs, what: str, samples: int = SAMPLES) -> Program:
    """Return the program of a module in evaluation mode.

    Args:
        module: the model.
        inputs: example inputs of one sample: a tensor, a sequence of them, or a dict of keyword arguments.
        what: begins the message of an error.
        samples: the batch size to trace.

    Raises:
        UsageError: its code cannot be traced; names the line, and the part of the model.
    """
    args, kwargs = _arguments(inputs, samples)
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(
        False
    )  # a fused encoder layer is one call, in which nothing can be told apart
    try:
        with torch.no_grad(), _quietly():
            exported = torch.export.export(module.eval(), args, kwargs, strict=False)
    except FAILURES as error:
        raise UsageError(f"{what}: cannot be traced by torch.export: {_reason(error)}") from error
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return _Recorder(exported, what, samples).program()


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keep back what torch warns, logs and prints while it traces: of what fails, the reason is given in one line."""
    logger = logging.getLogger("torch")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _arguments(inputs: Inputs, samples: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if isinstance(inputs, Mapping):
        return (), {name: repeated(one, samples) for name, one in inputs.items()}
    several = (inputs,) if isinstance(inputs, torch.Tensor) else tuple(inputs)
    return tuple(repeated(one, samples) for one in several), {}


def repeated(one: torch.Tensor, samples: int) -> torch.Tensor:
    """Return an example input of one sample as one of several; what has no first dimension of 1 stays as it is."""
    return one.repeat(samples, *[1] * (one.dim() - 1)) if one.dim() and one.shape[0] == 1 else one


class _Recorder:
    """Copies an exported program, call by call.

    Calls that change a tensor in place are recorded as those that return a new one, and what reads the tensor later
    reads the new one.
    """

    def __init__(self, exported: torch.export.ExportedProgram, what: str, samples: int) -> None:
        self._exported = exported
        self._what = what
        self._samples = samples
        self._nodes: list[Node] = []
        self._now: dict[str, str] = {}  # the name under which a node's present value is found

    def program(self) -> Program:
        signature = self._exported.graph_signature
        inputs = {spec.arg.name: spec for spec in signature.input_specs}
        tensors = {**self._exported.state_dict, **self._exported.constants}
        weights: dict[str, torch.Tensor] = {}
        for node in self._exported.graph.nodes:
            if node.op == "placeholder" and (target := inputs[node.name].target) is not None:
                weights[target] = tensors[target].detach()
                self._add(node, WEIGHT, target)
            elif node.op == "placeholder":
                self._add(node, INPUT, node.name)
            elif node.op == "call_function":
                self._call(node)
            elif node.op == "output":
                self._output(node)
        nodes = tuple(_needed(self._nodes))
        used = {node.target for node in nodes if node.op == WEIGHT}
        trained = frozenset(name for name in used if isinstance(tensors[name], nn.Parameter))
        return Program(nodes, {name: weights[name] for name in sorted(used)}, trained, self._samples)

    def _add(self, node: fx.Node, op: str, target: str, args: Any = (), kwargs: Any = None) -> None:
        stack = node.meta.get("nn_module_stack") or {}
        path = list(stack.values())[-1][0] if stack else ""
        self._now[node.name] = node.name
        line = line_of(node.meta.get("stack_trace"))
        self._nodes.append(Node(node.name, op, target, args, kwargs or {}, _shapes(node), path, line))

    def _call(self, node: fx.Node) -> None:
        target = GETITEM if getattr(node.target, "__name__", "") == GETITEM else str(node.target)
        name = target.split(".")[1] if "." in target else target
        if name in _CHECKS:
            return
        if not isinstance(node.meta.get("val"), torch.Tensor | list | tuple):
            raise UsageError(
                f"{self._what}: {line_of(node.meta.get('stack_trace'))}: a size depends on values ({name})"
            )
        if self._changes_nothing(node, name):
            self._now[node.name] = self._now[_first(node).name]
            return
        args = tuple(self._plain(one) for one in node.args)
        kwargs = {key: self._plain(one) for key, one in node.kwargs.items() if key not in _PLACES}
        args = tuple(one for one in args if not isinstance(one, torch.device | torch.layout | torch.memory_format))
        if name in _CONVERSIONS:
            target, args, kwargs = "aten.to.dtype", (args[0], node.meta["val"].dtype), {}
        if target == "aten.view.default":  # what lies where in memory is not recorded
            target = "aten.reshape.default"
        changed = node.args[0] if _in_place(name) else None
        if changed is not None:
            self._refuse_views(node, name)
            target = _functional(target, self._what)
        self._add(node, CALL, target, args, kwargs)
        if isinstance(changed, fx.Node):
            self._now[changed.name] = node.name

    def _changes_nothing(self, node: fx.Node, name: str) -> bool:
        """Return whether a call returns the values of its argument: a copy, or a conversion to the type that it has."""
        if name in _COPIES:
            return True
        given = node.args[0].meta["val"] if node.args and isinstance(node.args[0], fx.Node) else None
        return name in _CONVERSIONS and isinstance(given, torch.Tensor) and given.dtype == node.meta["val"].dtype

    def _refuse_views(self, node: fx.Node, name: str) -> None:
        """Raise ``UsageError`` where a part of a tensor is changed in place, and the whole is read afterwards."""
        view = node.args[0]
        while isinstance(view, fx.Node) and view.op == "call_function" and _base(view) in _VIEWS:
            view = view.args[0]
        if view is not node.args[0] and isinstance(view, fx.Node):
            later = [user for user in view.users if user > node]
            if later or view.op == "placeholder":
                where = line_of(node.meta.get("stack_trace"))
                raise UsageError(f"{self._what}: {where}: {name} changes a part of a tensor in place")

    def _output(self, node: fx.Node) -> None:
        results: Any = node.args[0]
        flat = [one for one in results if isinstance(one, fx.Node)]
        if not flat:
            raise UsageError(f"{self._what}: its outputs are no tensors")
        self._nodes.append(Node("output", OUTPUT, "output", tuple(self._plain(one) for one in flat)))

    def _plain(self, argument: Any) -> Any:
        if isinstance(argument, fx.Node):
            return Ref(self._now[argument.name])
        if isinstance(argument, list | tuple):
            return tuple(self._plain(one) for one in argument)
        return argument


def _first(node: fx.Node) -> fx.Node:
    """Return the tensor that a call is given first."""
    (first, *_) = node.args
    assert isinstance(first, fx.Node)  # noqa: S101 - the calls that ask work on tensors
    return first


def _base(node: fx.Node) -> str:
    parts = str(node.target).split(".")
    return parts[1] if len(parts) > 1 else parts[0]


def _in_place(name: str) -> bool:
    return name.endswith("_") and not name.endswith("__")


def _functional(target: str, what: str) -> str:
    namespace, name, overload = target.split(".")
    if not hasattr(getattr(torch.ops, namespace), name.rstrip("_")):
        raise UsageError(f"{what}: {name} changes a tensor in place and has no twin that does not")
    return f"{namespace}.{name.rstrip('_')}.{overload}"


def _shapes(node: fx.Node) -> tuple[tuple[int, ...], ...]:
    value = node.meta.get("val")
    several = value if isinstance(value, list | tuple) else (value,)
    return tuple(tuple(int(size) for size in one.shape) for one in several if isinstance(one, torch.Tensor))


def line_of(trace: str | None) -> str:
    """Return the innermost line of a stack trace that is not torch's own: "model.py, line 12"."""
    frames = [found for found in _FRAME.findall(trace or "") if "/torch/" not in found[0]]
    return f"{Path(frames[-1][0]).name}, line {frames[-1][1]}" if frames else ""


def _reason(error: BaseException) -> str:
    """Return why tracing failed, in a line, with the place in the user's code where it is known."""
    text = str(error)
    trace = error.__traceback__
    places = []
    while trace is not None:
        code = trace.tb_frame.f_code.co_filename
        if "/torch/" not in code and "/hwnas/" not in code and Path(__file__).parents[2] not in Path(code).parents:
            places.append(f"{Path(code).name}, line {trace.tb_lineno}")
        trace = trace.tb_next
    where = places[-1] if places else line_of(text)
    first = next((line for line in text.splitlines() if line.strip()), type(error).__name__)
    return f"{first.strip()[:200]}{f' ({where})' if where else ''}" if text else explained(error)


def _needed(nodes: list[Node]) -> list[Node]:
    """Return the inputs, and the nodes that the output depends on: models compute what a user does not read."""
    by_name = {node.name: node for node in nodes}
    needed: set[str] = set()
    found = [node.name for node in nodes if node.op in (OUTPUT, INPUT)]
    while found:
        name = found.pop()
        if name not in needed:
            needed.add(name)
            found += by_name[name].refs()
    return [node for node in nodes if node.name in needed]
