"""A model as plain data: the calls that one inference makes, in order, and the weights that they use.

A worker process makes a super-network again from such data, without running the user's code and without unpickling.
"""

from __future__ import annotations

import hashlib
import json
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hwnas.supernets.contents import bytes_of
from hwnas.supernets.errors import UsageError

if TYPE_CHECKING:
    import torch

# What a node is.
INPUT, WEIGHT, CALL, OUTPUT = "input", "weight", "call", "output"
# The only target that is not one of torch's operators: an entry of a call's several results.
GETITEM = "getitem"
_NOT_ON_TENSORS = ("aten.from_file.default", "aten.from_file.out")


@dataclass(frozen=True)
class Ref:
    """The result of another node, among the arguments of one."""

    name: str


@dataclass(frozen=True)
class Node:
    """One step of a program.

    Attributes:
        name: unique.
        op: ``INPUT``, ``WEIGHT``, ``CALL`` or ``OUTPUT``.
        target: of a call the operator ("aten.linear.default"); of a weight its name in the model's state; of an input
            what the user calls it.
        args: arguments, with ``Ref`` for other nodes' results.
        kwargs: likewise.
        shapes: of the tensors that it gives, as they were traced.
        path: of the module that made the call ("encoder.0.attention").
        line: of the user's code ("model.py, line 12").
    """

    name: str
    op: str
    target: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    shapes: tuple[tuple[int, ...], ...] = ()
    path: str = ""
    line: str = ""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of its only tensor."""
        return self.shapes[0]

    @property
    def operator(self) -> str:
        """The operator's name without overload ("linear")."""
        return self.target.split(".")[1] if "." in self.target else self.target

    def refs(self) -> Iterator[str]:
        """Yield the names of the nodes that it uses."""
        yield from _refs((self.args, tuple(self.kwargs.values())))


@dataclass(frozen=True, eq=False)
class Program:
    """A model.

    Attributes:
        nodes: in the order of running; the last one is the output.
        weights: every parameter and buffer that is used, by its name in the model's state.
        trained: the names of those that are parameters.
        samples: the batch size that it was traced with.
    """

    nodes: tuple[Node, ...]
    weights: Mapping[str, torch.Tensor]
    trained: frozenset[str]
    samples: int

    @cached_property
    def by_name(self) -> dict[str, Node]:
        """The nodes by name."""
        return {node.name: node for node in self.nodes}

    @cached_property
    def readers(self) -> dict[str, tuple[Node, ...]]:
        """The nodes that use a node's result, by its name."""
        found: dict[str, list[Node]] = {node.name: [] for node in self.nodes}
        for node in self.nodes:
            for name in dict.fromkeys(node.refs()):
                found[name].append(node)
        return {name: tuple(nodes) for name, nodes in found.items()}

    @property
    def inputs(self) -> tuple[Node, ...]:
        """The inputs, in order."""
        return tuple(node for node in self.nodes if node.op == INPUT)

    @cached_property
    def digest(self) -> str:
        """A digest of calls and weights."""
        total = hashlib.sha256(self.text().encode())
        for name in sorted(self.weights):
            total.update(name.encode())
            total.update(bytes_of(self.weights[name]))
        return total.hexdigest()

    def text(self) -> str:
        """Return the calls as JSON; the lines of the user's code are left out."""
        rows = [
            [n.name, n.op, n.target, _plain(n.args), _plain(dict(n.kwargs)), [list(s) for s in n.shapes], n.path]
            for n in self.nodes
        ]
        return json.dumps({"nodes": rows, "trained": sorted(self.trained), "samples": self.samples})

    @classmethod
    def from_text(cls, text: str, weights: Mapping[str, torch.Tensor]) -> Program:
        """Return the program that ``text`` wrote, with its weights; raises ``UsageError`` if it is none."""
        try:
            document = json.loads(text)
            nodes = tuple(
                Node(n, op, target, _read(args), _read(kwargs), tuple(tuple(one) for one in shapes), path)
                for n, op, target, args, kwargs, shapes, path in document["nodes"]
            )
            program = cls(nodes, weights, frozenset(document["trained"]), int(document["samples"]))
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise UsageError(f"no program of a model: {error}") from error
        missing = [node.target for node in nodes if node.op == WEIGHT and node.target not in weights]
        if missing:
            raise UsageError(f"no program of a model: it lacks the weight {missing[0]}")
        return program


def needed(nodes: Sequence[Node], standing_for: Callable[[str], str] = str) -> list[Node]:
    """Return the inputs, and the nodes that the outputs depend on, in order.

    Args:
        nodes: in the order of running, the output among them.
        standing_for: gives the name of the node whose result is used in place of a node's.
    """
    wanted: set[str] = set()
    kept = []
    for node in reversed(nodes):
        if node.op in (OUTPUT, INPUT) or node.name in wanted:
            wanted.update(map(standing_for, node.refs()))
            kept.append(node)
    return kept[::-1]


def call(target: str) -> Callable[..., Any]:
    """Return the operator of a target's name; raises ``UsageError`` if torch has none of the name.

    A program may come from a file of somebody else's: nothing but operators on tensors is ever returned.
    """
    import torch
    from torch._ops import OpOverload

    if target == GETITEM:
        return operator.getitem
    try:
        namespace, name, overload = target.split(".")
        found = getattr(getattr(getattr(torch.ops, namespace), name), overload)
    except (AttributeError, ValueError, RuntimeError) as error:
        raise UsageError(f"torch has no operator {target!r}") from error
    # torch.ops has functions too, which load libraries and modules; and one operator opens files.
    if not isinstance(found, OpOverload) or target in _NOT_ON_TENSORS:
        raise UsageError(f"{target!r} is no operator on tensors")
    return found


def mapped(argument: Any, change: Callable[[Ref], Any]) -> Any:
    """Return arguments with every ``Ref`` replaced."""
    if isinstance(argument, Ref):
        return change(argument)
    if isinstance(argument, tuple | list):
        return type(argument)(mapped(one, change) for one in argument)
    if isinstance(argument, dict):
        return {key: mapped(one, change) for key, one in argument.items()}
    return argument


def _refs(argument: Any) -> Iterator[str]:
    if isinstance(argument, Ref):
        yield argument.name
    elif isinstance(argument, tuple | list):
        for one in argument:
            yield from _refs(one)


def _plain(argument: Any) -> Any:
    """Return arguments as JSON values."""
    import torch

    if isinstance(argument, Ref):
        return {"ref": argument.name}
    if isinstance(argument, tuple | list):
        return [_plain(one) for one in argument]
    if isinstance(argument, dict):
        return {"dict": {key: _plain(one) for key, one in argument.items()}}
    if isinstance(argument, torch.dtype):
        return {"dtype": str(argument).removeprefix("torch.")}
    return argument


def _read(value: Any) -> Any:
    import torch

    if isinstance(value, list):
        return tuple(_read(one) for one in value)
    if isinstance(value, dict):
        if "ref" in value:
            return Ref(str(value["ref"]))
        if "dtype" in value:
            return getattr(torch, value["dtype"])
        return {key: _read(one) for key, one in value["dict"].items()}
    return value
