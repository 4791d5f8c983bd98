"""Memory: what is stored and what lives at once, against a walk over the built module's graph and an exported file."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from hwnas import supernets
from hwnas.supernets.blocks import Block, BlockMax, Slot
from hwnas.supernets.errors import UsageError
from hwnas.supernets.memory import model_size, peak_memory
from hwnas.supernets.space import Choice, SearchSpace

NAMES = [
    "ofa-mbv3-w1.2:r=128",
    "ofa-mbv3-w1.0:r=28+32,classes=10,channels=1,scale=0.25",
    "ofa-resnet50:r=132",
    "bootstrapnas-resnet50:r=32,classes=10,scale=0.25",
]

# What needs no memory of its own where nothing else needs what it reads.
IN_PLACE = (nn.BatchNorm2d, nn.ReLU, nn.Hardswish, nn.Hardsigmoid, nn.Flatten)


def live_peak(module: nn.Module, side: int, channels: int) -> int:
    """The second way: give every node of the traced graph a storage, and add up those that live at each node."""
    traced = fx.symbolic_trace(module)
    ShapeProp(traced).propagate(torch.zeros(1, channels, side, side))
    nodes = [node for node in traced.graph.nodes if node.op != "output"]
    order = {node: number for number, node in enumerate(nodes)}
    parts = dict(traced.named_modules())
    last_use = {node: max((order.get(user, len(nodes)) for user in node.users), default=order[node]) for node in nodes}
    storage, size, until, born = {}, {}, {}, {}
    for node in nodes:
        elements = node.meta["tensor_meta"].shape.numel()
        mine = node
        if node.op == "call_module":
            writes_over = isinstance(parts[node.target], IN_PLACE)
        else:
            writes_over = node.op == "call_function"  # sums and products; a mean is a method
        for read in node.all_input_nodes:
            if writes_over and until[storage[read]] == order[node] and size[storage[read]] == elements:
                mine = storage[read]
                break
        storage[node], size[mine], until[mine] = mine, elements, last_use[node]
        born.setdefault(mine, order[node])
    return max(sum(size[s] for s in born if born[s] <= number <= until[s]) for number in range(len(nodes)))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_peaks_are_those_of_the_graph(name):
    net = supernets.get(name)
    X = np.concatenate([net.space.smallest(), net.space.largest(), net.space.sample(3, 2)])
    found = peak_memory(net, "fp32", 3)(X)
    expected = [
        4 * 3 * live_peak(net.build(config), net.resolution(config), net.channels) for config in net.space.decode(X)
    ]
    assert found.tolist() == expected
    assert peak_memory(net, "int8", 1)(X).tolist() == [value // 12 for value in expected]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_sizes_are_those_of_an_exported_file(name):
    onnx = pytest.importorskip("onnx")
    export = pytest.importorskip("hwnas.backends.export").export
    net = supernets.get(name)
    X = np.concatenate([net.space.smallest(), net.space.sample(2, 2)])
    for config, size in zip(net.space.decode(X), model_size(net, "fp32")(X), strict=True):
        graph = onnx.load_from_string(export(net.stages(config, 1)[0]).model).graph
        stored = [tensor for tensor in graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT]
        assert sum(4 * int(np.prod(tensor.dims)) for tensor in stored) == size


def test_sizes_at_other_precisions():
    net = supernets.get("ofa-resnet50")
    X = net.space.sample(4, 0)
    assert (model_size(net, "fp16")(X) * 2 == model_size(net, "fp32")(X)).all()
    # One byte a weight, and for each of the output channels a 32-bit bias and a scale.
    module = net.build(net.space.decode(X)[0])
    weights = sum(p.numel() for p in module.parameters() if p.dim() > 1)
    channels = sum(p.shape[0] for p in module.parameters() if p.dim() > 1)
    assert model_size(net, "int8")(X)[0] == weights + 8 * channels
    with pytest.raises(UsageError, match=r"precision 'fp8': its size is not known; expected one of fp32, fp16"):
        model_size(net, "fp8")


def test_counts_depend_on_the_network_alone():
    net = supernets.get("ofa-resnet50")
    X = net.space.sample(200, 0)
    canonical = net.space.canonical(X)
    for count in (model_size(net, "fp32"), peak_memory(net, "fp32", 8)):
        assert np.array_equal(count(X), count(canonical))
        assert count(net.space.smallest()) < count(net.space.largest())


def test_a_network_that_does_not_say_what_lives_is_refused():
    class Silent:
        name = "silent"
        space = SearchSpace((Choice("w", (1, 2)),))
        slots = (Slot("layer", (0,), (Block("layer", (1,), (1,), params=3), Block("layer", (2,), (2,), params=5))),)

    assert model_size(Silent(), "fp32")([[0], [1]]).tolist() == [12, 20]
    with pytest.raises(UsageError, match="silent does not say which activations live in its blocks"):
        peak_memory(Silent(), "fp32", 1)


def test_maxima_over_a_whole_space():
    space = SearchSpace((Choice("a", (1, 2)), Choice("b", (1, 2, 3))))
    blocks = [Block("x", (1,), (1,), peak=peak) for peak in (5, 9, 7, 1, 2, 3)]
    slots = (Slot("fixed", (), (Block("x", (1,), (1,), peak=6),)), Slot("pair", (0, 1), (*blocks[:5], None)))
    X = np.array([[a, b] for a in range(2) for b in range(3)])
    assert BlockMax(space, slots, lambda block: block.peak)(X).tolist() == [6, 9, 7, 6, 6, 6]
