"""Multiply-accumulates of recurrent layers: against the sum by hand, torch's own count, and the exported graph."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import hwnas
from hwnas.supernets.fixed import FixedModel

STEPS, GIVEN, STATE = 10, 32, 24


class Recurrent(nn.Module):
    """A layer before and behind recurrent ones."""

    def __init__(self, kind, *, cell=False, **options):
        super().__init__()
        self.cell = cell
        self.first = nn.Linear(8, GIVEN)
        self.middle = kind(GIVEN, STATE, **options) if cell else kind(GIVEN, STATE, batch_first=True, **options)
        made = (options.get("proj_size") or STATE) * (2 if options.get("bidirectional") else 1)
        self.last = nn.Linear(made, 64)
        self.out = nn.Linear(64, 4)

    def forward(self, x):
        y = self.middle(torch.relu(self.first(x)))
        return self.out(torch.relu(self.last(y[0] if isinstance(y, tuple) else y)))


KINDS = {
    "lstm": (nn.LSTM, {}),
    "two lstms both ways": (nn.LSTM, {"num_layers": 2, "bidirectional": True}),
    "lstm without biases": (nn.LSTM, {"bias": False}),
    "lstm with a projection": (nn.LSTM, {"proj_size": 5}),
    "gru": (nn.GRU, {}),
    "two grus both ways": (nn.GRU, {"num_layers": 2, "bidirectional": True}),
    "rnn": (nn.RNN, {}),
    "rnn of relus": (nn.RNN, {"nonlinearity": "relu"}),
    "lstm cell": (nn.LSTMCell, {"cell": True}),
    "gru cell": (nn.GRUCell, {"cell": True}),
    "rnn cell": (nn.RNNCell, {"cell": True}),
}


def made(name):
    kind, options = KINDS[name]
    return Recurrent(kind, **options).eval(), torch.rand(1, 8) if options.get("cell") else torch.rand(1, STEPS, 8)


def by_hand(module, steps):
    """Every matrix is multiplied with a vector in each step."""
    return steps * sum(one.numel() for one in module.parameters() if one.dim() == 2)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported")
def test_recurrent_layers_are_counted(name):
    module, x = made(name)
    net = hwnas.elastic(module, x)
    largest = net.space.largest()
    assert net.macs(largest).tolist() == [by_hand(module, math.prod(x.shape[:-1]))]
    assert net.params(largest).tolist() == [sum(one.numel() for one in module.parameters())]
    smallest = net.build(net.space.decode(net.space.smallest())[0])
    assert net.macs(net.space.smallest()).tolist() == [by_hand(smallest, math.prod(x.shape[:-1]))]


@pytest.mark.parametrize("name", ["gru", "two grus both ways", "rnn", "gru cell", "lstm cell", "rnn cell"])
def test_what_torch_counts_it_counts_alike(name):
    """Of the layers that torch runs as products of matrices."""
    module, x = made(name)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(x)
    net = hwnas.elastic(module, x)
    assert net.macs(net.space.largest()).tolist() == [counter.get_total_flops() // 2]


MODEL = """
import torch
from torch import nn


def lstm():
    return nn.Sequential(nn.LSTM(32, 24, num_layers=2, bidirectional=True, batch_first=True)), torch.rand(1, 10, 32)


def encoder():
    return nn.TransformerEncoderLayer(16, 2, 64, batch_first=True), torch.rand(1, 5, 16)


def attention():
    class Attention(nn.Module):
        def forward(self, x):
            return nn.functional.scaled_dot_product_attention(x, x, x)

    return Attention(), torch.rand(1, 2, 5, 8)
"""


@pytest.mark.parametrize(
    ("function", "macs"),
    [
        ("lstm", 10 * 2 * 4 * 24 * (32 + 24 + 48 + 24)),
        # Queries, keys, values and outputs; scores and what they weigh; the two layers behind.
        ("encoder", 5 * 4 * 16 * 16 + 2 * 5 * 5 * 16 + 2 * 5 * 16 * 64),
        ("attention", 2 * 2 * 5 * 5 * 8),
    ],
)
def test_fixed_models_are_counted_whatever_torch_runs_them_by(function, macs, tmp_path):
    file = tmp_path / "model.py"
    file.write_text(MODEL)
    fast = torch.backends.mha.get_fastpath_enabled()
    assert FixedModel.of(f"{file}:{function}").counts()[0] == macs
    assert torch.backends.mha.get_fastpath_enabled() is fast


@pytest.mark.parametrize(("kind", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
def test_recurrent_layers_of_onnx_graphs_are_counted(kind, gates, tmp_path):
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    shapes = {"w": (1, gates * STATE, GIVEN), "r": (1, gates * STATE, STATE)}
    weights = [numpy_helper.from_array(np.zeros(shape, np.float32), name) for name, shape in shapes.items()]
    graph = helper.make_graph(
        [helper.make_node(kind, ["x", "w", "r"], ["y"], hidden_size=STATE)],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (STEPS, 1, GIVEN))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (STEPS, 1, 1, STATE))],
        weights,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), str(tmp_path / "m.onnx"))
    # Its first dimension is taken for the batch, as of every graph.
    assert FixedModel.of(str(tmp_path / "m.onnx")).counts()[0] == gates * STATE * (GIVEN + STATE)
