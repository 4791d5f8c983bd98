"""Fixed models from files: functions, ONNX graphs, exported programs; their counts, batches, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from hwnas import supernets
from hwnas.backends.export import export
from hwnas.supernets.errors import ChangedError, UsageError
from hwnas.supernets.fixed import FixedModel
from hwnas.supernets.listed import Listed, Member, sub_networks
from hwnas.supernets.supernet import Stage

# Convolution: 8 x 15 x 15 outputs of 3 x 3 x 3 products each; linear: 1,800 x 10.
MACS = 8 * 15 * 15 * 27 + 1800 * 10
PARAMS = 8 * 27 + 8 + 1800 * 10 + 10

FILE = """
import torch
from torch import nn

def network():
    return nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(1800, 10), nn.Dropout())

def of_batch(batch):
    return network(), torch.rand(batch, 3, 32, 32)

def of_one():
    return network(), [torch.rand(1, 3, 32, 32)]

def of_three():
    return network(), torch.rand(3, 3, 32, 32)

def no_inputs():
    return network()

def odd_inputs():
    return network(), "images"

def fails():
    raise RuntimeError("no weights\\nhere")

def too_small():
    return network(), torch.rand(1, 3, 8, 8)

constant = 5
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(FILE)
    return path


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(1800, 10)).eval()


@pytest.fixture
def onnx_file(tmp_path, network):
    path = tmp_path / "net.onnx"
    stage = Stage("n", network, (torch.rand(1, 3, 32, 32),), ("image",))
    path.write_bytes(export(stage, dynamic_batch=True).model)
    return path


@pytest.mark.parametrize("function", ["of_batch", "of_one"])
def test_a_function_makes_a_model_of_the_batch_that_is_asked_for(file, function):
    model = FixedModel.of(f"{file}:{function}")
    assert model.counts() == (MACS, PARAMS)
    for batch in (1, 3):
        stage = model.stage(batch)
        assert not stage.module.training
        assert [tuple(one.shape) for one in stage.inputs] == [(batch, 3, 32, 32)]


def test_a_model_of_another_batch_than_the_platforms_is_refused(file):
    model = FixedModel.of(f"{file}:of_three")
    assert model.stage(3).inputs[0].shape[0] == 3
    with pytest.raises(UsageError, match="its inputs are of 3 samples, the platform's batch is 2"):
        model.stage(2)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("no_inputs", "expected a torch module and its example inputs"),
        ("odd_inputs", "expected a tensor or several as example inputs, got 'images'"),
        ("fails", "cannot be made: RuntimeError: no weights here (net.py, line"),
        ("too_small", "does not run on its example inputs: RuntimeError"),
        ("constant", "something else than a function"),
        ("missing", "has no function 'missing'"),
    ],
)
def test_what_makes_no_model_is_refused_in_one_line(file, function, said):
    with pytest.raises(UsageError) as refused:
        FixedModel.of(f"{file}:{function}").counts()
    message = str(refused.value)
    assert said in message
    assert "\n" not in message
    assert f"{file}:{function}" in message


@pytest.mark.parametrize("spec", ["", "net", "net.py", "net.txt:f", "none.py:f", "none.onnx", "none.pt2", ":f"])
def test_what_names_no_model_is_refused(spec, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="model "):
        FixedModel.of(spec)


@pytest.mark.parametrize("name", ["net.onnx", "net.pt2", "net.py:f"])
def test_a_file_of_something_else_is_refused_in_one_line(tmp_path, name):
    (tmp_path / name.partition(":")[0]).write_bytes(b"\xff\x00 no model")
    with pytest.raises(UsageError) as refused:
        FixedModel.of(f"{tmp_path}/{name}").counts()
    assert "\n" not in str(refused.value)
    assert name in str(refused.value)


def test_an_onnx_file_is_what_the_module_computes_for_every_batch(onnx_file, network):
    model = FixedModel.of(str(onnx_file))
    assert model.counts() == (MACS, PARAMS)
    for batch in (1, 2):
        stage = model.stage(batch)
        assert tuple(stage.inputs[0].shape) == (batch, 3, 32, 32)
        with torch.no_grad():
            (found,), wanted = stage.module(*stage.inputs), network(*stage.inputs)
        np.testing.assert_allclose(found.numpy(), wanted.numpy(), rtol=1e-4, atol=1e-5)
        graph = export(stage)
        assert (graph.exporter, graph.inputs) == ("file", ("image",))


def test_an_onnx_file_of_a_fixed_batch_serves_that_alone(tmp_path, network):
    stage = Stage("n", network, (torch.rand(2, 3, 32, 32),), ("image",))
    (tmp_path / "net.onnx").write_bytes(export(stage).model)
    model = FixedModel.of(str(tmp_path / "net.onnx"))
    assert model.counts() == (MACS, PARAMS)
    model.stage(2)
    with pytest.raises(UsageError, match="is of 2 samples, the platform's batch is 1"):
        model.stage(1)


@pytest.mark.slow
def test_an_exported_program_is_run_as_it_was_exported(tmp_path, network):
    inputs = (torch.rand(1, 3, 32, 32),)
    torch.export.save(torch.export.export(network, inputs), tmp_path / "net.pt2")
    model = FixedModel.of(str(tmp_path / "net.pt2"))
    assert model.counts() == (MACS, PARAMS)
    stage = model.stage(1)
    with torch.no_grad():
        torch.testing.assert_close(stage.module(*stage.inputs), network(*inputs))
    with pytest.raises(UsageError, match="its inputs are of 1 samples, the platform's batch is 4"):
        model.stage(4)


# --- side by side ----------------------------------------------------------------------------------------------------


@pytest.fixture
def listed(file):
    net = supernets.get("ofa-mbv3-w1.0")
    X = np.concatenate([net.space.largest(), net.space.smallest()])
    return net, X, [*sub_networks(net, X), Member.model(FixedModel.of(f"{file}:of_batch"))]


def test_a_list_is_made_again_from_its_name_in_the_order_of_macs(listed):
    net, X, members = listed
    made = Listed(members)
    again = supernets.get(made.name)
    assert again.members == made.members
    vectors = made.vectors(members)
    assert made.macs(vectors).tolist() == [*net.macs(X).tolist(), MACS]
    assert made.params(vectors).tolist() == [*net.params(X).tolist(), PARAMS]
    assert made.macs(made.space.smallest())[0] == MACS
    for vector, member in zip(made.vectors(members), members, strict=True):
        assert again.member(made.space.decode(vector[None])[0]) == member
    assert [one.config for one in members] == [*net.space.decode(X), {}]


def test_more_networks_than_a_digit_has_are_told_apart(listed):
    net = listed[0]
    members = sub_networks(net, net.space.sample(80, 0))
    made = Listed(members)
    assert [made.member(one) for one in made.space.decode(made.vectors(members))] == members


def test_a_model_that_changes_before_a_worker_makes_it_is_noticed(listed, file):
    made = supernets.get(Listed(listed[2]).name)
    config = made.space.decode(made.vectors(listed[2])[2:])[0]
    assert made.stages(config, 1)[0].inputs[0].shape[0] == 1
    file.write_text(FILE + "\n")
    with pytest.raises(ChangedError, match=r"net\.py: was changed"):
        made.stages(config, 1)


@pytest.mark.parametrize("name", ["networks:", "networks:5", "networks:[[1]]", "networks:{}", "networks:[]"])
def test_a_name_of_no_list_is_refused(name):
    with pytest.raises(UsageError):
        supernets.get(name)


def test_an_onnx_file_is_parsed_once_for_all_sessions(onnx_file):
    stage = FixedModel.of(str(onnx_file)).stage(2)
    assert export(stage) is export(stage)
