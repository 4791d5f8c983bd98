"""Fidelity to the whole model: what it measures, on what, and what is refused."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

import hwnas
from hwnas import supernets
from hwnas.harness import data, quality
from hwnas.harness.data import python
from hwnas.harness.measurement.intervals import wilson
from hwnas.harness.quality import QualityOptions
from hwnas.supernets.errors import DataError, QualityError, UsageError
from hwnas.supernets.training import TrainingOptions
from hwnas.supernets.training.loop import train

_BATCHES = """
import torch

def inputs():
    rng = torch.Generator().manual_seed(0)
    return [torch.rand(5, 8, generator=rng), {"input": torch.rand(3, 8, generator=rng)}]

def labelled():
    rng = torch.Generator().manual_seed(0)
    pairs = [(torch.rand(5, 8, generator=rng), torch.zeros(5, dtype=torch.int64)) for _ in range(4)]
    return pairs, torch.nn.functional.cross_entropy

def wide():
    return [torch.rand(5, 9)]

def none():
    return []

def broken():
    raise OSError("no file")
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = tmp_path / "mine.py"
    path.write_text(_BATCHES)
    return path


@pytest.fixture
def net(file):
    torch.manual_seed(0)
    return hwnas.elastic(nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 5)), torch.rand(1, 8))


def _ends(net):
    return np.concatenate([net.space.largest(), net.space.smallest()])


@pytest.mark.parametrize(("measure", "best"), [("cosine", 1.0), ("kl", 0.0), ("top1", 100.0)])
def test_the_whole_model_agrees_with_itself(net, file, measure, best):
    source = quality.get(f"fidelity:{file}:inputs,measure={measure}", net)
    whole, least = source.scores(_ends(net))
    assert whole.value == pytest.approx(best, abs=1e-5)
    assert (least.value > whole.value) == (measure == "kl")
    assert whole.n == 8
    assert least.low <= least.value <= least.high


def test_of_classes_that_agree_on_a_few_samples_more_may_not(net, file):
    """The deviation of eight that agree is 0, and would call the value exact."""
    (whole,) = quality.get(f"fidelity:{file}:inputs,measure=top1", net).scores(net.space.largest())
    assert (whole.low, whole.high) == pytest.approx(tuple(100 * end for end in wilson(1.0, 8)))
    assert whole.low < 70
    (same,) = quality.get(f"fidelity:{file}:inputs,measure=kl", net).scores(net.space.largest())
    assert (same.low, same.high) == pytest.approx((0.0, 0.0), abs=1e-5)


def test_the_interval_of_few_samples_is_students(net, file):
    source = quality.get(f"fidelity:{file}:inputs", net)
    (least,) = source.scores(net.space.smallest())
    whole, module = (net.build(config) for config in net.space.decode(_ends(net)))
    rng = torch.Generator().manual_seed(0)
    x = torch.cat([torch.rand(5, 8, generator=rng), torch.rand(3, 8, generator=rng)])
    with torch.no_grad():
        each = torch.cosine_similarity(whole(x).double(), module(x).double(), dim=-1).numpy()
    expected = stats.t.interval(0.95, 7, each.mean(), stats.sem(each))
    assert (least.low, least.high) == pytest.approx(expected, abs=1e-5)


def test_cosine_is_the_mean_over_samples(net, file):
    value = quality.get(f"fidelity:{file}:inputs", net).evaluate(net.space.smallest())[0]
    whole, least = (net.build(config) for config in net.space.decode(_ends(net)))
    rng = torch.Generator().manual_seed(0)
    x = torch.cat([torch.rand(5, 8, generator=rng), torch.rand(3, 8, generator=rng)])
    with torch.no_grad():
        a, b = whole(x).double(), least(x).double()
    assert value == pytest.approx(float(((a * b).sum(1) / a.norm(dim=1) / b.norm(dim=1)).mean()), abs=1e-6)


def test_without_inputs_it_runs_on_ones_like_the_example(net):
    source = quality.get(None, net)
    assert source.name == "fidelity"
    assert "drawn like the example" in source.note
    assert source.evaluate(net.space.largest())[0] == pytest.approx(1.0)


def test_other_inputs_and_other_weights_are_other_sources(net, file):
    one, other = (quality.get(spec, net).source for spec in ("fidelity", f"fidelity:{file}:inputs"))
    changed = hwnas.elastic(nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 5)), torch.rand(1, 8))
    assert len({one, other, quality.get("fidelity", changed).source}) == 3


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("{file}:wide", "expected float32 of (1, 8) for each sample"),
        ("{file}:none", "gave no batches"),
        ("{file}:broken", "failed: OSError: no file"),
        ("{file}:inputs,measure=cos", "cosine"),
    ],
)
def test_inputs_that_do_not_fit(net, file, argument, said):
    with pytest.raises((DataError, QualityError)) as error:
        quality.get(f"fidelity:{argument.format(file=file)}", net)
    assert said in str(error.value)


def test_published_super_networks_are_refused_with_what_serves():
    with pytest.raises(QualityError, match="compares with a trained model"):
        quality.get("fidelity", supernets.get("ofa-mbv3-w1.0"))


@pytest.mark.parametrize("function", ["inputs", "labelled"])
def test_training_brings_the_smallest_nearer(net, file, tmp_path, function):
    task = data.get(f"python:{file}:{function}", net)
    source = quality.get(f"fidelity:{file}:inputs", net)
    before = source.evaluate(net.space.smallest())[0]
    options = TrainingOptions(steps=60, lr=3e-3, optimizer="adam", weight_decay=0.0, samples=0)
    done = train(net, task, options, tmp_path / "w.pth")
    assert done.step == 60
    if function == "inputs":
        trained = quality.get(f"fidelity:{file}:inputs", net, QualityOptions(str(tmp_path / "w.pth")))
        assert trained.evaluate(net.space.smallest())[0] > before


def test_a_training_goes_on_to_the_same_weights(net, file, tmp_path):
    task = data.get(f"python:{file}:inputs", net)
    options = TrainingOptions(steps=6, lr=1e-3, optimizer="adam", weight_decay=0.0)

    def stop(event):
        if event.step == 3:
            raise KeyboardInterrupt

    train(net, task, options, tmp_path / "whole.pth")
    with pytest.raises(KeyboardInterrupt):
        train(net, task, options, tmp_path / "parts.pth", progress=stop)
    train(net, task, options, tmp_path / "parts.pth", resume=True)
    whole, parts = (net.shared(str(tmp_path / name)).tensors for name in ("whole.pth", "parts.pth"))
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


def test_batches_of_ones_own_are_for_models_of_ones_own(file):
    with pytest.raises(UsageError, match="made of a model"):
        data.get(f"python:{file}:inputs", supernets.get("ofa-mbv3-w1.0"))


@pytest.mark.parametrize(("function", "drops"), [("inputs", False), ("labelled", True)])
def test_dropout_is_off_where_sub_networks_only_learn_what_the_model_does(file, tmp_path, function, drops):
    layers = nn.Sequential(nn.Linear(8, 64), nn.Dropout(0.5), nn.ReLU(), nn.Linear(64, 5))
    dropping = hwnas.elastic(layers, torch.rand(1, 8))
    task = data.get(f"python:{file}:{function}", dropping)
    options = TrainingOptions(steps=1, lr=1e-3, optimizer="adam", weight_decay=0.0, samples=0)
    done = train(dropping, task, options, tmp_path / "w.pth")

    def undropped(batch):
        """The loss of the largest and the smallest sub-network, with the model's own weights."""
        built = [(dropping.build(config), config) for config in dropping.space.decode(_ends(dropping))]
        with torch.no_grad():
            return np.mean([float(task.loss(module(*task.inputs(batch, config)), batch)) for module, config in built])

    # Which batch came first is the loop's to choose.
    nearest = min(abs(done.loss - undropped(batch)) for batch in task.batches(np.random.default_rng(0)))
    assert (nearest > 1e-6) == drops


def test_the_model_is_run_once_for_all_sub_networks_of_a_step(net, file, tmp_path, monkeypatch):
    task = data.get(f"python:{file}:inputs", net)
    ran = []
    task._whole.register_forward_hook(lambda *_: ran.append(1))
    train(net, task, replace(task.defaults, steps=3, samples=2), tmp_path / "w.pth")
    assert len(ran) == 3


class _Own(nn.Module):
    """A model with weights that are no ordinary ones, and inputs without samples before those that have them."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(8, 32), nn.Linear(32, 5)
        self.places = nn.Parameter(torch.arange(3), requires_grad=False)
        self.register_buffer("mask", torch.tensor([0.0, -math.inf, 0.0]))
        self.register_buffer("turns", torch.polar(torch.ones(5), torch.arange(5.0)))

    def forward(self, scale, table, x):
        share = (table[self.places].mean(1) + self.mask).softmax(0).max()
        y = self.last(torch.relu(self.first(x) * scale)) * share
        return (y * self.turns).abs() + y


_THREE = """
import torch

def three():
    rng = torch.Generator().manual_seed(0)
    return [(torch.tensor(2.0).double(), torch.rand(3, 7).double(), torch.randn(4, 8, generator=rng).double())] * 3
"""


@pytest.fixture
def unordinary(file):
    torch.manual_seed(0)
    file.write_text(_THREE)
    module = _Own().double()
    module.register_buffer("turns", module.turns.to(torch.complex128))
    return hwnas.elastic(module, (torch.tensor(2.0).double(), torch.rand(3, 7).double(), torch.rand(1, 8).double()))


def test_models_with_unordinary_weights_and_inputs_are_trained_and_read(unordinary, file, tmp_path):
    task = data.get(f"python:{file}:three", unordinary)
    assert task.note.startswith("12 samples in 3 batches")
    train(unordinary, task, replace(task.defaults, steps=4, lr=1e-3), tmp_path / "w.pth")
    source = quality.get(f"fidelity:{file}:three", unordinary, QualityOptions(str(tmp_path / "w.pth"), subset=6))
    (score,) = source.scores(unordinary.space.largest())
    assert (score.n, score.value) == (6, pytest.approx(1, abs=0.05))
    module = unordinary.build(unordinary.space.decode(unordinary.space.smallest())[0], str(tmp_path / "w.pth"))
    assert module(*unordinary.examples).dtype == torch.float64


def test_batch_norms_keep_the_models_statistics(file, tmp_path):
    """Averages over all sub-networks would be nobody's own: without them, not even the largest is what it was."""
    file.write_text("import torch\n\ndef some():\n    return [torch.randn(n, 8) + 3 for n in (6, 1, 6)]\n")
    layers = nn.Sequential(nn.Linear(8, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 5))
    layers.train()
    with torch.no_grad():
        for _ in range(50):
            layers(torch.randn(64, 8) + 3)
    net = hwnas.elastic(layers.eval(), torch.rand(1, 8))
    task = data.get(f"python:{file}:some", net)
    train(net, task, replace(task.defaults, steps=30, lr=1e-9), tmp_path / "w.pth")
    source = quality.get(f"fidelity:{file}:some", net, QualityOptions(str(tmp_path / "w.pth")))
    assert source.evaluate(net.space.largest())[0] == pytest.approx(1, abs=1e-4)
    state = net.shared(str(tmp_path / "w.pth")).tensors
    assert torch.equal(state["1.running_mean"], layers[1].running_mean)


@pytest.mark.parametrize(
    ("shape", "classes"), [((6,), (1, 6)), ((6, 5), (6, 5)), ((2, 3, 5), (6, 5)), ((2, 5, 3, 4), (24, 5))]
)
def test_scores_of_classes_are_compared_over_classes(shape, classes):
    """Those of images lie in the second dimension, as in torch's losses and in what fidelity compares."""
    from torch.nn.functional import cross_entropy

    found, wanted = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    one, other = (x.movedim(1, -1) if len(shape) == 4 else x for x in (found, wanted))
    expected = cross_entropy(one.reshape(classes), other.reshape(classes).softmax(1))
    torch.testing.assert_close(python._kl(found, wanted), expected)


class _Several(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last, self.other = nn.Linear(8, 64), nn.Linear(64, 5), nn.Linear(64, 2)

    def forward(self, x):
        x = torch.relu(self.first(x))
        return {"logits": self.last(x), "other": self.other(x)}


def test_a_loss_that_fails_is_said_with_its_line_and_what_it_is_given(file, tmp_path):
    file.write_text(
        "import torch\n\n"
        "def loss(outputs, targets):\n"
        "    return torch.nn.functional.cross_entropy(outputs.logit, targets)\n\n"
        "def labelled():\n"
        "    return [(torch.rand(5, 8), torch.zeros(5, dtype=torch.int64))], loss\n"
    )
    net = hwnas.elastic(_Several(), torch.rand(1, 8))
    task = data.get(f"python:{file}:labelled", net)
    said = (
        r"failed: AttributeError: .* no 'logit'; did you mean 'logits'.*\(mine.py, line 4\); it is given a tuple of 2 o"
    )
    with pytest.raises(DataError, match=said) as error:
        train(net, task, task.defaults, tmp_path / "w.pth")
    assert "\n" not in str(error.value)
