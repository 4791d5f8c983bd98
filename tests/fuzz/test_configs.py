"""Sub-networks as people and other tools write them are read, or refused by one of our errors."""

from __future__ import annotations

import io
import itertools
import json
import sys
from pathlib import Path

import pytest
import yaml
from fuzzing import fuzz, put, refused_or_read
from hypothesis import example, given
from hypothesis import strategies as st
from mutations import contents, documents, json_files, texts

from hwnas import supernets
from hwnas.cli.configs import read_configs
from hwnas.harness import quality
from hwnas.harness.store import Store
from hwnas.latency_luts.measured import MeasuredTable
from hwnas.search.predictors import examples
from hwnas.search.study.run import search

NCF = supernets.get("ncf")
MOBILE = supernets.get("ofa-mbv3-w1.2")
HAT = supernets.get("hat-transformer")
CONFIG = json.dumps(NCF.space.decode(NCF.space.sample(1, seed=0))[0])
CONFIGS = json.dumps(MOBILE.space.decode(MOBILE.space.sample(2, seed=0)))


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


@fuzz
@given(content=contents([CONFIG.encode(), b"min"]))
@example(content="\ufeff{".encode("utf-16"))
def test_standard_input(content):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))
        refused_or_read(lambda: read_configs(["-"], NCF.space))


# --- once-for-all -----------------------------------------------------------------------------------------------------

NET_CONFIG = {
    "name": "MobileNetV3",
    "image_size": 224,
    "blocks": [
        {
            "mobile_inverted_conv": {
                "in_channels": c_in,
                "out_channels": c_out,
                "kernel_size": 3,
                "stride": 1 + (c_in != c_out),
                "expand_ratio": 3,
                "mid_channels": None,
                "act_func": "relu",
                "use_se": False,
            }
        }
        for c_in, c_out in itertools.pairwise((24, 24, 32, 32, 48, 48, 96, 96, 136, 136, 192, 192))
    ],
}
RUN_CONFIG = {"image_size": 224, "dataset": "imagenet"}


@fuzz
@given(content=json_files([NET_CONFIG]))
def test_net_configs(folder, content):
    file = put(folder, "net.config", content)
    refused_or_read(lambda: read_configs([str(file)], MOBILE.space))


@fuzz
@given(content=json_files([RUN_CONFIG]))
def test_run_configs(folder, content):
    (folder / "beside").mkdir(exist_ok=True)
    unsized = {key: value for key, value in NET_CONFIG.items() if key != "image_size"}
    file = put(folder / "beside", "net.config", json.dumps(unsized).encode())
    put(folder / "beside", "run.config", content)
    refused_or_read(lambda: read_configs([str(file)], MOBILE.space))


# --- HAT, DyNAS-T -----------------------------------------------------------------------------------------------------

HAT_CONFIG = HAT.space.decode(HAT.space.smallest())[0]
HAT_YAML = {key: values[0] if len(values) == 1 else values for key, values in HAT_CONFIG.items()}
DYNAST = {
    key.replace("-subtransformer", "").replace("-all", "").replace("-", "_"): values
    for key, values in HAT_CONFIG.items()
    if key != "encoder-layer-num-subtransformer"
}
DYNAST_MOBILE = {"wid": None, **MOBILE.space.decode(MOBILE.space.smallest())[0], "r": [224]}


def as_yaml(document):
    """Write a document as HAT's files do, its lists in a line; half characters are written as they are in memory."""
    return yaml.safe_dump(document, default_flow_style=None, allow_unicode=True).encode("utf-8", "surrogatepass")


HAT_FILES = (
    as_yaml(HAT_YAML),
    b"\xef\xbb\xbf# 2 means the last three layers\r\n\r\n" + as_yaml(HAT_YAML).replace(b"\n", b"\r\n"),
    json.dumps(HAT_CONFIG).encode(),
)


@fuzz
@given(content=documents([HAT_YAML, HAT_CONFIG, [HAT_YAML]]).map(as_yaml) | contents(HAT_FILES))
@example(content=b"decoder-layer-num-subtransformer: .inf")
@example(content=b"decoder-layer-num-subtransformer: 2026-01-31\nencoder-embed-dim-subtransformer: !!binary AA==")
@example(content=b"decoder-layer-num-subtransformer: [[1]]")
@example(content=b"? [a, b]\n: 1")
@example(content=b"!!set {a, b}")
def test_hats_files(folder, content):
    file = put(folder, "HAT_titanxp@91.2ms.yml", content)
    refused_or_read(lambda: read_configs([str(file)], HAT.space))
    refused_or_read(lambda: read_configs([str(file)], NCF.space))


LITERALS = (DYNAST, DYNAST_MOBILE)
# What is a literal of Python, and no value of JSON.
ODD_LITERALS = ("{1, 2}", "(1,)", "b'x'", "1j", "...", "1e999", "-0", "0x10", "1_000", "{[]: 1}", "f'{1}'", "x()", "*a")


def as_literal(document):
    return repr(document).encode("utf-8", "surrogatepass")


@fuzz
@given(
    content=documents(LITERALS).map(as_literal) | contents([as_literal(one) for one in LITERALS]),
    odd=st.none() | st.sampled_from(ODD_LITERALS),
    which=st.integers(0, 40),
)
@example(content=b"{'d': [2], 'd': [3]}", odd=None, which=0)
@example(content=b"{**{'d': [2]}}", odd=None, which=0)
def test_dynasts_literals(folder, content, odd, which):
    if odd is not None:
        head, *rest = content.split(b"[")
        at = which % (len(rest) + 1)
        content = b"[".join([head, *rest[:at]]) + odd.encode() + b"".join(b"[" + one for one in rest[at:])
    file = put(folder, "net.txt", content)
    for net in (HAT, MOBILE):
        refused_or_read(lambda net=net: read_configs([str(file)], net.space))
        text = content.decode("utf-8", "surrogateescape")
        if text.lstrip("\ufeff").startswith("{"):  # else it is the name of a file
            refused_or_read(lambda net=net, text=text: read_configs([text], net.space))


HEADER = "Sub-network,Date,Model Parameters,Latency (ms),MACs,BLEU Score"
TRANSFORMERS = f'{HEADER}\n"{DYNAST}",2023-02-17 22:24:10.141441,0,184.5,39398784,26.04441005427746\n'
MOBILES = f'{HEADER.replace("BLEU Score", "Top-1 Acc (%)")}\n"{DYNAST_MOBILE}",2022-11-01 05:40,7,12.5,255502624,75.4\n'


@fuzz
@given(content=contents([TRANSFORMERS.encode(), MOBILES.encode(), TRANSFORMERS.replace("\n", "\r\n").encode()]))
@example(content=f'{HEADER}\n"{{1, 2}}",,,1,1,1\n'.encode())
def test_dynasts_results(folder, content):
    file = put(folder, "dynast.csv", content)
    for net in (HAT, MOBILE):
        refused_or_read(lambda net=net: MeasuredTable.read(file).vectors(net.space))
        refused_or_read(lambda net=net: quality.get(f"table:{file}", net).evaluate(net.space.smallest()))
        refused_or_read(lambda net=net: examples.measured_examples(net, [str(file)], "latency"))


# --- evaluations of studies -------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def studies(folder):
    """A store with a few studies, whose names are odd too; its file, and a key in it."""
    file = folder / "studies.db"
    with Store.open(str(file)) as store:
        for name in ("s", "a#1", "#", "\u00fc/..", "\U0001d518"):
            found = search(NCF, objectives=["macs"], algorithm="random", evals=3, store=store, study=name)
    return str(file), found.archive[0].key


EVALUATIONS = ("s#0", "s#2", "a#1#1", "##0", "s#KEY", "s#KE…Y", "s#K...", "\u00fc/..#0", "#", "s#", "s#-1", "nets#0")


@fuzz
@given(data=st.data())
def test_evaluations_of_studies(studies, data):
    file, key = studies
    text = data.draw(texts([one.replace("KEY", key).replace("K", key[:4]) for one in EVALUATIONS]))
    if text.strip() == "-" or Path(text.strip()[:20]).is_absolute():
        return
    refused_or_read(lambda: read_configs([text], NCF.space, supernet="ncf", store=file))


NONE = ("s#\u0663", "s#1_0", "s#\0", f"s#{'9' * 5000}", "\0#0", "\ud800#0", f"{'x' * 300}#1")


@pytest.mark.parametrize("text", NONE)
def test_an_evaluation_that_there_is_not(studies, text):
    assert refused_or_read(lambda: read_configs([text], NCF.space, supernet="ncf", store=studies[0])) is None
