"""A sub-network's outputs have the names that the model gives them, for the functions that a user writes."""

from __future__ import annotations

import copy
import json
import math
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

import hwnas
from hwnas.harness import data, quality
from hwnas.harness.quality import QualityOptions
from hwnas.supernets.elastic import stored
from hwnas.supernets.elastic.gradients import by_gradients
from hwnas.supernets.elastic.making import from_module
from hwnas.supernets.elastic.program import Program
from hwnas.supernets.elastic.sets import Wanted
from hwnas.supernets.named_outputs import NamedOutputs, name_outputs


class Pair(NamedTuple):
    logits: torch.Tensor
    other: torch.Tensor


FORMS = {
    "dict": lambda y, z: {"logits": y, "other": z},
    "named": Pair,
    "nested": lambda y, z: {"logits": y, "both": (z, {"again": y + 1}), "none": None},
    "one": lambda y, _: {"logits": y},
    "tuple": lambda y, z: (y, z),
    "plain": lambda y, _: y,
}


class Classifier(nn.Module):
    def __init__(self, form: str) -> None:
        super().__init__()
        self.form = FORMS[form]
        self.first, self.last, self.other = nn.Linear(6, 32), nn.Linear(32, 3), nn.Linear(32, 2)

    def forward(self, x):
        z = self.first(x).relu()
        return self.form(self.last(z), self.other(z))


def of(form):
    torch.manual_seed(0)
    module = Classifier(form).eval()
    return module, from_module(module, torch.rand(1, 6), Wanted(), f"classifier-{form}")


def smallest(net):
    return net.build(net.space.decode(net.space.smallest())[0])


@pytest.mark.parametrize(
    ("form", "names"),
    [
        ("dict", {"logits": 0, "other": 1}),
        ("named", {"logits": 0, "other": 1}),
        ("nested", {"logits": 0, "both": (1, 2)}),
        ("one", {"logits": 0}),
        ("tuple", {}),
        ("plain", {}),
    ],
)
def test_outputs_have_the_models_names(form, names, tmp_path):
    module, net = of(form)
    stored.write(tmp_path / "it.elastic", net, Wanted())
    for one in (net, stored.read(tmp_path / "it.elastic", "again")):
        assert one.output_names == names
    x = torch.rand(4, 6)
    whole = net.build(net.space.decode(net.space.largest())[0])
    found, wanted = name_outputs(whole, net)(x), module(x)
    if names:
        assert torch.allclose(found.logits, wanted.logits if form == "named" else wanted["logits"], atol=1e-5)
        assert found["logits"] is found[0]
    else:
        assert type(found) is type(wanted)


def test_transformers_outputs_are_read_as_in_transformers():
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=20, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32
    )
    module = transformers.BertModel(config).eval()
    net = from_module(module, {"input_ids": torch.arange(7)[None]}, Wanted(), "bert")
    found = name_outputs(smallest(net), net)(torch.arange(7)[None])
    assert found.last_hidden_state.shape[:2] == (1, 7)
    assert found.pooler_output is found["pooler_output"] is found[1]


def test_a_name_that_is_none_is_said_and_a_copy_has_the_names():
    outputs = NamedOutputs((1, 2, 3), {"logits": 0, "both": (1, 2)})
    with pytest.raises(AttributeError, match="gives no 'logit'; did you mean 'logits'"):
        _ = outputs.logit
    with pytest.raises(KeyError, match="gives no 'logit'; did you mean 'logits'"):
        _ = outputs["logit"]
    assert copy.deepcopy(outputs).both == (2, 3)
    assert (outputs[1:], [*outputs]) == ((2, 3), [1, 2, 3])


def test_a_users_quality_reads_outputs_by_name():
    _, net = of("dict")
    x = torch.rand(4, 6)

    def confidence(module, config):
        with torch.no_grad():
            return float(module(x).logits.softmax(-1).amax(-1).mean())

    source = quality.get(hwnas.quality("confidence")(confidence), net, QualityOptions())
    (score,) = source.scores(net.space.smallest())
    assert math.isfinite(score.value), score.reason


def test_a_module_of_named_outputs_can_be_exported():
    _, net = of("nested")
    module = name_outputs(smallest(net), net)
    x = torch.rand(1, 6)
    exported = torch.export.export(module, (x,)).module()
    assert torch.allclose(exported(x)[0], module(x).logits)


def test_a_users_loss_reads_outputs_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(
        "import torch\n"
        "def labelled():\n"
        "    batches = [(torch.rand(8, 6), torch.arange(8) % 3)]\n"
        "    return batches, lambda out, y: torch.nn.functional.cross_entropy(out.logits, y)\n"
    )
    _, net = of("dict")
    task = data.get("python:mine.py:labelled", net)
    (batch,) = task.batches(np.random.default_rng(0))
    assert task.loss(smallest(net)(*task.inputs(batch, {})), batch).dim() == 0
    order = by_gradients(net, [((batch[0],), batch[1])], lambda out, y: (out.logits.sum(-1) - y).square().mean())
    assert all(sorted(one.tolist()) == list(range(axis.size)) for axis, one in order.items())


@pytest.mark.parametrize("names", [[1], {"logits": 7}, {"logits": "x"}, {"logits": [0, 1.0]}, {"logits": True}])
def test_damaged_names_are_left_out(names):
    _, net = of("dict")
    text = net.program.text()
    assert '{"names": {"dict": {"logits": 0, "other": 1}}}' in text
    damaged = text.replace('{"names": {"dict": {"logits": 0, "other": 1}}}', _json({"names": names}))
    orders = [net.elastic.rankings[one.axis] for one in net.elastic.elastic_sets]
    found = stored.made(stored.analysed(Program.from_text(damaged, net.program.weights)), Wanted(), orders, None)
    assert stored.ElasticModel("damaged", found, net.examples).output_names == {}


def _json(names):
    inner = {"dict": names["names"]} if isinstance(names["names"], dict) else names["names"]
    return json.dumps({"names": inner})
