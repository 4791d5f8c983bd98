"""Follow every dimension of a program's tensors, and find which of them can shrink."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from hwnas.supernets.elastic import rules_entries, rules_products, rules_shapes
from hwnas.supernets.elastic.axes import Axis, fix
from hwnas.supernets.elastic.program import CALL, GETITEM, INPUT, OUTPUT, WEIGHT, Node, Program, call, mapped
from hwnas.supernets.elastic.rules import RULES, Flowing, tensors, unknown

_LOADED = (rules_products, rules_shapes, rules_entries)  # importing them registers their rules


@dataclass(frozen=True, eq=False)
class Analysis:
    """The dimensions of a program's tensors.

    Attributes:
        program: the program.
        axes: per node, of each of its tensors.
        batch: the number of samples.
    """

    program: Program
    axes: dict[str, tuple[tuple[Axis, ...], ...]]
    batch: Axis

    def of(self, name: str) -> tuple[Axis, ...]:
        """Return the axes of a node's only tensor."""
        return self.axes[name][0]


def analysed(program: Program) -> Analysis:
    """Return the dimensions of a program."""
    return _Analyser(program).run()


class _Analyser:
    def __init__(self, program: Program) -> None:
        self._program = program
        self._batch = Axis(program.samples, _one_batch(program), batch=True)
        self._axes: dict[str, tuple[tuple[Axis, ...], ...]] = {}
        self._weights = {node.name for node in program.nodes if node.op == WEIGHT}
        # A layer's weight may be computed of the model's, as its transpose.
        self._of_weights = set(self._weights)

    def run(self) -> Analysis:
        for node in self._program.nodes:
            if node.op == WEIGHT:
                self._axes[node.name] = (tuple(_leaf(size) for size in node.shape),)
            elif node.op == INPUT:
                self._axes[node.name] = (self._input(node),)
            elif node.op == CALL:
                self._axes[node.name] = self._call(node)
                if (refs := set(node.refs())) and refs <= self._of_weights:
                    self._of_weights.add(node.name)
            elif node.op == OUTPUT:
                self._output(node)
        self._settle()
        return Analysis(self._program, self._axes, self._batch.found())

    def _input(self, node: Node) -> tuple[Axis, ...]:
        fixed = [Axis(size, "it is the model's input") for size in node.shape]
        if node.shape and node.shape[0] == self._program.samples:
            fixed[0] = self._batch
        return tuple(fixed)

    def _call(self, node: Node) -> tuple[tuple[Axis, ...], ...]:
        args = mapped(node.args, lambda ref: self._flowing(ref.name))
        kwargs = mapped(dict(node.kwargs), lambda ref: self._flowing(ref.name))
        if node.target == GETITEM:
            return (self._axes[node.args[0].name][node.args[1]],)
        found = RULES.get(node.operator)
        if found is None and torch.Tag.pointwise in getattr(call(node.target), "tags", ()):
            found = rules_entries.entrywise
        given = tensors((args, tuple(kwargs.values())))
        result = unknown(node, given) if found is None else found(node, *args, **kwargs)
        several: Sequence[Any] = result if node.shapes and result and isinstance(result[0], list) else [result]
        axes = tuple(tuple(one) for one in several)
        sizes = tuple(tuple(axis.size for axis in one) for one in axes)
        if sizes != node.shapes:
            raise AssertionError(f"{node.target}: its rule gives {sizes} for {node.shapes}")
        return axes

    def _flowing(self, name: str) -> Flowing:
        several = self._axes[name]
        return Flowing(several[0], name in self._of_weights) if len(several) == 1 else Flowing(())

    def _output(self, node: Node) -> None:
        for name in node.refs():
            for axis in self._axes[name][0]:
                if not axis.found().batch:
                    fix(axis, "it is the model's output")

    def _settle(self) -> None:
        """Fix what no weight decides: sizes that the code made; and what must be as large as the batch."""
        decided = {id(leaf) for name in self._weights for axis in self._axes[name][0] for leaf in axis.leaves()}
        for several in self._axes.values():
            for axis in (axis for one in several for axis in one):
                for leaf in axis.leaves():
                    if not leaf.batch and id(leaf) not in decided:
                        leaf.fixed = leaf.fixed or "no weight has it"
        for name in self._weights:
            for axis in self._axes[name][0]:
                if any(leaf.batch for leaf in axis.leaves()):
                    fix(axis, "a weight has one entry per sample")


def _one_batch(program: Program) -> str:
    """Return why a program runs on batches of one size alone; "": it is not known to."""
    if not any(node.shape[:1] == (program.samples,) for node in program.inputs):
        return "none of its example inputs has a first dimension of 1, for one sample"
    return "" if program.samples > 1 else "its code does not run on several samples"


def _leaf(size: int) -> Axis:
    return Axis(size, "" if size > 1 else "it has one entry")
