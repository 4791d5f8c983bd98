"""Files of super-networks of models are read, or refused by one of our errors; nothing in them runs."""

from __future__ import annotations

import io
import json
import re

import numpy as np
import pytest
import torch
from fuzzing import fuzz, put, refused_or_read
from hypothesis import given
from hypothesis import strategies as st
from mutations import contents, documents
from torch import nn

from hwnas.supernets.elastic import stored
from hwnas.supernets.elastic.making import from_module
from hwnas.supernets.elastic.sets import Wanted
from hwnas.supernets.errors import UsageError


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.norm, self.last = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Linear(8, 2)

    def forward(self, x):
        return self.last(torch.relu(self.norm(self.first(x))).mean((2, 3)))


def tried(file):
    net = refused_or_read(lambda: stored.read(file, "it"))
    if net is not None:
        refused_or_read(lambda: net.build(net.space.decode(net.space.smallest())[0]))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return a file, and its arrays by name."""
    file = tmp_path_factory.mktemp("whole") / "it.elastic"
    wanted = Wanted(multiple=2)
    stored.write(file, from_module(Small().eval(), torch.rand(1, 3, 6, 6), wanted, "it"), wanted)
    tried(file)  # what torch does once for all is part of no case
    with np.load(file) as arrays:
        return file.read_bytes(), {key: arrays[key] for key in arrays.files}


def test_the_whole_file_is_read(whole, tmp_path):
    net = stored.read(put(tmp_path, "it.elastic", whole[0]), "it")
    assert net.space.distinct_size > 2


@fuzz
@given(data=st.data())
def test_files(folder, whole, data):
    tried(put(folder, "it.elastic", data.draw(contents([whole[0]]))))


@fuzz
@given(
    data=st.data(), other=st.sampled_from([None, np.zeros(0), np.zeros((2, 2)), np.array(["a"]), np.zeros(3, complex)])
)
def test_well_formed_files(folder, whole, data, other):
    arrays = dict(whole[1])
    about = json.loads(arrays["about"].tobytes())
    program = json.loads(about["program"]) if isinstance(about["program"], str) else about["program"]
    about["program"] = json.dumps(data.draw(documents([program])))
    about = data.draw(documents([about]))
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)
    if other is not None:
        arrays[data.draw(st.sampled_from(sorted(arrays)))] = other
    content = io.BytesIO()
    np.savez(content, **arrays)
    tried(put(folder, "it.elastic", content.getvalue()))


@pytest.mark.parametrize(
    "operator",
    [
        "os.system.default", "load_library.__call__.__call__", "import_module.__call__.__call__", "aten.__class__.mro",
        "aten.relu.__init__", "aten.from_file.default", "relu", "aten.relu", "aten.no_such.default",
    ],
)  # fmt: skip
def test_nothing_but_operators_on_tensors_is_called(folder, whole, operator):
    arrays = dict(whole[1])
    about = json.loads(arrays["about"].tobytes())
    assert '"aten.relu.default"' in about["program"]
    about["program"] = about["program"].replace('"aten.relu.default"', json.dumps(operator))
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)
    content = io.BytesIO()
    np.savez(content, **arrays)

    def build():
        net = stored.read(put(folder, "it.elastic", content.getvalue()), "it")
        return net.build(net.space.decode(net.space.smallest())[0])(torch.rand(1, 3, 6, 6))

    with pytest.raises(UsageError, match=re.escape(repr(operator))):
        build()
