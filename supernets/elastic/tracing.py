"""Record a torch module as a program, by ``torch.export``.

The module's code runs once, on tensors without values, so it is the graph that counts and not the names of classes.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import logging
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import fx, nn

from hwnas.supernets.elastic.inlining import inline, operator_of
from hwnas.supernets.elastic.naming import output_names
from hwnas.supernets.elastic.program import CALL, GETITEM, INPUT, OUTPUT, WEIGHT, Node, Program, Ref, needed
from hwnas.supernets.errors import UsageError
from hwnas.supernets.own_code import place_of
from hwnas.supernets.plug_ins import FAILURES

Inputs = torch.Tensor | Sequence[torch.Tensor] | Mapping[str, torch.Tensor]

# Arguments that say where and how memory lies, which is the runtime's business.
_PLACES = ("device", "pin_memory", "layout", "memory_format", "non_blocking", "copy")
# Calls that only check what tracing has settled.
_CHECKS = ("_assert_tensor_metadata", "_assert_async", "_assert_scalar", "sym_constrain_range_for_size")
# Calls that return the values that they are given.
_COPIES = ("contiguous", "clone", "detach", "alias", "lift_fresh_copy", "lift_fresh", "detach_")
_CONVERSIONS = ("to", "_to_copy", "type_as")
# Calls that give their first argument the shape of another.
_LIKE_ANOTHER = ("reshape_as", "view_as")
# Calls that give a view of their first argument's memory.
_VIEWS = ("view", "reshape", "transpose", "permute", "select", "slice", "unsqueeze", "squeeze", "expand", "t", "narrow")
# Those of a part whose change has a function that returns the whole.
_PARTS = ("select", "slice")
_TORCH = f"{Path(torch.__file__).parent}/"
# A line of a stack trace; files in angle brackets are none.
_FRAME = re.compile(r'File "([^"<]+)", line (\d+)')
# torch's words for code that asks what a tensor's values are.
_OF_VALUES = "data-dependent"


def samples_for(inputs: Inputs) -> int:
    """Return a number of samples to trace a model with, if it is to run on any number of them.

    It is no 1, which torch takes for a size that is always 1, and not the first size of an input that has no samples.
    """
    taken = {one.shape[0] for one in listed(inputs) if one.dim()}
    return next(number for number in itertools.count(3) if number not in taken)


def listed(inputs: Any) -> list[Any]:
    """Return example inputs in the order in which they were given; what is none of their forms is one."""
    if isinstance(inputs, Mapping):
        return list(inputs.values())
    return list(inputs) if isinstance(inputs, tuple | list) else [inputs]


def traced(module: nn.Module, inputs: Inputs, what: str, samples: int) -> Program:
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
    # A fused encoder layer is one call, in which nothing can be told apart.
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad(), _quietly():
            exported = torch.export.export(module.eval(), args, kwargs, strict=False)
    except FAILURES as error:
        raise UsageError(f"{what}: cannot be traced by torch.export: {_reason(error)}") from error
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    inline(exported.graph_module)
    return _Recorder(exported, what, samples).program()


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keep back what torch warns, logs and prints while it traces: of what fails, the reason is given in one line."""
    logger = logging.getLogger("torch")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    aside = io.StringIO()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(aside), contextlib.redirect_stderr(aside):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _arguments(inputs: Inputs, samples: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if isinstance(inputs, Mapping):
        return (), {name: repeated(one, samples) for name, one in inputs.items()}
    return tuple(repeated(one, samples) for one in listed(inputs)), {}


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
        names = _input_names(self._exported)
        tensors = {**self._exported.state_dict, **self._exported.constants}
        weights: dict[str, torch.Tensor] = {}
        for node in self._exported.graph.nodes:
            if node.op == "placeholder" and (target := inputs[node.name].target) is not None:
                weights[target] = tensors[target].detach()
                self._add(node, WEIGHT, target)
            elif node.op == "placeholder":
                self._add(node, INPUT, names.get(node.name, node.name))
            elif node.op == "call_function":
                self._call(node)
            elif node.op == "output":
                self._output(node)
        nodes = tuple(needed(self._nodes))  # models compute what a user does not read
        used = {node.target for node in nodes if node.op == WEIGHT}
        trained = frozenset(name for name in used if _is_trained(tensors[name]))
        return Program(nodes, {name: weights[name] for name in sorted(used)}, trained, self._samples)

    def _add(self, node: fx.Node, op: str, target: str, args: Any = (), kwargs: Any = None) -> None:
        stack = node.meta.get("nn_module_stack") or {}
        path = list(stack.values())[-1][0] if stack else ""
        self._now[node.name] = node.name
        line = line_of(node.meta.get("stack_trace"))
        self._nodes.append(Node(node.name, op, target, args, kwargs or {}, _shapes(node), path, line))

    def _call(self, node: fx.Node) -> None:
        target = GETITEM if getattr(node.target, "__name__", "") == GETITEM else str(node.target)
        name = _operator(node)
        if name in _CHECKS:
            return
        self._check(node, name)
        if self._changes_nothing(node, name):
            self._now[node.name] = self._now[_first(node).name]
            return
        target, args, kwargs = self._recorded(node, name, target)
        if not _in_place(name):
            self._add(node, CALL, target, args, kwargs)
            return
        views = self._views(node, name)
        if name == "copy_":
            self._copy(node, args[1])
        else:
            self._add(node, CALL, _functional(target, self._what), args, kwargs)
        if isinstance(node.args[0], fx.Node):
            self._now[node.args[0].name] = node.name
        self._put_back(node, views)

    def _check(self, node: fx.Node, name: str) -> None:
        """Raise ``UsageError`` if a call runs a graph of its own, or gives sizes that depend on values."""
        if graphs := operator_of(node):
            raise self._refused(node, f"{graphs.removeprefix('wrap_with_')} is not supported")
        if not _is_known(node.meta.get("val")):
            raise self._refused(node, f"a size depends on values ({name})")

    def _recorded(self, node: fx.Node, name: str, target: str) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
        """Return a call's target and arguments without what says where and how memory lies."""
        args = tuple(self._plain(one) for one in node.args)
        kwargs = {key: self._plain(one) for key, one in node.kwargs.items() if key not in _PLACES}
        args = tuple(one for one in args if not isinstance(one, torch.device | torch.layout | torch.memory_format))
        if name in _CONVERSIONS:
            return "aten.to.dtype", (args[0], node.meta["val"].dtype), {}
        if name in _LIKE_ANOTHER:
            return "aten.reshape.default", (args[0], tuple(node.meta["val"].shape)), kwargs
        return ("aten.reshape.default" if target == "aten.view.default" else target), args, kwargs

    def _copy(self, node: fx.Node, source: Ref) -> None:
        """Record what is copied into a tensor, in that one's type and shape."""
        value, given = node.meta["val"], node.args[1]
        assert isinstance(given, fx.Node)  # noqa: S101 - what copy_ means
        if given.meta["val"].dtype != value.dtype:
            converted = Node(f"{node.name}_type", CALL, "aten.to.dtype", (source, value.dtype), {}, _shapes(given))
            self._nodes.append(converted)
            source = Ref(converted.name)
        self._add(node, CALL, "aten.expand.default", (source, tuple(value.shape)))

    def _changes_nothing(self, node: fx.Node, name: str) -> bool:
        """Return whether a call returns the values of its argument: a copy, or a conversion to the type that it has."""
        if name in _COPIES:
            return True
        given = node.args[0].meta["val"] if node.args and isinstance(node.args[0], fx.Node) else None
        return name in _CONVERSIONS and isinstance(given, torch.Tensor) and given.dtype == node.meta["val"].dtype

    def _views(self, node: fx.Node, name: str) -> list[fx.Node]:
        """Return the views through which a call changes a part of a tensor that is read later, the innermost first.

        Raises:
            UsageError: they are other than slices and single entries, or other views of it are read later too.
        """
        views = []
        base = node.args[0]
        while isinstance(base, fx.Node) and base.op == "call_function" and _operator(base) in _VIEWS:
            views.append(base)
            base = base.args[0]
        if not isinstance(base, fx.Node):
            return []
        others = [view for view in _views_of(base) if view not in views and view < node]
        stale = any(user > node for view in others for user in view.users)
        read = base.op == "placeholder" or any(user > node for one in (base, *views[1:]) for user in one.users)
        if not stale and not (views and read):
            return []
        if stale or base.op == "placeholder" or any(_operator(view) not in _PARTS for view in views):
            raise self._refused(node, f"{name} changes a part of a tensor in place")
        return views

    def _put_back(self, node: fx.Node, views: Sequence[fx.Node]) -> None:
        """Record, for a part that a call has changed, the whole with it, and the whole of which that is a part."""
        changed = node.name
        for number, view in enumerate(views):
            whole = _first(view)
            args = (Ref(self._now[whole.name]), Ref(changed), *view.args[1:])
            changed = f"{node.name}_whole{number}"
            target = f"aten.{_operator(view)}_scatter.default"
            line = line_of(node.meta.get("stack_trace"))
            self._nodes.append(Node(changed, CALL, target, args, {}, _shapes(whole), self._nodes[-1].path, line))
            self._now[whole.name] = changed

    def _output(self, node: fx.Node) -> None:
        results: Any = node.args[0]
        flat = [one for one in results if isinstance(one, fx.Node)]
        if not flat:
            raise UsageError(f"{self._what}: its outputs are no tensors")
        names = output_names(self._exported, [isinstance(one, fx.Node) for one in results])
        refs = tuple(self._plain(one) for one in flat)
        self._nodes.append(Node("output", OUTPUT, "output", refs, {"names": names} if names else {}))

    def _refused(self, node: fx.Node, why: str) -> UsageError:
        """Return the error that says why a call cannot be recorded, with its line in the user's code."""
        where = line_of(node.meta.get("stack_trace")) or self._part_of(node)
        return UsageError(f"{self._what}: {f'{where}: ' if where else ''}{why}")

    def _part_of(self, node: fx.Node) -> str:
        """Return a line of what a node runs, if it runs a graph."""
        graphs = (getattr(self._exported.graph_module, str(one.target), None) for one in node.all_input_nodes)
        inside = [one for graph in graphs if isinstance(graph, fx.GraphModule) for one in graph.graph.nodes]
        return next(filter(None, (line_of(one.meta.get("stack_trace")) for one in inside)), "")

    def _plain(self, argument: Any) -> Any:
        if isinstance(argument, fx.Node):
            return Ref(self._now[argument.name])
        if isinstance(argument, list | tuple):
            return tuple(self._plain(one) for one in argument)
        return argument


def _input_names(exported: torch.export.ExportedProgram) -> dict[str, str]:
    """Return what the caller calls the inputs that are given by keyword, by the names of their nodes.

    The names of nodes are in small letters, and have no other signs.
    """
    positional, keywords = exported.call_spec.in_spec.children()
    nodes = exported.graph_signature.user_inputs[positional.num_leaves :]
    return dict(zip(map(str, nodes), keywords.context, strict=True))


def _is_trained(tensor: torch.Tensor) -> bool:
    """Return whether a tensor is a parameter; one of whole numbers, as of indices, cannot be trained."""
    return isinstance(tensor, nn.Parameter) and (tensor.is_floating_point() or tensor.is_complex())


def _is_known(value: Any) -> bool:
    """Return whether a call gives tensors, in sizes that do not depend on values."""
    several = value if isinstance(value, list | tuple) else (value,)
    return all(isinstance(one, torch.Tensor) and all(isinstance(s, int) for s in one.shape) for one in several)


def _first(node: fx.Node) -> fx.Node:
    """Return the tensor that a call is given first."""
    (first, *_) = node.args
    assert isinstance(first, fx.Node)  # noqa: S101 - the calls that ask work on tensors
    return first


def _views_of(node: fx.Node) -> Iterator[fx.Node]:
    for user in node.users:
        if user.op == "call_function" and _operator(user) in _VIEWS and user.args[0] is node:
            yield user
            yield from _views_of(user)


def _operator(node: fx.Node) -> str:
    """Return the name of the operator that a node calls, without its overload."""
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
    frames = [found for found in _FRAME.findall(trace or "") if not found[0].startswith(_TORCH)]
    return f"{Path(frames[-1][0]).name}, line {frames[-1][1]}" if frames else ""


def _reason(error: BaseException) -> str:
    """Return why tracing failed, in a line, with the place in the user's code where it is known."""
    text = str(error)
    where = place_of(error) or line_of(text)
    first = next((line for line in text.splitlines() if line.strip()), type(error).__name__)
    first = "its code depends on the values of tensors" if _OF_VALUES in first else first.strip()[:200]
    return f"{first}{f' ({where})' if where else ''}"
