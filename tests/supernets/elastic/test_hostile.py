"""Models that users may give although they are no plain ones: each becomes a super-network, or is refused in a line."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn

import hwnas
from hwnas import supernets
from hwnas.harness import quality
from hwnas.supernets.elastic import making
from hwnas.supernets.elastic.factory import checked, flat
from hwnas.supernets.elastic.making import from_module
from hwnas.supernets.elastic.sets import Wanted
from hwnas.supernets.errors import DataError, UsageError

_X = torch.rand(1, 16, generator=torch.Generator().manual_seed(0))


class Computing(nn.Module):
    """Layers, and what is computed with them."""

    def __init__(self, compute, **placed):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 4)).to(**placed)
        self.compute = compute

    def forward(self, *inputs, **named):
        return self.compute(self.layers, *inputs, **named)


def plain(**placed):
    return Computing(lambda layers, x: layers(x), **placed)


def made(compute, inputs=_X):
    """Return a model, its checked inputs and its super-network."""
    module, inputs = checked(Computing(compute), inputs, "it")
    return module, inputs, from_module(module, inputs, Wanted(), "it")


def _under(setting):
    """Return what runs the first two of three layers in a context."""

    def compute(layers, x):
        with setting():
            x = layers[:2](x)
        return layers[2:](x.float())

    return compute


def _nested(layers, x):
    with torch.autocast("cpu", enabled=False):
        y = layers[0](x)
        with torch.enable_grad():
            y = layers[1](y) + y.sum()
        z = y * 2
    return layers[2](y) + z.sum()


@pytest.mark.parametrize(
    "compute",
    [
        _under(lambda: torch.autocast("cpu", enabled=False)),
        _under(torch.enable_grad),
        _under(torch.inference_mode),
        _nested,
        lambda layers, x: layers(x) > 0,
        lambda layers, x: layers(x).argmax(-1),
        lambda layers, x: {"some": [layers(x), None], "n": 3},
        lambda layers, x: layers(x) * float("nan"),
        lambda layers, x: layers(x) / 0,
        lambda layers, x: (layers(x), x.new_zeros(0)),
        lambda layers, x: layers(x).to(torch.complex64),
    ],
)
def test_these_become_super_networks(compute):
    module, inputs, net = made(compute)
    with torch.no_grad():
        wanted = flat(module(inputs))
        found = flat(net.build(net.space.decode(net.space.largest())[0])(inputs))
    assert net.space.decode(net.space.smallest()) == [{"width": [32]}]
    torch.testing.assert_close(found, wanted, equal_nan=True)


def _branching(layers, x):
    return layers(x) if x.sum() > 0 else layers(-x)


@pytest.mark.parametrize(
    ("compute", "said"),
    [
        (_branching, r"its code depends on the values of tensors \(test_hostile.py, line \d+\)"),
        (_under(lambda: torch.autocast("cpu", torch.bfloat16)), r"test_hostile.py, line \d+: autocast is not supp"),
        (
            lambda layers, x: torch.cond(x.sum() > 0, layers, lambda y: layers(-y), (x,)),
            r"test_hostile.py, line \d+: cond is not supported",
        ),
        (
            lambda layers, x: layers(x)[:, torch.nonzero(x[0] > 0)[:, 0].clamp_max(3)],
            r"test_hostile.py, line \d+: a size depends on values",
        ),
        (lambda layers, x: layers(x).to_sparse(), "its outputs: has tensors of the layout torch.sparse_coo"),
        (lambda layers, x: layers(x, x), r"does not run on its example inputs: TypeError: .* given \(test_hostile.py"),
    ],
)
def test_code_that_cannot_be_used_is_refused_with_its_line(compute, said, capfd):
    with pytest.raises(UsageError, match=said) as error:
        made(compute)
    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")  # torch prints graphs


def _scripted():
    return torch.jit.trace(plain(), _X)


def _quantised():
    return torch.ao.quantization.quantize_dynamic(plain(), {nn.Linear})


def _sparse():
    module = plain()
    module.register_buffer("table", torch.eye(4).to_sparse())
    return module


def _inferring():
    with torch.inference_mode():
        return plain()


@pytest.mark.parametrize(
    ("module", "inputs", "said"),
    [
        (_scripted, _X, "torch.jit has compiled its TopLevelTracedModule"),
        (_quantised, _X, "expected the model before it is quantised"),
        (_sparse, _X, "layout torch.sparse_coo"),
        (_inferring, _X, "torch.inference_mode()"),
        (lambda: plain(dtype=torch.bfloat16), _X.bfloat16(), "layers.0.weight is of torch.bfloat16; expected torch.fl"),
        (lambda: plain(dtype=torch.float16), _X.half(), "model.float()"),
        (lambda: plain().to("meta"), _X, "have no values"),
        (plain, _X.to_sparse(), "layout torch.sparse_coo"),
        (plain, _X[:0], "the inputs have no sample"),
        (plain, (), "expected a torch module and its example inputs"),
    ],
)
def test_forms_that_cannot_be_used_are_refused(module, inputs, said):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, of what it will not have any more
        module = module()
    with pytest.raises(UsageError) as error:
        checked(module, inputs, "it")
    assert said in str(error.value)


@pytest.mark.parametrize("wrapped", [lambda: torch.compile(plain(), backend="eager"), lambda: nn.DataParallel(plain())])
def test_wrapped_modules_are_what_they_wrap(wrapped):
    module, inputs = checked(wrapped(), _X, "it")
    net = from_module(module, inputs, Wanted(), "it")
    assert net.space.decode(net.space.smallest()) == [{"width": [32]}]


def test_a_lazy_module_is_made_by_its_example():
    module, inputs = checked(nn.Sequential(nn.LazyLinear(32), nn.ReLU(), nn.Linear(32, 4)), _X, "it")
    assert from_module(module, inputs, Wanted(), "it").params([[0]])[0] == 16 * 17 + 4 * 17


def test_examples_need_no_gradients():
    _, inputs = checked(plain(), _X.clone().requires_grad_() * 2, "it")
    assert not inputs.requires_grad


def test_inputs_have_the_names_that_the_user_gives_them():
    """torch calls them in small letters, in the order of the function's parameters."""
    given = {"Shift": _X * 3, "X": _X, "of two": _X}
    module, inputs, net = made(lambda layers, **named: layers(named["X"] - named["Shift"] / named["of two"]), given)
    assert set(net.input_names) == set(given)
    found = net.build(net.space.decode(net.space.largest())[0])(*(given[name] for name in net.input_names))
    torch.testing.assert_close(found, module(**inputs))


def test_weights_without_entries(tmp_path):
    module = plain()
    module.nothing = nn.Parameter(torch.empty(0, 4))
    module.compute = lambda layers, x: torch.cat([layers(x), module.nothing])
    net = hwnas.elastic(module, _X, path=tmp_path / "it.elastic")
    assert supernets.get(net.name).digest == net.digest


def test_sizes_that_happen_to_be_that_of_a_traced_batch_are_none():
    """Sizes that happen to be those with which models are traced: an image of three channels, a table of three rows."""
    _, _, whole = made(lambda layers, x: layers(x), torch.rand(3, 16))
    assert "first dimension of 1" in whole.one_batch
    with pytest.raises(UsageError, match="batches of 1 alone"):
        whole.stages(whole.space.decode(whole.space.largest())[0], 4)
    _, _, net = made(lambda layers, x, table: layers(x) + table.sum(), (_X, torch.rand(3, 5)))
    (stage,) = net.stages(net.space.decode(net.space.largest())[0], 4)
    assert not net.one_batch
    assert [tuple(one.shape) for one in stage.inputs] == [(4, 16), (3, 5)]


def _for_one_sample(layers, x):
    return layers(x).reshape(1, 4)


@pytest.mark.parametrize(
    ("compute", "inputs", "vectors"),
    [
        (lambda layers, x: layers(x)[:, 0], _X, 1),
        (lambda layers, x: layers(x)[:, :1], _X, 1),
        (lambda layers, x: layers(x).mean(), _X, 1),
        (lambda layers, x: layers(x).argmax(-1), _X, 1),
        (_for_one_sample, _X, 32),
        (lambda layers, x: layers(x), _X[0], 32),
    ],
)
def test_fidelity_of_any_shape_of_output(compute, inputs, vectors):
    """Numbers of single samples are compared over a batch, and one-sample models run on samples one by one."""
    _, _, net = made(compute, inputs)
    (whole,) = quality.get("fidelity", net).scores(net.space.largest())
    (least,) = quality.get("fidelity", net).scores(net.space.smallest())
    assert whole.value == pytest.approx(1)
    assert least.value <= whole.value
    assert whole.n == vectors


def test_batches_that_a_model_for_single_samples_does_not_run_on(tmp_path):
    _, _, net = made(_for_one_sample)
    file = tmp_path / "mine.py"
    file.write_text("import torch\n\ndef five():\n    return [torch.rand(5, 16)]\n")
    with pytest.raises(DataError, match=r"float32 of \(5, 16\); expected .*\(1, 16\): the model runs on batches of 1"):
        quality.get(f"fidelity:{file}:five", net)


class _Sequence(nn.Module):
    """A recurrent network, whose operator has no rule; its first state has a dimension for the samples."""

    def __init__(self, layers=1):
        super().__init__()
        self.first, self.recurrent = nn.Linear(16, 32), nn.GRU(32, 24, num_layers=layers, batch_first=True)
        self.second, self.last = nn.Linear(24, 32), nn.Linear(32, 4)

    def forward(self, x):
        steps, state = self.recurrent(torch.relu(self.first(x)))
        return self.last(torch.relu(self.second(steps))), state


@pytest.mark.parametrize(("layers", "any_batch"), [(1, True), (3, False)])
def test_what_an_unknown_operator_is_given_for_each_sample_stays_so(layers, any_batch):
    """Three layers' states look like those of the three samples that were traced: single samples are run then."""
    net = from_module(_Sequence(layers).eval(), torch.rand(1, 5, 16), Wanted(), "it")
    assert (not net.one_batch) == any_batch
    assert any("gru" in one.fixed for one in net.elastic.sets)
    samples = torch.rand(4 if any_batch else 1, 5, 16)
    for config in net.space.decode(net.space.sample(3, 0)):
        module = net.build(config)
        several, singly = module(samples)[0], torch.cat([module(one[None])[0] for one in samples])
        torch.testing.assert_close(several, singly)


class _WithoutBatch(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.depthwise = nn.Conv1d(3, 32, 3), nn.Conv1d(32, 32, 3, groups=32)
        self.up, self.grouped = nn.ConvTranspose1d(32, 16, 2, 2), nn.Conv1d(16, 16, 3, groups=2)
        self.last = nn.Conv1d(16, 4, 1)

    def forward(self, x):
        x = nn.functional.max_pool1d(torch.relu(self.first(x)), 2)
        x = nn.functional.avg_pool1d(torch.relu(self.up(torch.relu(self.depthwise(x)))), 2)
        return self.last(torch.relu(self.grouped(x)))


def test_convolutions_of_a_single_sample_without_a_batch(tmp_path):
    x = torch.rand(3, 24)
    module = _WithoutBatch().eval()
    net = from_module(module, x, Wanted(), "it")
    assert [one.axis.size for one in net.elastic.elastic_sets] == [32, 8]
    torch.testing.assert_close(net.build(net.space.decode(net.space.largest())[0])(x), module(x))
    for vector in (net.space.smallest(), net.space.largest()):
        least = net.build(net.space.decode(vector)[0])
        assert net.params(vector)[0] == sum(one.numel() for one in least.parameters())
    file = tmp_path / "mine.py"
    file.write_text("import torch\n\ndef some():\n    return [torch.rand(3, 24)]\n")
    wanted = {"importance": "activations", "data": f"{file}:some"}
    assert making.from_module(module, x, Wanted(), "it", wanted).space.choices == net.space.choices
