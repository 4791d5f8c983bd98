"""Models that cannot be used, and what is said then; options; names; files."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import hwnas
from hwnas import supernets
from hwnas.supernets.elastic import making, stored
from hwnas.supernets.elastic.depth import Stage, Unit
from hwnas.supernets.elastic.listing import rows
from hwnas.supernets.elastic.making import from_module
from hwnas.supernets.elastic.sets import Wanted
from hwnas.supernets.errors import UsageError
from tests.supernets.elastic.conftest import made

_MODEL = """
import torch
from torch import nn

def good():
    torch.manual_seed(0)
    layers = nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 4)
    return nn.Sequential(*layers), torch.rand(1, 16)

def raises():
    raise KeyError("no weights here")

def no_pair():
    return nn.Linear(4, 4)

def no_module():
    return "a model", torch.rand(1, 4)

def no_tensors():
    return nn.Linear(4, 4), [1, 2, 3]

class Changing(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 16)
    def forward(self, x):
        return self.linear(x) + torch.rand(())

def changing():
    return Changing(), torch.rand(1, 4)

class Branching(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 16)
    def forward(self, x):
        y = self.linear(x)
        if y.sum() > 0:
            return y
        return -y

def branching():
    return Branching(), torch.rand(1, 4)

def wrong_inputs():
    return nn.Linear(4, 4), torch.rand(1, 5)

class InPlace(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 16)
    def forward(self, x):
        y = self.linear(x)
        y.t().add_(1)
        return y

def in_place():
    return InPlace(), torch.rand(1, 4)

class Stale(InPlace):
    def forward(self, x):
        y = self.linear(x)
        turned = y.t()
        y.mul_(2)
        return turned

def stale():
    return Stale(), torch.rand(1, 4)

def meta():
    return nn.Linear(4, 4, device="meta"), torch.rand(1, 4)

def nothing():
    return nn.Linear(4, 4), torch.rand(1, 4)

async def later():
    return good()
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "model.py"
    path.write_text(_MODEL)
    return path


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("raises", "the function failed: KeyError"),
        ("no_pair", "expected a torch module and its example inputs"),
        ("no_module", "got a str for the module"),
        ("no_tensors", "inputs can be a tensor, a tuple or a dict"),
        ("changing", "its outputs change from call to call"),
        ("branching", "model.py, line 38"),
        ("wrong_inputs", "does not run on its example inputs"),
        ("in_place", "model.py, line 54: add_ changes a part of a tensor in place"),
        ("stale", "mul_ changes a part of a tensor in place"),
        ("meta", "on the CPU"),
        ("later", "got a coroutine"),
        ("nothing", "nothing of the model can be left out"),
        ("missing", "no function"),
    ],
)
def test_what_cannot_be_used_is_said_with_file_and_function(file, function, said):
    with pytest.raises(UsageError) as error:
        supernets.get(f"elastic:model={file}:{function}")
    message = str(error.value)
    assert said in message
    assert "\n" not in message
    assert f"{file}:{function}" in message


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("", "expected model=FILE.py:FUNCTION"),
        ("model=M,width=0+1", "fractions above 0"),
        ("model=M,width=2", "fractions above 0"),
        ("model=M,multiple=0", "whole number from 1"),
        ("model=M,depth=maybe", "on or off"),
        ("model=M,wdth=1", "'width'"),
        ("model=M,fix=nowhere.*", "no layer of the model is named 'nowhere.*'"),
        ("model=M,importance=luck", "weights, activations or gradients"),
        ("model=M,importance=activations", "belong together"),
        ("model=M,digest=123456", "makes another super-network now"),
        ("file=nothing.elastic", "no super-network of a model"),
        ("model=no.such.package:make", "cannot import"),
    ],
)
def test_options_that_are_wrong(file, options, said):
    with pytest.raises(UsageError, match=said.replace("*", r"\*").replace("(", r"\(")):
        supernets.get(f"elastic:{options.replace('=M', f'={file}:good')}")


def test_the_name_makes_the_same_super_network(file):
    net = supernets.get(f"elastic:model={file}:good,width=0.5+1")
    assert net.space.decode(net.space.smallest()) == [{"width": [32, 16]}]
    again = supernets.get(net.name)
    assert (again.name, again.digest) == (net.name, net.digest)


def test_a_changed_model_is_another(file):
    net = supernets.get(f"elastic:model={file}:good")
    stored.cached_file(net.digest).unlink()
    file.write_text(file.read_text().replace("manual_seed(0)", "manual_seed(1)"))
    assert supernets.get(f"elastic:model={file}:good").name != net.name
    with pytest.raises(UsageError, match="makes another super-network now"):
        supernets.get(net.name)


def test_another_process_reads_the_file_and_not_the_users_code(file):
    name = supernets.get(f"elastic:model={file}:good").name
    file.unlink()
    assert supernets.get(name).name == name


def test_a_damaged_file_is_not_used(file):
    net = supernets.get(f"elastic:model={file}:good")
    kept = stored.cached_file(net.digest)
    kept.write_bytes(kept.read_bytes()[:-100])
    assert supernets.get(net.name).digest == net.digest  # made again from the function
    with pytest.raises(UsageError, match="no super-network of a model"):
        stored.read(kept, "damaged")


def test_a_file_of_other_weights_does_not_stand_for_it(file):
    one, other = (supernets.get(f"elastic:model={file}:good,multiple={m}") for m in (8, 4))
    stored.cached_file(one.digest).write_bytes(stored.cached_file(other.digest).read_bytes())
    assert supernets.get(one.name).digest == one.digest


def test_heads_are_elastic_whose_biases_are_tables_of_their_own():
    _, _, net = made("relative")
    assert [one.values for one in net.elastic.elastic_sets if one.key == "heads"] == [(2, 3, 4)] * 3


def test_fix_and_only(file):
    spec = f"elastic:model={file}:good"
    assert supernets.get(f"{spec},fix=0").space.decode(np.array([[0]])) == [{"width": [16]}]
    assert supernets.get(f"{spec},only=0").space.decode(np.array([[0]])) == [{"width": [32]}]
    reasons = {one.fixed for one in supernets.get(f"{spec},fix=0").elastic.sets}
    assert "fix= names it" in reasons


def test_in_python_with_a_file_of_ones_own(tmp_path):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 2))
    net = hwnas.elastic(module, torch.rand(1, 8), width=(0.25, 1), path=tmp_path / "it.elastic")
    assert net.space.decode(net.space.smallest()) == [{"width": [8]}]
    again = supernets.get(net.name)
    config = net.space.decode(net.space.smallest())[0]
    x = torch.rand(3, 8)
    assert torch.equal(net.build(config)(x), again.build(config)(x))


def test_python_options_are_checked():
    with pytest.raises(UsageError, match="fractions above 0"):
        hwnas.elastic(nn.Linear(4, 4), torch.rand(1, 4), width=(0,))
    with pytest.raises(UsageError, match="expected a torch module"):
        hwnas.elastic("model", torch.rand(1, 4))


class _OneSample(nn.Module):
    """Its code has the number of samples in it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(8, 32), nn.Linear(32, 2)

    def forward(self, x):
        return self.last(torch.relu(self.first(x)).reshape(1, 32))


def test_code_for_single_samples_runs_on_single_samples():
    net = from_module(_OneSample().eval(), torch.rand(1, 8), Wanted(), "it")
    config = net.space.decode(net.space.smallest())[0]
    (stage,) = net.stages(config, 1)
    assert stage.module(*stage.inputs).shape == (1, 2)
    with pytest.raises(UsageError, match="batches of 1 alone"):
        net.stages(config, 4)


class _Summed(nn.Module):
    """Nothing of it is as large as the batch but a sum over something that is."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(8, 32), nn.Linear(32, 2)

    def forward(self, x):
        return self.last(torch.relu(self.first(x)) * torch.ones(x.shape[0]).sum())


def test_what_only_fits_the_traced_batch_is_traced_for_single_samples():
    net = from_module(_Summed().eval(), torch.rand(1, 8), Wanted(), "it")
    assert net.elastic.analysis.batch.size == 1
    with pytest.raises(UsageError, match="batches of 1 alone"):
        net.stages(net.space.decode(net.space.largest())[0], 4)


def test_sets_that_do_not_run_small_together_are_fixed_one_by_one(monkeypatch):
    layers = nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 2)
    monkeypatch.setattr(
        making, "_fault", lambda _, axes: "together" if {32, 64} <= {one.size for one in axes} else None
    )
    net = from_module(nn.Sequential(*layers).eval(), torch.rand(1, 8), Wanted(), "it")
    assert [one.axis.size for one in net.elastic.elastic_sets] == [32, 16]
    (reason,) = [one.fixed for one in net.elastic.sets if one.axis.size == 64]
    assert reason == "a smaller size does not run (together)"


class _Unknown(nn.Module):
    """An operator without a rule, between layers that have one."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.middle = nn.Linear(8, 32), nn.Linear(32, 32)
        self.rnn, self.last = nn.GRU(32, 32, batch_first=True), nn.Linear(32, 2)

    def forward(self, x):
        return self.last(self.rnn(self.middle(torch.relu(self.first(x))))[0])


def test_what_has_no_rule_is_fixed_and_said_so():
    net = from_module(_Unknown().eval(), torch.rand(1, 5, 8), Wanted(), "it")
    assert [one.layers[0] for one in net.elastic.elastic_sets] == ["first"]
    assert any("gru" in one.fixed and "is not known" in one.fixed for one in net.elastic.sets)


def test_many_layers_stay_fast(benchmark_free_time):
    """A hundred layers with a choice each."""
    layers = [layer for _ in range(100) for layer in (nn.Linear(32, 32), nn.ReLU())]
    net = from_module(nn.Sequential(*layers, nn.Linear(32, 4)).eval(), torch.rand(1, 32), Wanted(), "deep")
    assert net.space.n_var == 100
    X = net.space.sample(10_000, 0)
    assert benchmark_free_time(lambda: net.space.canonical(X)) < 0.5
    assert benchmark_free_time(lambda: net.macs(X)) < 0.5


@pytest.fixture
def benchmark_free_time():
    """Return how much of the processor's time a call takes at best; other programs' load does not count."""
    import time

    def measured(call):
        best = float("inf")
        for _ in range(3):
            begun = time.process_time()
            call()
            best = min(best, time.process_time() - begun)
        return best

    return measured


def test_stages_are_listed_by_their_first_blocks():
    """Stages of one list of modules differ by name, and which of their blocks go first is said."""
    listed = [row for row in rows(made("mobilenet")[2]) if row["key"] == "depth"]
    assert [row["name"] for row in listed] == ["features.0", "features.2 +1", "features.5"]
    assert [sorted(row["blocks"]) for row in listed] == [["features.0"], ["features.2", "features.3"], ["features.5"]]
    assert [row["layers"] for row in listed] == [1, 2, 1]


def test_blocks_are_named_in_the_order_of_their_numbers():
    units = tuple(Unit(f"layers.{number}.block", "x", "y", frozenset(), frozenset()) for number in (11, 9, 10))
    assert Stage(units).name == "layers.9.block +2"
