"""No input from outside crashes a parser: it is read, or refused by one of our errors, whose message can be shown.

A few examples each; ``HWNAS_FUZZ=10000`` tries so many.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import struct
import warnings

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutations import contents, texts
from PIL import Image

import supernets
from harness import platform, quality
from harness.data import _interaction_files, argument, idx, pixels
from harness.data._parallel_text import ParallelText
from harness.frames import Channel, Closed, Garbled, Silence
from harness.protocol import profile
from harness.store import Store
from hwnas.cli.configs import read_configs
from hwnas.cli.options import reference_point
from latency_luts import formats
from latency_luts.measured import MeasuredTable
from search import constraints
from search.stored import load
from supernets import checkpoints
from supernets.errors import HwnasError, StoreError
from supernets.training import checkpoint

N = int(os.environ.get("HWNAS_FUZZ", "40"))
fuzz = settings(
    max_examples=N,
    deadline=None,
    database=None,
    derandomize=N < 1000,  # the ordinary suite tries the same each time; a long run tries new ones
    suppress_health_check=list(HealthCheck),
)

NCF = supernets.get("ncf")
MOBILE = supernets.get("ofa-mbv3-w1.2")
CONFIG = json.dumps(NCF.space.decode(NCF.space.sample(1, seed=0))[0])
CONFIGS = json.dumps(MOBILE.space.decode(MOBILE.space.sample(2, seed=0)))


def refused_or_read(read):
    """Call ``read``; what it raises must be ours, with a message that can be printed."""
    try:
        read()
    except HwnasError as error:
        said = str(error)
    else:
        return
    assert said.strip()


def put(folder, name, content):
    (folder / name).write_bytes(content)
    return folder / name


# --- strings ----------------------------------------------------------------------------------------------------------


@fuzz
@given(text=texts(["min", "max", "random:1", CONFIG, "nets.json", f"[{CONFIG}, {CONFIG}]"]))
def test_config_strings(text):
    if text.strip() != "-":
        refused_or_read(lambda: read_configs([text], NCF.space))


SUPERNETS = (
    "ofa-mbv3-w1.2",
    "ofa-mbv3-w1.0:resolution=elastic",
    "ncf:users=100,items=200",
    "bootstrapnas-resnet50:image=32,classes=10",
)


@fuzz
@given(text=texts([*SUPERNETS, "hat-transformer:vocab=1000", "ofa-resnet50:classes=10"]))
def test_super_networks_options(text):
    refused_or_read(lambda: supernets.get(text))


@fuzz
@given(
    text=texts(
        [
            "onnxruntime:threads=1,batch=8",
            "torch:threads=1",
            "openvino:precision=int8",
            "lut:table=note10",
            "table:file=a.csv,column=x_ms",
        ]
    )
)
def test_platform_strings(text):
    refused_or_read(lambda: platform.parse(text))


class Limited:
    """An objective, as far as a constraint looks at it."""

    def __init__(self, name, unit, maximise):
        self.name, self.unit, self.maximise = name, unit, maximise


OBJECTIVES = [
    Limited("latency", "ms", False),
    Limited("top1", "%", True),
    Limited("macs", "M", False),
    Limited("plain", "", True),
]


@fuzz
@given(text=texts(["latency<=20ms", "top1>=76%", "macs<=300M", " plain >= 1e3 ", "latency<=1e-3s"]))
def test_constraint_strings(text):
    refused_or_read(lambda: constraints.parse(text, OBJECTIVES))


@fuzz
@given(text=texts(["latency=92.4", "top1=70"]))
def test_reference_points(text):
    refused_or_read(lambda: reference_point([text]))


@fuzz
@given(text=texts(["a/b,limit=5", "a,b,size=3,share=0.5", "x"]))
def test_arguments_of_data(text):
    def read():
        _, options = argument.parse_argument("images", text, ("limit", "size", "share"))
        argument.whole_number("images", "limit", options.get("limit", "1"), 1)
        argument.fraction("images", "share", options.get("share", "0.5"))

    refused_or_read(read)


@fuzz
@given(text=texts(["quiet", "noisy"]))
def test_profiles(text):
    refused_or_read(lambda: profile(text))


@fuzz
@given(text=texts(["table:measured.csv", "surrogate", "images:DIR", "hit-rate:a", "bleu:a,b", "ofa-predictor"]))
def test_quality_sources(text):
    refused_or_read(lambda: quality.get(text, NCF))


# --- text files -------------------------------------------------------------------------------------------------------


@fuzz
@given(content=contents([CONFIG.encode(), f"[{CONFIG}]".encode()]))
def test_files_of_configs(folder, content):
    file = put(folder, "nets.json", content)
    refused_or_read(lambda: read_configs([str(file)], NCF.space))


@fuzz
@given(content=contents([CONFIGS.encode()]))
def test_files_of_many_choices(folder, content):
    file = put(folder, "mobile.json", content)
    refused_or_read(lambda: read_configs([str(file)], MOBILE.space))


KEYS = NCF.space.decode(NCF.space.sample(2, seed=1))
CELL = json.dumps(KEYS[0]).replace('"', '""')
SPREAD = ",".join(KEYS[0]) + ",t_ms\n" + ",".join(" ".join(map(str, np.ravel(v))) for v in KEYS[0].values()) + ",1.5\n"
TABLES = (
    f'config,latency_ms,top1\n"{CELL}",12.5,75\n',
    SPREAD,
    f'Sub-network,Latency (ms),Top-1 Acc (%)\n"{KEYS[0]}",3,4\n',
)


@fuzz
@given(content=contents([text.encode() for text in TABLES]))
def test_measured_tables(folder, content):
    file = put(folder, "measured.csv", content)

    def read():
        table = MeasuredTable.read(file)
        table.vectors(NCF.space)
        for column in table.columns:
            table.seconds(table.metric(column))
            table.measured(table.metric(column))

    refused_or_read(read)
    refused_or_read(lambda: quality.get(f"table:{file}", NCF).evaluate(NCF.space.sample(1, seed=1)))
    refused_or_read(lambda: quality.get(f"surrogate:{file}", NCF))


ENTRY = {"count": 5, "mean": 2.0, "std": 0.5}
CONV = "Conv-input:224x224x3-output:112x112x24"
MBCONV = "expanded_conv-input:112x112x24-output:56x56x32-expand:72-kernel:3-stride:2-idskip:0-se:0-hs:0"
HEAD = {
    "supernet": "ofa-mbv3-w1.0",
    "platform": "torch:threads=1",
    "unit": "ms",
    "environment": {"cpu": "x"},
    "protocol": {"version": 1},
}
CORRECTION = {"terms": {"network": 0.1, CONV: -0.5}, "facts": {"n": 3}}
LUTS = (
    {CONV: ENTRY, MBCONV: {"mean": 1e-3, "var": 0.1}},
    {"hwnas_latency_table": 1, **HEAD, "blocks": {CONV: ENTRY}},
    {"hwnas_latency_table": {"schema": 2, **HEAD, "correction": CORRECTION}, CONV: ENTRY, MBCONV: ENTRY},
    {
        "expanded_conv-input:112x112x16-output:56x56x24-expand:3-kernel:5-stride:2-idskip:0": ENTRY,
        "Conv-input:224x224x3-output:112x112x32": ENTRY,
    },
    {
        "expanded_conv-input:112x112x24-output:56x56x32-expand:3-kernel:3-stride:2-idskip:0-se:0-hs:0": {"mean": 2.0},
        "Logits-input:1x1x1280-output:1000": ENTRY,
    },
)


@fuzz
@given(content=contents([yaml.safe_dump(table, sort_keys=False, width=1000).encode() for table in LUTS]))
def test_lookup_tables_of_every_layout(folder, content):
    file = put(folder, "table.yaml", content)
    refused_or_read(lambda: formats.read(file).bind(MOBILE))


@fuzz
@given(
    content=contents(
        [b'[platforms]\nlaptop = "torch:threads=1"\nphone = "lut:table=note10"\n', b"[platforms.a]\nb = 1\n"]
    )
)
def test_files_of_platforms(folder, content):
    file = put(folder, "hwnas.toml", content)
    refused_or_read(lambda: platform.named_platforms(file))
    refused_or_read(lambda: platform.parse("laptop", file))


# --- data -------------------------------------------------------------------------------------------------------------

INTER = b"user_id:token\titem_id:token\trating:float\ttimestamp:float\n1\t10\t5\t100\n2\t11\t3\t200\na\tb\t1\t3e2\n"


@fuzz
@given(content=contents([INTER, b"1\t10\t5\t100\n2\t11\t3\t200\n"]))
def test_interactions(folder, content):
    put(folder, "log.inter", content)
    refused_or_read(lambda: _interaction_files.read(str(folder / "log")))


@fuzz
@given(
    content=contents([b"0\t1\t5\t100\n1\t2\t3\t200\n", b"(0,3)\t1\t2\n(1,4)\t2\t1\n"]),
    which=st.sampled_from(["train.rating", "test.rating", "test.negative"]),
)
def test_interactions_that_are_split(folder, content, which):
    whole = {
        "train.rating": b"0\t1\t5\t1\n0\t2\t5\t2\n1\t3\t1\t1\n1\t4\t1\t2\n",
        "test.rating": b"0\t3\t5\t3\n1\t1\t2\t3\n",
    }
    whole["test.negative"] = b"(0,3)\t4\n(1,1)\t2\n"
    for part, valid in whole.items():
        put(folder, f"split.{part}", content if part == which else valid)
    refused_or_read(lambda: _interaction_files.read(str(folder / "split")))


@fuzz
@given(content=contents([b"a b c\nd e\n", "ein Satz\nß\r\n".encode()]))
def test_parallel_text(folder, content):
    left, right = put(folder, "a.en", content), put(folder, "a.de", b"one\ntwo\n")
    refused_or_read(lambda: ParallelText.read(f"{left},{right}", "text"))


IDX = b"\0\0\x08\x03" + struct.pack(">III", 2, 3, 3) + bytes(range(18))


@fuzz
@given(content=contents([IDX, gzip.compress(IDX, mtime=0), b"\0\0\x08\x01" + struct.pack(">I", 2) + b"ab"]))
def test_idx_files(folder, content):
    file = put(folder, "images-idx3-ubyte", content)
    refused_or_read(lambda: idx.read_idx(file))


def picture(form):
    stream = io.BytesIO()
    Image.new("RGB", (9, 7), (10, 200, 30)).save(stream, form)
    return stream.getvalue()


# A header may claim a hundred megapixels: Pillow remarks on it, as on a large photograph, and goes on.
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@fuzz
@given(content=contents([picture(form) for form in ("PNG", "JPEG", "GIF", "BMP", "WEBP")]))
def test_images(folder, content):
    file = put(folder, "picture", content)
    refused_or_read(lambda: pixels.middle(file, 8, 3))


# --- checkpoints ------------------------------------------------------------------------------------------------------


def saved(document, **options):
    import torch

    stream = io.BytesIO()
    torch.save(document, stream, **options)
    return stream.getvalue()


@pytest.fixture(scope="session")
def checkpoint_files():
    import torch

    state = {"layer.weight": torch.zeros(2, 2), "layer.bias": torch.ones(2)}
    document = {
        "state_dict": state,
        "supernet": "ncf",
        "training": {"schema": checkpoint.SCHEMA, "step": 3, "options": {}},
    }
    return [saved(state), saved(document), saved(state, _use_new_zipfile_serialization=False), saved([1, "a", {}])]


@fuzz
@given(data=st.data())
def test_checkpoints(folder, checkpoint_files, data):
    file = put(folder, "weights.pt", data.draw(contents(checkpoint_files)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        refused_or_read(lambda: checkpoints.read_state_dict(file))
        refused_or_read(lambda: checkpoint.read(file, "ncf"))


# --- between processes, and what was stored ---------------------------------------------------------------------------

FRAME = json.dumps({"say": "timed", "number": 1, "samples": {"seconds": [0.1, 0.2]}}).encode()


@fuzz
@given(content=contents([struct.pack(">I", len(FRAME)) + FRAME, struct.pack(">I", 2) + b"{}"]))
def test_frames_of_a_worker(content):
    read, write = os.pipe()
    try:
        os.write(write, content[:60_000])
        os.close(write)
        channel = Channel(read, -1)
        for _ in range(100):
            assert isinstance(channel.receive(1.0), dict)
    except (Closed, Garbled, Silence):
        pass
    finally:
        os.close(read)


@pytest.fixture(scope="session")
def store_files(tmp_path_factory):
    """A store's file, small."""
    from search.study import search

    file = tmp_path_factory.mktemp("stored") / "s.db"
    with Store.open(str(file)) as store:
        search(NCF, objectives=["macs", "params"], algorithm="random", evals=4, store=store, study="s")
    return [file.read_bytes()]


@fuzz
@given(data=st.data())
def test_stores(folder, store_files, data):
    for old in folder.glob("s.db*"):
        old.unlink(missing_ok=True)  # SQLite may be about to remove it itself
    file = put(folder, "s.db", data.draw(contents(store_files)))

    def read():
        with Store.open(str(file), create=False) as store:
            store.studies()
            store.measurements()
            load(store, "s")

    refused_or_read(read)


@pytest.mark.parametrize("settings", [{}, {"search": {}, "facts": {}}, {"search": {"objectives": [1]}, "facts": {}}])
def test_a_study_that_is_damaged_is_named(tmp_path, settings):
    with Store.open(str(tmp_path / "s.db")) as store:
        store.create_study("s", settings)
        with pytest.raises(StoreError, match="the study 's' is damaged"):
            load(store, "s")
