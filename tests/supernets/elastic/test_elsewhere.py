"""Sub-networks on other devices and in other precisions than they were recorded in; meta stands in for a GPU."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hwnas.backends import Settings, get
from hwnas.backends._tensors import moved
from hwnas.backends.outputs import compare, reference
from hwnas.harness import data
from hwnas.supernets.elastic.making import from_module
from hwnas.supernets.elastic.sets import Wanted


class _Positions(nn.Module):
    """Positions are counted, looked up, and turned into angles in FP32, which meet attention; as Llama has them."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.table, self.last = nn.Linear(16, 32), nn.Embedding(9, 32), nn.Linear(32, 4)
        self.inner = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 32))

    def forward(self, x):
        places = torch.arange(x.shape[1])
        x = self.first(x) + self.table(places)
        turned = x * places.to(torch.float32).cos()[:, None]
        x = x + nn.functional.scaled_dot_product_attention(turned, turned, x)
        return self.last(x + self.inner(x) * places.float()[:, None])


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return from_module(_Positions().eval(), torch.randn(1, 9, 16), Wanted(), "it")


def _stages(net):
    for x in (net.space.smallest(), net.space.largest()):
        yield net.stages(net.space.decode(x)[0], 2)[0]


def test_what_is_counted_is_where_the_inputs_are(net):
    for stage in _stages(net):
        module, inputs = moved(stage, torch.float32, "meta")
        with torch.no_grad():
            assert module(*inputs).device.type == "meta"


def test_what_is_converted_to_fp32_meets_half_precision(net):
    for stage in _stages(net):
        session = get("torch").prepare(stage, Settings(threads=1, batch=2, precision="bf16"))
        session.run()
        assert compare("it", session.outputs(), reference(stage), "bf16") < 0.1
        session.close()


def test_the_whole_model_is_imitated_where_the_batches_are(net, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("import torch\n\ndef some():\n    return [torch.randn(2, 9, 16)]\n")
    task = data.get(f"python:{file}:some", net)
    batch = (torch.randn(2, 9, 16, device="meta"),)
    assert task.loss(torch.randn(2, 9, 4, device="meta"), batch).device.type == "meta"
