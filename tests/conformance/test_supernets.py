"""What every registered super-network must do; a new one is tested by being registered."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hwnas import supernets
from hwnas.supernets.blocks import distinct_blocks
from hwnas.supernets.supernet import BuildsBlocks, SuperNetwork

# Parameters of the largest networks that are given numbers here: half a gigabyte of them.
BUILT = 130_000_000


def built(net, x):
    """Build a sub-network; one that is too large for a test as a module without numbers."""
    config = net.space.decode(x[None])[0]
    if net.params(x[None])[0] > BUILT:
        return net.module(config)
    module = net.build(config)
    assert not module.training
    return module


@pytest.fixture(params=supernets.names())
def net(request) -> SuperNetwork:
    return supernets.get(request.param)


@pytest.fixture
def X(net):
    return np.concatenate([net.space.smallest(), net.space.largest(), net.space.sample(6, 0)])


def test_protocol(net):
    assert isinstance(net, SuperNetwork)
    assert supernets.get(net.name).name == net.name
    assert net.summary
    assert "\n" not in net.summary


def test_space_round_trips(net, X):
    assert np.array_equal(net.space.encode(net.space.decode(X)), X)
    assert net.space.distinct_size <= net.space.size


def test_counts_depend_on_the_network_alone(net, X):
    canonical = net.space.canonical(X)
    for count in (net.params, net.macs):
        values = count(X)
        assert values.shape == (len(X),)
        assert values.dtype == np.int64
        assert (values > 0).all()
        assert np.array_equal(values, count(canonical))
        assert values[0] < values[1]


@pytest.mark.slow
def test_parameters_are_the_modules(net, X):
    for x in X[[0, 1, 2]]:
        module = built(net, x)
        assert sum(parameter.numel() for parameter in module.parameters()) == net.params(x[None])[0]


@pytest.mark.slow
def test_one_network_one_module(net):
    X = net.space.sample(50, 1)
    X = X[net.params(X) < BUILT]
    row = next(x for x in X if not np.array_equal(net.space.canonical(x[None])[0], x))
    one, other = (net.build(net.space.decode(x)[0]).state_dict() for x in (row[None], net.space.canonical(row[None])))
    assert list(one) == list(other)
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_stages_run(net):
    config = net.space.decode(net.space.smallest())[0]
    for stage in net.stages(config, batch=2):
        assert stage.repeats >= 1
        assert len(stage.inputs) == len(stage.input_names)
        with torch.no_grad():
            output = stage.module(*stage.inputs)
        outputs = output if isinstance(output, tuple) else (output,)
        assert all(torch.isfinite(found).all() for found in outputs)


def test_slots_cover_their_columns(net):
    for slot in net.slots:
        assert len(slot.blocks) == np.prod([net.space.n_options[column] for column in slot.columns], dtype=int)
    assert len(list(distinct_blocks(net.slots))) > 1


def test_blocks_run_alone(net):
    if not isinstance(net, BuildsBlocks):
        pytest.skip(f"{net.name} does not build blocks alone")
    largest = {block.kind: block for block in sorted(distinct_blocks(net.slots), key=lambda block: block.params)}
    for block in largest.values():
        stage = net.block_stage(block, batch=2)
        assert sum(parameter.numel() for parameter in stage.module.parameters()) == block.params
        with torch.no_grad():
            output = stage.module(*stage.inputs)
        first = output[0] if isinstance(output, tuple) else output
        assert len(first) == 2
        assert torch.isfinite(first).all()
        # Alive: neither still nor out of bounds.
        assert 1e-3 < first.std() < 1e3
