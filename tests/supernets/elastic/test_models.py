"""What holds for the super-network of any model."""

from __future__ import annotations

import itertools
import os

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from hwnas.backends.export import export
from hwnas.backends.openvino_core import read_model, shared_core
from hwnas.supernets.elastic import stored
from hwnas.supernets.elastic.sets import Wanted
from hwnas.supernets.finite import not_finite
from tests.supernets.elastic.conftest import in_order, outputs

# So many random sub-networks are tried, and so many on the runtimes; HWNAS_CONFIGS=200 tries 200 everywhere.
_CONFIGS = int(os.environ.get("HWNAS_CONFIGS", "6"))
_ON_RUNTIMES = int(os.environ.get("HWNAS_CONFIGS", "1"))


def _configs(net, count=_CONFIGS):
    X = np.concatenate([net.space.smallest(), net.space.largest(), net.space.sample(count, 0)])
    return X, net.space.decode(X)


def _largest(net):
    return net.space.decode(net.space.largest())[0]


@pytest.mark.parametrize("samples", [1, 2, 5])
def test_the_largest_is_the_model(model, samples):
    module, inputs, net = model
    wanted, found = outputs(module, inputs, samples), outputs(net.build(_largest(net)), in_order(net, inputs), samples)
    assert len(found) == len(wanted)
    for one, other in zip(wanted, found, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-6, atol=1e-6)


def test_something_is_elastic_for_any_batch(model):
    _, _, net = model
    assert net.space.distinct_size > 2
    assert not net.elastic.analysis.batch.fixed
    smallest, largest = net.params(net.space.smallest())[0], net.params(net.space.largest())[0]
    assert smallest < largest


def test_counts_are_the_modules(model):
    _, _, net = model
    X, configs = _configs(net)
    for x, config in zip(X, configs, strict=True):
        (stage,) = net.stages(config, 1)
        # The kernel of attention that counts as products: the counter does not know the others.
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            stage.module(*stage.inputs)
        assert sum(one.numel() for one in stage.module.parameters()) == net.params(x[None])[0]
        assert counter.get_total_flops() // 2 == net.macs(x[None])[0]


def test_a_canonical_vector_builds_the_same_network(model):
    _, _, net = model
    X = net.space.sample(20, 1)
    for x, canonical in zip(X, net.space.canonical(X), strict=True):
        if not np.array_equal(x, canonical):
            one, other = (net.build(net.space.decode(row[None])[0]).state_dict() for row in (x, canonical))
            assert list(one) == list(other)
            assert all(torch.equal(one[key], other[key]) for key in one)


def test_networks_of_different_vectors_differ(model):
    _, _, net = model
    X = np.unique(net.space.canonical(net.space.sample(12, 2)), axis=0)
    shapes = {
        str([(name, tuple(one.shape)) for name, one in net.module(config).state_dict().items()])
        for config in net.space.decode(X)
    }
    assert len(shapes) == len(X)


def test_small_ones_are_parts_of_large_ones(model):
    """Whatever a sub-network keeps, a larger one keeps too, in the same order."""
    _, _, net = model
    for one in net.elastic.elastic_sets:
        kept = [set(net.elastic.rankings[one.axis][:count].tolist()) for count in one.values]
        assert all(less <= more for less, more in itertools.pairwise(kept))
        assert len(kept[-1]) == one.axis.size


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_runtimes_agree(model, runtime):
    _, _, net = model
    _, configs = _configs(net, _ON_RUNTIMES)
    for config in configs:
        (stage,) = net.stages(config, 2)
        graph = export(stage)
        assert graph.exporter == "trace"  # an export by torch takes seconds
        with torch.no_grad():
            wanted = stage.module(*stage.inputs)
        wanted = wanted if isinstance(wanted, tuple) else (wanted,)
        inputs = [one.numpy() for one in stage.inputs]
        for one, other in zip(wanted, _RUN[runtime](graph, stage.input_names, inputs), strict=True):
            np.testing.assert_allclose(other, one.numpy(), rtol=1e-4, atol=1e-4)


def _onnxruntime(graph, names, inputs):
    ort = pytest.importorskip("onnxruntime")
    session = ort.InferenceSession(graph.model, providers=["CPUExecutionProvider"])
    return session.run(None, dict(zip(names, inputs, strict=True)))


def _openvino(graph, names, inputs):
    pytest.importorskip("openvino")
    core = shared_core()
    compiled = core.compile_model(read_model(core, graph.model), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = compiled(dict(zip(names, inputs, strict=True)))
    return [found[output] for output in compiled.outputs]


_RUN = {"onnxruntime": _onnxruntime, "openvino": _openvino}


def test_a_file_holds_all_of_it(model, tmp_path):
    _, inputs, net = model
    stored.write(tmp_path / "it", net, Wanted())
    again = stored.read(tmp_path / "it", "again")
    assert again.digest == net.digest
    assert again.space.choices == net.space.choices
    x = net.space.sample(1, 5)
    one, other = (outputs(found.build(found.space.decode(x)[0]), in_order(net, inputs)) for found in (net, again))
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_shared_weights_train(model):
    """Gradients of a sub-network flow into the shared weights, and what is saved builds the same sub-networks."""
    _, inputs, net = model
    shared = net.shared()
    config = net.space.decode(net.space.smallest())[0]
    result = torch.func.functional_call(net.module(config), shared.state(config), in_order(net, inputs))
    first = result[0] if isinstance(result, tuple) else result
    first.float().square().mean().backward()
    moved = [key for key, one in shared.tensors.items() if one.grad is not None and bool(one.grad.any())]
    assert moved
    assert not_finite((key, shared.tensors[key].grad) for key in moved) is None
    assert set(shared.state(config)) == set(net.module(config).state_dict())
