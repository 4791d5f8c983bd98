"""What every super-network has to hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hwnas import supernets
from hwnas.backends.outputs import Arrays, reference
from hwnas.conformance.check import Cost, NotApplicableError, Request, Suite, applies, expect
from hwnas.supernets.blocks import Block, distinct_blocks
from hwnas.supernets.space import IntArray
from hwnas.supernets.supernet import BuildsBlocks, Stage, SuperNetwork

_SEED = 0
# Of a stage's outputs: neither still nor out of bounds.
_LIVE = (1e-3, 1e3)
# Parameters of the largest networks that are given numbers: half a gigabyte of them.
_BUILT = 130_000_000
# How many of a space's choices are changed, one at a time.
_CHOICES = 4


@dataclass(frozen=True)
class SupernetSubject:
    """A super-network, and vectors to look at: the smallest, the largest and some between."""

    net: SuperNetwork
    X: IntArray

    @classmethod
    def of(cls, net: SuperNetwork) -> SupernetSubject:
        """Return the subject of a super-network."""
        space = net.space
        return cls(net, np.concatenate([space.smallest(), space.largest(), space.sample(6, _SEED)]))


def _requested(request: Request) -> SupernetSubject:
    return SupernetSubject.of(supernets.get(":".join(filter(None, (request.name, request.argument)))))


SUITE = Suite(supernets.registry, _requested)


@SUITE.check()
def says_what_it_is(subject: SupernetSubject) -> None:
    """Its summary is one line, and it is made again by its name."""
    net = subject.net
    expect(net.summary and "\n" not in net.summary, f"its summary is {net.summary!r}, expected one line")
    again = supernets.get(net.name).name
    expect(again == net.name, f"the super-network {net.name!r}, made by its name, is called {again!r}")


@SUITE.check()
def configs_round_trip(subject: SupernetSubject) -> None:
    """Vectors become configs and the same vectors again."""
    space = subject.net.space
    expect(np.array_equal(space.encode(space.decode(subject.X)), subject.X), "encode(decode(X)) gives other vectors")
    expect(space.distinct_size <= space.size, f"distinct_size {space.distinct_size} is more than size {space.size}")


@SUITE.check()
def counts_depend_on_the_network_alone(subject: SupernetSubject) -> None:
    """Parameters and MACs are whole numbers above 0, one per vector, the same for vectors of the same network."""
    net, X = subject.net, subject.X
    canonical = net.space.canonical(X)
    grows = []
    for name, count in (("params", net.params), ("macs", net.macs)):
        before = X.copy()
        values = np.asarray(count(X))
        expect(values.shape == (len(X),), f"{name}(X) has the shape {values.shape}, expected {(len(X),)}")
        expect(values.dtype == np.int64, f"{name}(X) is of {values.dtype}, expected int64")
        expect((values > 0).all(), f"{name}(X) has {values.min()}, expected more than 0")
        expect(np.array_equal(values, count(canonical)), f"{name}(X) differs between vectors of the same network")
        expect(np.array_equal(X, before), f"{name}(X) changes X")
        grows.append(int(values[1]) - int(values[0]))
    if net.space.ordered.all():
        least = "the largest sub-network has fewer parameters or MACs than the smallest, though its choices are ordered"
        expect(min(grows) >= 0, least)
        expect(max(grows) > 0, "the largest sub-network has no more parameters and no more MACs than the smallest")


@SUITE.check()
def slots_cover_their_columns(subject: SupernetSubject) -> None:
    """Every slot has a block, or none, for each combination of its choices."""
    for slot in subject.net.slots:
        expected = int(np.prod([subject.net.space.n_options[column] for column in slot.columns], dtype=int))
        found = len(slot.blocks)
        expect(found == expected, f"slot {slot.name!r} has {found} blocks, expected {expected}")
    expect(len(list(distinct_blocks(subject.net.slots))) > 1, "its slots have one block only: nothing is elastic")


@SUITE.check()
def stages_run(subject: SupernetSubject) -> None:
    """The stages of the smallest sub-network run at batch 2, and their outputs are finite and live."""
    config = subject.net.space.decode(subject.net.space.smallest())[0]
    stages = subject.net.stages(config, batch=2)
    expect(len(stages), "stages() gives none")
    for stage in stages:
        expect(stage.repeats >= 1, f"stage {stage.name!r} runs {stage.repeats} times, expected at least once")
        names, inputs = len(stage.input_names), len(stage.inputs)
        expect(names == inputs, f"stage {stage.name!r} has {inputs} inputs and {names} names of inputs")
        expect(not stage.module.training, f"the module of stage {stage.name!r} is in training mode")
        reference(stage)


@SUITE.check(Cost.SLOW)
def blocks_run_alone(subject: SupernetSubject) -> None:
    """A block of each kind runs alone, with the parameters that it says it has."""
    net = subject.net
    if not isinstance(net, BuildsBlocks):
        raise NotApplicableError("it has no block_stage: no lookup table can be built of it")
    largest = {block.kind: block for block in sorted(distinct_blocks(net.slots), key=lambda block: block.params)}
    for block in largest.values():
        _check_alone(block, net.block_stage(block, batch=2))


def _check_alone(block: Block, stage: Stage) -> None:
    found = _n_params(stage.module)
    expect(found == block.params, f"a block {block.kind!r} alone has {found} parameters, expected {block.params}")
    first = reference(stage)[0]
    expect(len(first) == 2, f"a block {block.kind!r} at batch 2 has outputs of {first.shape}, expected (2, ...)")
    low, high = _LIVE
    spread = float(first.std())
    expect(low < spread < high, f"the outputs of a block {block.kind!r} have the spread {spread:.3g}: not live weights")


@SUITE.check(Cost.SLOW)
def parameters_are_the_modules(subject: SupernetSubject) -> None:
    """``build`` makes modules in evaluation mode with as many parameters as ``params`` says."""
    net = subject.net
    for x in subject.X[[0, 1, 2]]:
        module = _built(net, x)
        found, said = _n_params(module), int(net.params(x[None])[0])
        key = net.space.keys(x[None])[0]
        expect(found == said, f"the module of {key} has {found} parameters, and params says {said}")


@SUITE.check(Cost.SLOW)
def one_network_is_one_module(subject: SupernetSubject) -> None:
    """Vectors of the same network build the same module, with the same weights."""
    import torch

    net = subject.net
    X = net.space.sample(50, 1)
    X = X[net.params(X) < _BUILT]
    applies(len(X), "its sub-networks are too large to build two of them here")
    other = [x for x in X if not np.array_equal(net.space.canonical(x[None])[0], x)]
    row = (other or list(X))[0][None]
    one, again = (net.build(net.space.decode(x)[0]).state_dict() for x in (row, net.space.canonical(row)))
    expect(list(one) == list(again), f"{net.space.keys(row)[0]}, built twice, has other parameters")
    same = all(torch.equal(one[key], again[key]) for key in one)
    expect(same, f"{net.space.keys(row)[0]}, built twice, has other weights: draw them from a fixed seed")


@SUITE.check(Cost.SLOW)
def every_choice_has_an_effect(subject: SupernetSubject) -> None:
    """Vectors that ``canonical`` keeps apart differ in counts or outputs: else one network has two keys."""
    space = subject.net.space
    base = space.canonical(space.smallest())
    expected = _outputs(subject.net, base)
    active = np.flatnonzero(space.active(base)[0])
    for column in active[np.unique(np.linspace(0, len(active) - 1, _CHOICES).astype(int))]:
        columns = np.arange(space.n_var) == column
        others = (space.canonical(np.where(columns, index, base)) for index in range(space.n_options[column]))
        other = next((one for one in others if not np.array_equal(one, base)), None)
        if other is None:
            continue
        same = _counts(subject.net, other) == _counts(subject.net, base)
        found = _outputs(subject.net, other) if same else ()
        same = len(found) == len(expected) and all(map(np.array_equal, found, expected))
        choice = space.choices[column]
        expect(not same, f"column {column} ({choice.key}) changes nothing at {space.keys(base)[0]}; see needs, same_as")


def _counts(net: SuperNetwork, X: IntArray) -> tuple[int, int]:
    return int(net.params(X)[0]), int(net.macs(X)[0])


def _outputs(net: SuperNetwork, X: IntArray) -> Arrays:
    stages = net.stages(net.space.decode(X)[0], batch=1)
    return tuple(output for stage in stages for output in reference(stage))


def _built(net: SuperNetwork, x: IntArray) -> Any:
    """Build a sub-network; one that is too large for a check as a module without numbers, where it has that."""
    config = net.space.decode(x[None])[0]
    without: Any = getattr(net, "module", None)
    if net.params(x[None])[0] > _BUILT and without is not None:
        return without(config)
    module = net.build(config)
    expect(not module.training, "build gives a module in training mode")
    return module


def _n_params(module: Any) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
