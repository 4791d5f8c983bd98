"""Every emitter against torch, computed by onnxruntime."""

from __future__ import annotations

import importlib.util
import math

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from hwnas import supernets
from hwnas.backends.export import builder, export
from hwnas.backends.export.registered import FUNCTIONS, MODULES
from hwnas.supernets.errors import BackendError
from hwnas.supernets.supernet import Stage


class Call(nn.Module):
    """A module that is one function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class Call2(Call):
    def forward(self, x, y):
        return self.function(x, y)


class Call3(Call):
    def forward(self, x, y, z):
        return self.function(x, y, z)


def stage_of(module, *inputs):
    return Stage("test", module.eval(), inputs, tuple(f"in{index}" for index in range(len(inputs))))


def run(graph, inputs):
    onnx.checker.check_model(graph.model, full_check=True)
    session = onnxruntime.InferenceSession(graph.model, providers=["CPUExecutionProvider"])
    return session.run(list(graph.outputs), {name: x.numpy() for name, x in zip(graph.inputs, inputs, strict=True)})


def check(stage, exporter="trace", **options):
    """Export, run, and compare every output's numbers, shape and type with torch's."""
    graph = export(stage, **options)
    assert graph.exporter == exporter
    with torch.no_grad():
        expected = stage.module(*stage.inputs)
    expected = [expected] if isinstance(expected, torch.Tensor) else list(expected)
    found = run(graph, stage.inputs)
    assert len(found) == len(expected)
    for ours, torchs in zip(found, expected, strict=True):
        torch.testing.assert_close(torch.from_numpy(ours), torchs, rtol=1e-4, atol=1e-5)
    return graph


def normal(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def whole(*shape, below=5):
    return torch.randint(0, below, shape, generator=torch.Generator().manual_seed(0))


def _norm(module):
    with torch.no_grad():
        for tensor in (module.running_mean, module.weight, module.bias):
            tensor.copy_(normal(*tensor.shape))
        module.running_var.copy_(normal(*module.running_var.shape).abs() + 0.5)
    return module


IMAGE = normal(2, 4, 9, 7)
TOKENS = normal(2, 5, 8)

MODULE_CASES = {
    "Conv1d": (nn.Conv1d(8, 6, 3, padding=1), normal(2, 8, 10)),
    "Conv2d": (nn.Conv2d(4, 6, (3, 5), stride=(2, 1), padding=(1, 2)), IMAGE),
    "Conv2d groups, dilation": (nn.Conv2d(4, 8, 3, groups=4, dilation=2, bias=False), IMAGE),
    "Conv2d same": (nn.Conv2d(4, 6, 3, padding="same", dilation=2), IMAGE),
    "Conv2d valid": (nn.Conv2d(4, 6, 3, padding="valid"), IMAGE),
    "Conv2d on a circle": (nn.Conv2d(4, 6, 3, padding=(1, 2), padding_mode="circular"), IMAGE),
    "Conv2d same on a circle": (nn.Conv2d(4, 6, (3, 4), padding="same", padding_mode="circular"), IMAGE),
    "Conv2d of mirrored edges": (nn.Conv2d(4, 6, 3, padding=2, padding_mode="reflect", stride=2), IMAGE),
    "Conv2d of repeated edges": (nn.Conv2d(4, 6, 3, padding=1, padding_mode="replicate"), IMAGE),
    "Conv2d on a circle of one sample": (nn.Conv2d(4, 6, 3, padding=1, padding_mode="circular"), IMAGE[0]),
    "Conv2d + BatchNorm2d": (nn.Sequential(nn.Conv2d(4, 6, 3), _norm(nn.BatchNorm2d(6)), nn.ReLU()), IMAGE),
    "Conv2d without bias + BatchNorm2d": (
        nn.Sequential(nn.Conv2d(4, 6, 3, bias=False), _norm(nn.BatchNorm2d(6))),
        IMAGE,
    ),
    "Conv2d of one sample": (nn.Conv2d(4, 6, 3), IMAGE[0]),
    "ConvTranspose1d of one sample": (nn.ConvTranspose1d(8, 6, 3, stride=2), normal(8, 5)),
    "MaxPool2d of one sample": (nn.MaxPool2d(3, 2, 1), IMAGE[0]),
    "AvgPool2d of one sample, ceil": (nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False), IMAGE[0]),
    "Conv3d + BatchNorm3d": (nn.Sequential(nn.Conv3d(2, 3, 2), _norm(nn.BatchNorm3d(3))), normal(1, 2, 4, 5, 3)),
    "ConvTranspose1d": (nn.ConvTranspose1d(8, 6, 3, stride=2, output_padding=1), normal(2, 8, 5)),
    "ConvTranspose2d": (nn.ConvTranspose2d(4, 6, (2, 3), stride=2, padding=1, groups=2), IMAGE),
    "ConvTranspose3d": (nn.ConvTranspose3d(2, 3, 2, bias=False), normal(1, 2, 3, 3, 3)),
    "BatchNorm1d": (_norm(nn.BatchNorm1d(8)), normal(3, 8)),
    "BatchNorm2d": (_norm(nn.BatchNorm2d(4)), IMAGE),
    "BatchNorm2d not affine": (nn.BatchNorm2d(4, affine=False), IMAGE),
    "Linear": (nn.Linear(8, 3), normal(2, 8)),
    "Linear without bias": (nn.Linear(8, 3, bias=False), normal(2, 8)),
    "Linear on tokens": (nn.Linear(8, 3), TOKENS),
    "LayerNorm": (nn.LayerNorm(8), TOKENS),
    "LayerNorm two dims": (nn.LayerNorm((5, 8), eps=1e-3), TOKENS),
    "LayerNorm not affine": (nn.LayerNorm(8, elementwise_affine=False), TOKENS),
    "GroupNorm": (nn.GroupNorm(2, 4), IMAGE),
    "GroupNorm not affine": (nn.GroupNorm(2, 4, affine=False), IMAGE),
    "RMSNorm": (nn.RMSNorm(8), TOKENS),
    "RMSNorm not affine": (nn.RMSNorm(8, eps=1e-3, elementwise_affine=False), TOKENS),
    "Embedding": (nn.Embedding(5, 3, padding_idx=0), whole(2, 4)),
    "Dropout": (nn.Dropout(0.5), TOKENS),
    "Dropout2d": (nn.Dropout2d(0.5), IMAGE),
    "Identity": (nn.Identity(), TOKENS),
    "ReLU": (nn.ReLU(), TOKENS),
    "ReLU6": (nn.ReLU6(), TOKENS * 9),
    "Sigmoid": (nn.Sigmoid(), TOKENS),
    "Tanh": (nn.Tanh(), TOKENS),
    "Hardsigmoid": (nn.Hardsigmoid(), TOKENS * 4),
    "Hardswish": (nn.Hardswish(), TOKENS * 4),
    "SiLU": (nn.SiLU(), TOKENS),
    "GELU": (nn.GELU(), TOKENS),
    "GELU tanh": (nn.GELU("tanh"), TOKENS),
    "LeakyReLU": (nn.LeakyReLU(0.2), TOKENS),
    "Softmax": (nn.Softmax(dim=1), TOKENS),
    "LogSoftmax": (nn.LogSoftmax(dim=-1), TOKENS),
    "Flatten": (nn.Flatten(), IMAGE),
    "Flatten middle": (nn.Flatten(1, 2), IMAGE),
    "Flatten first": (nn.Flatten(0, 1), IMAGE),
    "AdaptiveAvgPool2d": (nn.AdaptiveAvgPool2d(1), IMAGE),
    "AdaptiveAvgPool2d divides": (nn.AdaptiveAvgPool2d((3, None)), IMAGE),
    "MaxPool2d": (nn.MaxPool2d(3, stride=2, padding=1), IMAGE),
    "MaxPool2d default stride": (nn.MaxPool2d(2), IMAGE),
    "AvgPool2d": (nn.AvgPool2d(3, stride=2, padding=1), IMAGE),
    "AvgPool2d without pads": (nn.AvgPool2d(2, padding=1, count_include_pad=False), IMAGE),
}


@pytest.mark.parametrize("case", MODULE_CASES)
def test_modules(case):
    module, x = MODULE_CASES[case]
    check(stage_of(module, x))


def test_every_registered_module_has_a_case():
    covered = {type(part) for module, _ in MODULE_CASES.values() for part in module.modules()}
    assert set(MODULES) <= covered


ONE = {
    "add": lambda x: x + 1,
    "radd": lambda x: 1 + x,
    "torch.add": lambda x: torch.add(x, x),
    "sub": lambda x: 2.5 - x,
    "mul": lambda x: x * 3,
    "div": lambda x: x / 3,
    "rdiv": lambda x: 1 / (x + 9),
    "pow 2": lambda x: x**2,
    "pow 3": lambda x: x.pow(3),
    "neg, exp, abs, sin, cos, erf": lambda x: torch.erf(torch.cos(torch.sin(torch.exp(-x).abs()))),
    "sqrt, rsqrt, log": lambda x: torch.log(torch.rsqrt(torch.sqrt(x.abs() + 1))),
    "clamp": lambda x: x.clamp(-0.5, 0.5),
    "clamp max": lambda x: torch.clamp(x, max=0.5),
    "compare": lambda x: ((x > 0) | (x <= -1), (x < 0) & (x >= -1), ~(x == 0), x != 0),
    "relu, sigmoid, tanh": lambda x: F.relu(x).sigmoid().tanh(),
    "relu6, hardswish, hardsigmoid, silu, gelu": lambda x: F.gelu(F.silu(F.hardsigmoid(F.hardswish(F.relu6(x))))),
    "softmax": lambda x: F.softmax(x, dim=-1) + x.softmax(1),
    "log_softmax": lambda x: F.log_softmax(x, -1),
    "mean": lambda x: (x.mean(), x.mean(1), x.mean((1, 2), keepdim=True), torch.mean(x, dim=-1)),
    "sum": lambda x: (x.sum(-1), (x > 0).sum(1), x.amax(1)),
    "cumsum": lambda x: ((x > 0).cumsum(1), x.cumsum(-1)),
    "reshape": lambda x: x.reshape(-1, 4),
    "view by size": lambda x: x.view(x.size(0), x.size(1), 2, -1),
    "view by shape": lambda x: x.view(x.shape[0], x.shape[1], 4, -1).transpose(1, 2),
    "flatten": lambda x: torch.flatten(x, 1),
    "unflatten": lambda x: (x.unflatten(-1, (2, 4)), x.unflatten(1, (5, 1)), torch.unflatten(x, 2, (-1, 2))),
    "permute": lambda x: x.permute(2, 0, -2),
    "transpose": lambda x: x.transpose(-1, 1).contiguous(),
    "squeeze": lambda x: x.unsqueeze(1).squeeze(1).unsqueeze(-1).squeeze(-1).squeeze(0),
    "squeeze all": lambda x: x[:1].squeeze(),
    "expand": lambda x: x[:, :1].expand(-1, 5, -1),
    "repeat": lambda x: x.repeat(2, 1, 1, 3),
    "chunk": lambda x: x.chunk(3, dim=1),
    "split": lambda x: torch.split(x, [3, 5], dim=-1),
    "cat": lambda x: torch.cat([x, x * 2], dim=-1),
    "stack": lambda x: torch.stack((x, -x), dim=1),
    "index": lambda x: (x[0], x[:, -1], x[..., 2:6:2], x[:, None, 1], x[:, 1:-1]),
    "select, narrow": lambda x: (x.select(1, 2), x.narrow(2, 1, 3)),
    "types": lambda x: (
        (x > 0).float(),
        (x > 0).long(),
        x.to(torch.int64),
        (x > 0).to(x.dtype),
        (x > 0).type_as(x),
        x.bool(),
    ),
    "constants": lambda x: x + torch.arange(8) + torch.ones(5, 1, device=x.device, dtype=x.dtype),
    "dropout": lambda x: F.dropout(x, 0.5, training=False),
    "where": lambda x: torch.where(x > 0, x, 0.0),
    "attributes": lambda x: x * x.dim() + x.ndim,
    "layer_norm": lambda x: F.layer_norm(x, (8,)),
    "causal attention": lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True),
    "max, min": lambda x: torch.maximum(x, torch.minimum(x * 2, x - 1)),
}


@pytest.mark.parametrize("case", ONE)
def test_functions_of_one_input(case):
    check(stage_of(Call(ONE[case]), TOKENS))


IMAGES = {
    "adaptive_avg_pool2d": lambda x: F.adaptive_avg_pool2d(x, 1),
    "max_pool2d": lambda x: F.max_pool2d(x, 3, stride=1, padding=1),
    "avg_pool2d": lambda x: F.avg_pool2d(x, 2),
    "avg_pool2d ceil": lambda x: F.avg_pool2d(x, 2, ceil_mode=True),
    "avg_pool2d ceil odd": lambda x: F.avg_pool2d(x[..., :-1, :], 2, ceil_mode=True),
    "mean over the image": lambda x: (x.mean((2, 3)), x.mean([-1, -2], keepdim=True)),
}


@pytest.mark.parametrize("case", IMAGES)
def test_functions_of_images(case):
    check(stage_of(Call(IMAGES[case]), IMAGE))


TWO = {
    "types are promoted": (lambda x, n: (x * n, n + 1, n / 2, n * 0.5, n > 1), TOKENS, whole(2, 5, 1)),
    "matmul": (lambda x, y: x @ y, TOKENS, normal(8, 3)),
    "matmul vector": (torch.matmul, TOKENS, normal(8)),
    "bmm": (torch.bmm, TOKENS, normal(2, 8, 4)),
    "einsum": (lambda x, y: torch.einsum("bij,kj->bik", x, y), TOKENS, normal(3, 8)),
    "linear": (F.linear, TOKENS, normal(3, 8)),
    "linear on a matrix": (lambda x, w: F.linear(x, w[:, :6]), normal(2, 6), normal(3, 8)),
    "embedding": (F.embedding, whole(2, 3), normal(5, 8)),
    "index_select": (lambda x, n: (x.index_select(1, n), x[:, :, 0].t()[n]), TOKENS, whole(3)),
    "gather": (lambda x, n: x.gather(2, n), TOKENS, whole(2, 5, 3)),
    "masked_fill": (lambda x, n: x.masked_fill(n == 0, -1e9), TOKENS, whole(2, 5, 1, below=2)),
    "attention with a mask": (
        lambda x, n: F.scaled_dot_product_attention(x, x, x, attn_mask=n.bool(), scale=0.3),
        TOKENS,
        torch.ones(5, 5, dtype=torch.int64).tril(),
    ),
    "attention with a bias": (lambda x, b: F.scaled_dot_product_attention(x, x, x, b), TOKENS, normal(2, 5, 5)),
    "logical": (lambda a, b: (a.bool().logical_and(b.bool()), torch.logical_not(a.bool())), whole(4), whole(4)),
}


@pytest.mark.parametrize("case", TWO)
def test_functions_of_two_inputs(case):
    function, x, y = TWO[case]
    check(stage_of(Call2(function), x, y))


def test_functions_of_weights():
    stage = stage_of(
        Call3(lambda x, w, b: F.layer_norm(F.linear(x, w, b), (8,), b, b)), TOKENS, normal(8, 8), normal(8)
    )
    check(stage)


def test_every_registered_function_is_exercised(monkeypatch):
    used = set()
    monkeypatch.setattr("hwnas.backends.export.trace.FUNCTIONS", _Watched(FUNCTIONS, used))
    stages = [stage_of(Call(f), TOKENS) for f in ONE.values()] + [stage_of(Call(f), IMAGE) for f in IMAGES.values()]
    stages += [stage_of(Call2(f), x, y) for f, x, y in TWO.values()]
    stages += [
        stage_of(Call3(lambda x, w, b: F.linear(x, w, b) + F.layer_norm(x, (8,), b)), TOKENS, normal(8, 8), normal(8))
    ]
    for stage in stages:
        export(stage)
    # Torch's own operators have tests of their own (test_export_aten.py).
    spelled = {id(found) for target, found in FUNCTIONS.items() if not isinstance(target, torch._ops.OpOverload)}
    assert spelled - used == set()


class _Watched(dict):
    def __init__(self, content, used):
        super().__init__(content)
        self.used = used

    def get(self, key, default=None):
        found = super().get(key, default)
        self.used.add(id(found))
        return found


class Attention(nn.Module):
    """A decoder step: several inputs and outputs, shared weights, caches."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(11, 8)
        self.mix = nn.Linear(8, 24)
        self.norm = nn.LayerNorm(8)
        self.scale = nn.Parameter(torch.tensor(0.5))

    def forward(self, token, keys, values):
        x = self.table(token) * math.sqrt(8)
        q, k, v = self.mix(self.norm(x)).chunk(3, dim=-1)
        keys, values = torch.cat([keys, k], 1), torch.cat([values, v], 1)
        weights = F.softmax(q @ keys.transpose(1, 2) * self.scale, dim=-1)
        x = self.norm(x + weights @ values)
        return F.linear(x, self.table.weight), {"keys": keys, "values": [values]}


def test_several_inputs_outputs_and_shared_weights():
    stage = stage_of(Attention(), whole(2, 1), normal(2, 3, 8), normal(2, 3, 8))
    graph = export(stage)
    with torch.no_grad():
        logits, caches = stage.module(*stage.inputs)
    expected = [logits, caches["keys"], caches["values"][0]]
    assert graph.exporter == "trace"
    assert graph.outputs == ("output0", "output1", "output2")
    for ours, torchs in zip(run(graph, stage.inputs), expected, strict=True):
        np.testing.assert_allclose(ours, torchs.numpy(), rtol=1e-4, atol=1e-5)
    names = [weight.name for weight in onnx.load_from_string(graph.model).graph.initializer]
    assert len(names) == len(set(names))
    assert names.count("table.weight") == 1


def test_an_input_that_is_an_output_and_an_input_left_out():
    class Passes(nn.Module):
        def forward(self, x, y, mask=None):
            return x, y if mask is None else y + mask

    check(stage_of(Passes(), TOKENS, TOKENS + 1))


def test_the_module_is_left_as_it_was():
    module = Call(lambda x: x + torch.arange(8)).eval()
    before = dict(vars(module))
    export(stage_of(module, TOKENS))
    assert vars(module) == before


def test_dynamic_batch():
    module = nn.Sequential(
        nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 2)
    )
    graph = export(stage_of(module, IMAGE), dynamic_batch=True)
    assert graph.exporter == "trace"
    x = normal(5, 4, 9, 7)
    with torch.no_grad():
        np.testing.assert_allclose(run(graph, (x,))[0], module(x).numpy(), rtol=1e-4, atol=1e-5)


def test_half_precision():
    graph = export(stage_of(nn.Sequential(nn.Linear(8, 4), nn.ReLU()), normal(2, 8)), "fp16")
    model = onnx.load_from_string(graph.model)
    half = onnx.TensorProto.FLOAT16
    types = [value.type.tensor_type.elem_type for value in (*model.graph.input, *model.graph.output)]
    assert types == [half, half]
    assert {weight.data_type for weight in model.graph.initializer} == {half}


# --- hashes and the cache --------------------------------------------------------------------------------------------


def test_the_same_network_gives_the_same_bytes():
    net = supernets.get("ofa-mbv3-w1.0:r=128")
    config = net.space.decode(net.space.sample(1, 0))[0]
    first, second = (export(net.stages(config, 1)[0]) for _ in range(2))
    assert first.model == second.model
    assert first.exporter == "trace"


def test_the_hash_leaves_out_weights_and_nothing_else():
    def graph_of(module, x=IMAGE):
        graph = export(stage_of(module, x))
        assert graph.exporter == "trace"
        return graph

    base = graph_of(nn.Conv2d(4, 6, 3))
    assert graph_of(nn.Conv2d(4, 6, 3)).hash == base.hash
    assert graph_of(nn.Conv2d(4, 6, 3)).model != base.model
    others = [
        graph_of(nn.Conv2d(4, 8, 3)),
        graph_of(nn.Conv2d(4, 6, 3, padding=1)),
        graph_of(nn.Conv2d(4, 6, 3, bias=False)),
        graph_of(nn.Conv2d(4, 6, 3), IMAGE[:1]),
        graph_of(nn.Sequential(nn.Conv2d(4, 6, 3), nn.ReLU())),
        graph_of(Call(lambda x: x + 1)),
        graph_of(Call(lambda x: x + 2)),
        graph_of(Call(lambda x: x + torch.arange(7))),
        graph_of(Call(lambda x: x + torch.arange(7) * 2)),
    ]
    assert len({base.hash, *(other.hash for other in others)}) == 1 + len(others)


def test_one_export_serves_all_who_ask():
    stage = stage_of(nn.Linear(8, 3), normal(2, 8))
    assert export(stage) is export(stage)
    assert export(stage) is not export(stage, "fp16")
    assert export(stage_of(stage.module, normal(4, 8))) is not export(stage)


# --- what this exporter cannot do ------------------------------------------------------------------------------------

UNKNOWN = {
    "a function without an emitter": torch.trunc,
    "a branch on values": lambda x: x * 2 if x.sum() > -100 else x,
    "an argument without an emitter": lambda x: torch.add(x, x, alpha=2),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", ["a function without an emitter", "an argument without an emitter"])
@pytest.mark.skipif(importlib.util.find_spec("onnxscript") is None, reason="torch.onnx.export needs onnxscript")
def test_torch_exports_what_has_no_emitter(case):
    check(stage_of(Call(UNKNOWN[case]), TOKENS), "dynamo")


@pytest.mark.parametrize("case", UNKNOWN)
def test_without_onnxscript_the_message_says_what_to_install(case, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BackendError, match=r"stage 'test': .*pip install onnxscript"):
        export(stage_of(Call(UNKNOWN[case]), TOKENS))


def test_a_shape_asked_for_while_the_batch_is_open_goes_to_torch(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BackendError, match="batch is open"):
        export(stage_of(Call(ONE["view by size"]), TOKENS), dynamic_batch=True)


def test_types_without_a_number_are_refused():
    with pytest.raises(builder.Unsupported, match="complex64"):
        builder.onnx_type(torch.complex64)


class _Named(nn.Module):
    """Parts, weights and inputs with the names that a graph gives to nodes and outputs."""

    def __init__(self):
        super().__init__()
        self.output, self.output0, self.v1 = nn.Linear(4, 4), nn.Linear(4, 3), nn.Parameter(normal(4))
        self.output1, self.x = nn.Parameter(normal(4)), nn.Parameter(normal(4))
        self.v4 = nn.ParameterList([normal(2), normal(2)])

    def forward(self, x, output):
        y = torch.sin(self.output(x * self.x) + self.v1) * self.output1 - output
        left, right = torch.relu(y).chunk(2, -1)
        return self.output0(y), torch.cat([left * self.v4[0], right * self.v4[1]], -1)


@pytest.mark.parametrize("several", [True, False])
def test_names_of_parts_weights_and_inputs_are_nobody_elses(several):
    whole = _Named()
    module = whole if several else _First(whole)
    graph = check(Stage("test", module.eval(), (normal(2, 4), normal(2, 4) * 2), ("x", "output")))
    assert graph.inputs == ("x", "output")


class _First(nn.Module):
    def __init__(self, whole):
        super().__init__()
        self.whole = whole

    def forward(self, x, output):
        return self.whole(x, output)[0]
