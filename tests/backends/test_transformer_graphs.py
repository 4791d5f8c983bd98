"""Both stages of translation as graphs: written without torch's exporter, and the same tokens on every runtime."""

from __future__ import annotations

import importlib.util

import numpy as np
import onnx
import pytest
import torch
from runtimes import RUNTIMES

from hwnas import supernets
from hwnas.backends.export import export
from hwnas.supernets.transformer.beam import BeamSearch
from hwnas.supernets.transformer.dimensions import EOS, PAD

BATCH, SOURCE, STEPS, BEAM = 10, 9, 8, 4
NET = supernets.get(
    f"hat-transformer:layers=3,qkv=32,vocab=50,source={SOURCE},steps={STEPS},beam={BEAM},embed=24+32,ffn=48,heads=2+4"
)


def stages(x, batch=BATCH):
    return NET.stages(NET.space.decode(x)[0], batch)


def sentences():
    """Fifty sentences of different lengths, in batches."""
    generator = torch.Generator().manual_seed(0)
    source = torch.randint(4, 50, (50, SOURCE), generator=generator)
    lengths = torch.randint(2, SOURCE + 1, (50, 1), generator=generator)
    places = torch.arange(SOURCE)
    source = torch.where(places == lengths - 1, EOS, source).masked_fill(places >= lengths, PAD)
    return source.split(BATCH)


@pytest.mark.slow
@pytest.mark.parametrize("which", ["smallest", "largest", 0, 1])
def test_stages_are_written_by_our_own_exporter(which):
    X = NET.space.sample(2, 5)[which : which + 1] if isinstance(which, int) else getattr(NET.space, which)()
    for stage in stages(X, batch=2):
        graph = export(stage)
        assert graph.exporter == "trace"
        model = onnx.load_from_string(graph.model)
        onnx.checker.check_model(model, full_check=True)
        # The cache is read where it is: the graph copies none of it.
        caches = {name for name in graph.inputs if name.startswith("past")}
        joined = {name for node in model.graph.node if node.op_type == "Concat" for name in node.input}
        assert not caches & joined


@pytest.mark.slow
@pytest.mark.parametrize(("name", "ready"), RUNTIMES)
def test_the_same_tokens_as_torch_on_fifty_sentences(name, ready):
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    X = NET.space.sample(1, 3)
    encoder, step = stages(X)
    layers = NET.architecture(NET.space.decode(X)[0]).decoder
    search = BeamSearch(BEAM, 0.6)
    ours = [ready(stage) for stage in (encoder, step)]
    for source in sentences():
        expected = search.search(encoder.module, step.module, layers, source, STEPS)
        assert search.search(*ours, layers, source, STEPS) == expected
        assert len({tuple(row) for row in expected}) > 1  # not all one sentence


@pytest.mark.parametrize("batch", [1, 3])
def test_a_batch_of_sentences_gives_each_ones_own_outputs(batch):
    encoder, step = stages(NET.space.largest(), batch)
    alone = stages(NET.space.largest(), 1)
    with torch.no_grad():
        for stage, single in zip((encoder, step), alone, strict=True):
            together = stage.module(*stage.inputs)
            for row in range(batch):
                inputs = [x[row : row + 1] for x in stage.inputs]
                for whole, one in zip(together, single.module(*inputs), strict=True):
                    np.testing.assert_allclose(whole[row : row + 1], one, rtol=1e-4, atol=1e-5)
