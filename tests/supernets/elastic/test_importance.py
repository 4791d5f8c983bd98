"""Channels that matter stay: an order by importance beats the model's own, on models that were trained."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from hwnas import supernets
from hwnas.supernets.elastic import gradients
from hwnas.supernets.elastic.activations import by_activations
from hwnas.supernets.elastic.axes import Axis, join, product
from hwnas.supernets.elastic.importance import by_weights, kept, per_leaf
from hwnas.supernets.elastic.making import from_module
from hwnas.supernets.elastic.network import ElasticModel
from hwnas.supernets.elastic.sets import Wanted
from tests.supernets.elastic.models import Block, ResNet18

_STEPS, _BATCH = 150, 64


class Words(nn.Module):
    """An encoder of sentences in small, as BERT is one."""

    def __init__(self, size: int = 64) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(40, size), nn.Parameter(torch.randn(1, 12, size) * 0.1)
        self.blocks, self.norm = nn.Sequential(*(Block(size, 4) for _ in range(2))), nn.LayerNorm(size)
        self.head = nn.Linear(size, 8)

    def forward(self, words):
        return self.head(self.norm(self.blocks(self.words(words) + self.places)).mean(1))


def _images(rng):
    patterns = torch.randn(10, 3, 16, 16, generator=torch.Generator().manual_seed(7))
    labels = torch.randint(10, (_BATCH,), generator=rng)
    return patterns[labels] + 1.5 * torch.randn(_BATCH, 3, 16, 16, generator=rng), labels


def _sentences(rng):
    """Return words whose most frequent group of five is the class."""
    labels = torch.randint(8, (_BATCH,), generator=rng)
    words = torch.randint(40, (_BATCH, 12), generator=rng)
    marked = torch.rand(_BATCH, 12, generator=rng) < 0.5
    return torch.where(marked, labels[:, None] * 5 + words % 5, words), labels


_TASKS = {"resnet": (lambda: ResNet18(16), _images), "bert": (Words, _sentences)}


@functools.cache
def _trained(name):
    """Return a trained model and inputs that it has not seen."""
    make, data = _TASKS[name]
    torch.manual_seed(0)
    model, rng = make(), torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3, weight_decay=0.1)
    for _ in range(_STEPS):
        inputs, labels = data(rng)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), labels).backward()
        optimizer.step()
    return model.eval(), data(rng)[0]


def _agreement(net, model, inputs):
    """Return how well the sub-network of three quarters of all widths agrees with the model."""
    x = net.space.largest()
    x[0, len(net.elastic.stages) :] -= 1
    with torch.no_grad():
        found, wanted = net.build(net.space.decode(x)[0])(inputs), model(inputs)
    return float(nn.functional.cosine_similarity(found, wanted).mean())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet", "bert"])
def test_ordered_channels_beat_unordered_ones(name, record_property):
    model, inputs = _trained(name)
    net = from_module(model, inputs[:1], Wanted(width=(0.75, 1), heads=(0.75, 1)), name)
    orders = {
        "weights": by_weights(net.elastic.analysis, net.elastic.elastic_sets),
        "activations": by_activations(net, [(inputs,)]),
    }
    rng = np.random.default_rng(0)
    unordered = [
        _agreement(_ordered(net, {one: rng.permutation(one.size) for one in net.elastic.rankings}), model, inputs)
        for _ in range(5)
    ]
    for how, order in orders.items():
        ordered = _agreement(_ordered(net, order), model, inputs)
        record_property(f"by {how}", f"{ordered:.3f} for {np.mean(unordered):.3f} unordered")
        # The default beats any other order by more than these differ; activations of so little data the mean of them.
        margin = np.std(unordered, ddof=1) if how == "weights" else 0
        assert ordered > np.mean(unordered) + margin


def _ordered(net, rankings):
    return ElasticModel("ordered", replace(net.elastic, rankings=rankings), net.examples)


def test_means_over_the_parts_of_an_axis():
    heads, size, other = Axis(2), Axis(3), Axis(2)
    along = np.array([1.0, 2, 3, 4, 5, 6, 10, 20])
    found = dict(per_leaf(join([product([heads, size]), other]), along))
    assert found[heads].tolist() == [2, 5]
    assert found[size].tolist() == [2.5, 3.5, 4.5]
    assert found[other].tolist() == [10, 20]


def test_sums_over_the_parts_of_an_axis():
    """A concatenation's parts count with their own entries, however many the others have."""
    heads, size, other = Axis(2), Axis(3), Axis(2)
    products = torch.tensor([[1.0, 2, 3, 4, 5, 6, 10, 20], [0, 0, 0, 0, 0, 0, 0, 1]])
    sums = {axis: np.ones(axis.size) for axis in (heads, size, other)}
    gradients._add(sums, join([product([heads, size]), other]), products, 1)
    assert [one.tolist() for one in sums.values()] == [[7, 16], [6, 8, 10], [11, 22]]


def test_the_largest_weights_stay():
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2)).eval()
    with torch.no_grad():
        for part in (model[0].weight, model[2].weight.T):
            part.copy_(torch.arange(16.0)[:, None].expand_as(part))
    net = from_module(model, torch.rand(1, 4), Wanted(), "rising")
    (one,) = net.elastic.elastic_sets
    assert net.elastic.rankings[one.axis].tolist() == list(range(16))[::-1]
    assert kept(net.elastic.rankings[one.axis], 8).tolist() == list(range(8, 16))


def test_gradients_see_what_the_loss_needs(tmp_path, monkeypatch):
    """Of channels with equal weights those stay that the targets depend on."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "it.py").write_text(
        """
import torch
from torch import nn

def model():
    torch.manual_seed(0)
    made = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2)).eval()
    with torch.no_grad():
        made[0].weight.fill_(0.5)
        made[0].bias.fill_(0.1)
        made[2].weight[0], made[2].weight[1] = torch.tensor([1.0, 0.0] * 8), torch.tensor([0.0, 1.0] * 8)
    return made, torch.rand(1, 4)

def labelled():
    return [(torch.rand(8, 4), torch.zeros(8)) for _ in range(2)], lambda outputs, targets: outputs[:, 0].sum()
"""
    )
    file = tmp_path / "it.py"
    net = supernets.get(f"elastic:model={file}:model,importance=gradients,data={file}:labelled")
    (one,) = net.elastic.elastic_sets
    assert set(net.elastic.rankings[one.axis][:8].tolist()) == set(range(0, 16, 2))


def test_activations_see_what_weights_do_not():
    """A channel that is always zero goes first, however large its weights are."""
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2)).eval()
    with torch.no_grad():
        model[0].weight.abs_()
        model[0].bias.zero_()
        model[0].bias[3] = -1e6
        model[2].weight[:, 3] = 1e3
    net = from_module(model, torch.rand(1, 4), Wanted(), "silent")
    (one,) = net.elastic.elastic_sets
    assert net.elastic.rankings[one.axis][0] == 3
    assert by_activations(net, [(torch.rand(10, 4),)])[one.axis][-1] == 3


BLOCKS = """
import torch
from torch import nn

class Block(nn.Module):
    def __init__(self, strength):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16))
        with torch.no_grad():
            self.inner[2].weight.mul_(strength)
            self.inner[2].bias.mul_(strength)

    def forward(self, x):
        return x + self.inner(x)

def model():
    torch.manual_seed(0)
    blocks = nn.Sequential(*(Block(strength) for strength in (1.0, 0.01, 3.0, 0.1)))
    return nn.Sequential(nn.Linear(4, 16), blocks, nn.Linear(16, 3)).eval(), torch.rand(1, 4)

def inputs():
    torch.manual_seed(1)
    return [torch.randn(32, 4) for _ in range(2)]

def labelled():
    return [(one, torch.zeros(32)) for one in inputs()], lambda outputs, targets: (outputs**2).sum()
"""


@pytest.mark.parametrize(
    "options", ["", ",importance=activations,data={}:inputs", ",importance=gradients,data={}:labelled"]
)
def test_blocks_without_which_little_changes_go_first(options, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    file = tmp_path / "it.py"
    file.write_text(BLOCKS)
    net = supernets.get(f"elastic:model={file}:model{options.format(file)}")
    assert [unit.path.rpartition(".")[2] for unit in net.elastic.stages[0].units] == ["2", "0", "3", "1"]
    x = net.space.largest()
    for kept_blocks, there in ((3, {"0", "2", "3"}), (2, {"0", "2"})):
        x[0, 0] = net.elastic.stages[0].values.index(kept_blocks)
        config = net.space.decode(x)[0]
        module = net.build(config)
        assert {key.split(".")[1] for key in module.state_dict() if key.startswith("1.")} == there
        assert sum(one.numel() for one in module.parameters()) == net.params(x)[0]
    again = supernets.get(net.name)  # as a worker makes it
    assert [unit.path for unit in again.elastic.stages[0].units] == [unit.path for unit in net.elastic.stages[0].units]
    (tmp_path / "copy.elastic").write_bytes(next(tmp_path.rglob(f"{net.digest[:8]}*.elastic")).read_bytes())
    assert supernets.get(f"elastic:file={tmp_path / 'copy.elastic'}").digest == net.digest
