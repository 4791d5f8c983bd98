"""Both stages of generation as graphs: written without torch's exporter, and the same numbers on every runtime."""

from __future__ import annotations

import importlib.util

import numpy as np
import onnx
import pytest
import torch
from greedy_generation import greedy
from runtimes import RUNTIMES

from hwnas import supernets
from hwnas.backends.backend import Settings
from hwnas.backends.export import export
from hwnas.supernets.decoder.network import Decode, Prefill

NET = supernets.get("hw-gpt-s:vocabulary=60,scale=0.125,prompt=7,new=6")


def stages(x, batch=5):
    return NET.stages(NET.space.decode(np.atleast_2d(x))[0], batch)


@pytest.mark.slow
@pytest.mark.parametrize("which", ["smallest", "largest", 0, 1])
def test_stages_are_written_by_our_own_exporter(which):
    x = NET.space.sample(2, 5)[which] if isinstance(which, int) else getattr(NET.space, which)()
    for stage in stages(x, batch=2):
        graph = export(stage)
        assert graph.exporter == "trace"
        model = onnx.load_from_string(graph.model)
        onnx.checker.check_model(model, full_check=True)
        # The cache is read where it is, and the table of tokens is there once, for look-ups and logits.
        caches = {name for name in graph.inputs if name.startswith("past")}
        joined = {name for node in model.graph.node if node.op_type == "Concat" for name in node.input}
        assert not caches & joined
        assert sum(60 in each.dims for each in model.graph.initializer) == 1


@pytest.mark.slow
@pytest.mark.parametrize(("name", "ready"), RUNTIMES)
def test_cached_decoding_is_the_whole_networks_on_every_runtime(name, ready):
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    x = NET.space.sample(1, 3)
    prefill, decode = (ready(stage) for stage in stages(x))
    module = NET.build(NET.space.decode(x)[0])
    tokens = torch.randint(0, 60, (5, 13), generator=torch.Generator().manual_seed(0))
    past = NET.generation.past
    with torch.no_grad():
        whole = module(tokens)
    first, *memories = prefill(tokens[:, :7])
    assert (first - whole[:, 6]).abs().max() <= 1e-4 * whole.abs().max()
    caches = [torch.nn.functional.pad(memory, (0, 0, 0, past - 7)) for memory in memories]
    for position in range(7, 13):
        logits, *fresh = decode(tokens[:, position : position + 1], torch.full((5, 1), position), *caches)
        assert (logits - whole[:, position]).abs().max() <= 1e-4 * whole.abs().max()
        for cache, new in zip(caches, fresh, strict=True):
            cache[..., position : position + 1, :] = new[..., : past - position, :]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "ready"), RUNTIMES)
def test_the_same_tokens_as_torch_on_fifty_prompts(name, ready):
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    x = NET.space.sample(1, 4)
    module = NET.build(NET.space.decode(x)[0])
    ours = [ready(stage) for stage in stages(x)]
    prompts = torch.randint(0, 60, (50, 7), generator=torch.Generator().manual_seed(1))
    for batch in prompts.split(5):
        with torch.no_grad():
            expected = greedy(Prefill(module, 7), Decode(module, NET.generation.past), batch, NET.generation)
        assert torch.equal(greedy(*ours, batch, NET.generation), expected)
        assert len(expected.unique(dim=0)) > 1  # not all one text


def test_a_batch_of_prompts_gives_each_ones_own_outputs():
    several, alone = stages(NET.space.largest(), 3), stages(NET.space.largest(), 1)
    with torch.no_grad():
        for stage, single in zip(several, alone, strict=True):
            together = stage.module(*stage.inputs)
            for row in range(3):
                inputs = [x[row : row + 1] for x in stage.inputs]
                for whole, one in zip(together, single.module(*inputs), strict=True):
                    np.testing.assert_allclose(whole[row : row + 1], one, rtol=1e-4, atol=1e-5)


def test_torch_itself_runs_both_stages():
    from hwnas import backends

    backend = backends.get("torch")
    for stage in stages(NET.space.smallest(), 2):
        session = backend.prepare(stage, Settings(batch=2))
        session.run()
        with torch.no_grad():
            expected = stage.module(*stage.inputs)
        for found, one in zip(session.outputs(), expected, strict=True):
            np.testing.assert_allclose(found, one, rtol=1e-4, atol=1e-5)
        session.close()


@pytest.mark.slow
def test_onnxruntime_runs_every_product_in_int8_where_ranges_are_fixed():
    """The table is looked up in FP32, and a mask's infinities spoil no range: decode and a masked prefill are close."""
    from hwnas import backends

    if importlib.util.find_spec("onnxruntime") is None:
        pytest.skip("onnxruntime is not installed")
    backend = backends.get("onnxruntime")
    for stage in stages(NET.space.smallest(), 1):
        session = backend.prepare(stage, Settings(precision="int8", options={"quantisation": "static"}))
        session.run()
        n, of = str(session.describe()["int8_layers"]).split(" of ")
        assert n == of != "0"
        with torch.no_grad():
            expected = stage.module(*stage.inputs)
        for found, one in zip(session.outputs(), expected, strict=True):
            assert np.abs(found - one.numpy()).max() <= 0.3 * one.abs().max()
        session.close()
