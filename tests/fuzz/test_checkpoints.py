"""Files of weights are read, or refused by one of our errors, and run nothing."""

from __future__ import annotations

import argparse
import io
import pickle
import warnings
import zipfile
from types import SimpleNamespace

import pytest
import torch
from fuzzing import bounded, fuzz, put, refused_or_read
from hypothesis import example, given
from hypothesis import strategies as st
from mutations import contents, documents

from hwnas import supernets
from hwnas.harness.quality.mlp import Mlp
from hwnas.supernets import checkpoints
from hwnas.supernets.errors import UsageError
from hwnas.supernets.shared import SharedWeights
from hwnas.supernets.training import checkpoint
from hwnas.supernets.training.loop import _Run
from hwnas.supernets.training.options import TrainingOptions
from hwnas.supernets.transformer import weights

# Small: what refers to itself, such as an optimiser, is freed late, and there are thousands of them.
NET = supernets.get("hat-transformer:layers=1,embed=8,ffn=8,heads=1,qkv=8,vocab=16")

# Made once: to lay a super-network out takes longer than to read a file.
LAYOUT = NET.layout()


def saved(document, **options):
    stream = io.BytesIO()
    torch.save(document, stream, **options)
    return stream.getvalue()


def trained(net):
    """Return a checkpoint of a training as it is written, as a document."""
    options = vars(TrainingOptions(steps=7)) | {}
    training = {"schema": checkpoint.SCHEMA, "step": 3, "options": options, "data": "d", "elapsed_s": 1.0}
    state = {key: tensor.detach() for key, tensor in net.shared().tensors.items()}
    optimizer = torch.optim.SGD(
        [tensor.clone() for tensor in state.values() if tensor.is_floating_point()], momentum=0.9
    )
    return {"state_dict": state, "supernet": net.name, "training": training | {"optimizer": optimizer.state_dict()}}


STATE = {"layer.weight": torch.zeros(2, 2), "layer.bias": torch.ones(2)}
PREDICTOR = {
    "0.weight": torch.zeros(4, 3),
    "0.bias": torch.zeros(4),
    "2.weight": torch.ones(1, 4),
    "base": torch.ones(1),
}
DOCUMENTS = (
    STATE,
    PREDICTOR,
    trained(NET),
    {"model": trained(NET)["state_dict"], "args": argparse.Namespace(x=1)},
    trained(NET)["state_dict"],
)
FILES = (saved(STATE), saved(DOCUMENTS[2]), saved(STATE, _use_new_zipfile_serialization=False), saved([1, "a", {}]))


def read_all(file):
    """Read a file by every reader of weights."""
    for read in (
        lambda: checkpoints.read_state_dict(file),
        lambda: checkpoint.read(file, NET.name),
        lambda: SharedWeights.load(LAYOUT, file),
        lambda: weights.read(LAYOUT, file),
        lambda: _Run(NET, SimpleNamespace(name="d"), TrainingOptions(steps=7), file, "cpu").begin(
            resume=True, weights=None
        ),
        lambda: Mlp.load(file, ("0", "2"), "base")(torch.ones(2, 3).numpy()),
    ):
        refused_or_read(read)


@fuzz
@given(content=contents(FILES))
def test_checkpoints(folder, content):
    file = put(folder, "weights.pt", content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_all(file)


LONG = 10**6
PICKLES = {
    "a global's name": b"\x80\x02cmodule\n" + b"x" * LONG + b"\n.",
    "a global's module": b"\x80\x02c" + b"x" * LONG + b"\nname\n.",
    "a blocked module": b"\x80\x02cos." + b"x" * LONG + b"\nname\n.",
    "what is called": b"\x80\x02X" + LONG.to_bytes(4, "little") + b"x" * LONG + b")R.",
    "what is made": b"\x80\x02X" + LONG.to_bytes(4, "little") + b"x" * LONG + b")\x81.",
    "what is built": b"\x80\x02X" + LONG.to_bytes(4, "little") + b"x" * LONG + b"}b.",
    "what is numbered": b"\x80\x02X" + LONG.to_bytes(4, "little") + b"x" * LONG + b"Q.",
    "words": b"\x80\x02X" + LONG.to_bytes(4, "little") + b"must be must " * (LONG // 13) + b"x" * (LONG % 13) + b")R.",
}


def legacy(pickled):
    """Return a file as torch wrote it before it wrote archives."""
    magic, protocol, system = (pickle.dumps(one, protocol=2) for one in (0x1950A86A20F9469CFC6C, 1001, {}))
    return magic + protocol + system + pickled


def archive(pickled):
    """Return a file as torch writes it, with another pickle in it."""
    whole, stream = zipfile.ZipFile(io.BytesIO(saved(STATE))), io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        for name in whole.namelist():
            made.writestr(name, pickled if name.endswith("data.pkl") else whole.read(name))
    return stream.getvalue()


@pytest.mark.parametrize("form", [legacy, archive])
@pytest.mark.parametrize("what", sorted(PICKLES))
def test_what_is_refused_may_be_as_long_as_it_likes(folder, form, what):
    file = put(folder, "long.pt", form(PICKLES[what]))
    with bounded(), pytest.raises(UsageError) as caught:
        checkpoints.read_document(file)
    assert len(str(caught.value)) < 2000


# Other kinds of tensors, and keys that are no text.
TENSORS = st.sampled_from(
    (
        torch.zeros(0),
        torch.zeros(2, 2, dtype=torch.float16),
        torch.zeros(2, dtype=torch.complex64),
        torch.eye(2).to_sparse(),
        torch.zeros(3, 3, dtype=torch.int8),
        torch.zeros(1, device="meta"),
    )
)
SPARSE = {**vars(TrainingOptions(steps=7)), "clip": torch.eye(2).to_sparse()}


@fuzz
@given(document=documents(DOCUMENTS, TENSORS), key=st.sampled_from((None, 1, b"a", ("a", 1))), value=TENSORS)
@example(document=trained(NET) | {"training": trained(NET)["training"] | {"step": "x"}}, key=None, value=None)
@example(document=trained(NET) | {"training": trained(NET)["training"] | {"optimizer": {}}}, key=None, value=None)
@example(document=trained(NET) | {"training": trained(NET)["training"] | {"options": []}}, key=None, value=None)
@example(document=trained(NET) | {"training": trained(NET)["training"] | {"options": SPARSE}}, key=None, value=None)
@example(document=trained(NET) | {"training": {"schema": SPARSE["clip"]}}, key=None, value=None)
@example(document=trained(NET) | {"supernet": SPARSE["clip"]}, key=None, value=None)
@example(document=STATE, key=1, value=torch.zeros(0))
@example(document={"state_dict": STATE | {b"a": torch.ones(1)}}, key=None, value=None)
@example(document={**PREDICTOR, "0.weight": torch.zeros(4)}, key=None, value=None)
@example(document={**PREDICTOR, "2.bias": torch.zeros(0)}, key=None, value=None)
@example(document={**PREDICTOR, "base": torch.zeros(2, dtype=torch.complex64)}, key=None, value=None)
def test_well_formed_checkpoints(folder, document, key, value):
    if key is not None and isinstance(document, dict):
        document = {**document, key: value}
    file = put(folder, "formed.pt", b"")
    with pytest.MonkeyPatch.context() as patch:
        # Pickling takes longer than all that is tried here, and has been tried above.
        patch.setattr(checkpoints.torch, "load", lambda *_, **__: document)
        checkpoints._read.cache_clear()
        read_all(file)
        checkpoints._read.cache_clear()
