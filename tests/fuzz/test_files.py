"""Text files from outside are read, or refused by one of our errors."""

from __future__ import annotations

import json
import tomllib
from importlib import resources

import numpy as np
import pytest
import yaml
from fuzzing import fuzz, put, refused_or_read
from hypothesis import example, given
from hypothesis import strategies as st
from mutations import contents, documents, json_files, toml

from hwnas import experiments, supernets
from hwnas.experiments.experiment import SCALES, parse
from hwnas.experiments.parts import Parts
from hwnas.experiments.summary import summary
from hwnas.harness import platform, quality
from hwnas.harness.data import interactions
from hwnas.harness.data._parallel_text import ParallelText
from hwnas.harness.data._subwords import Subwords
from hwnas.latency_luts import formats
from hwnas.latency_luts.measured import MeasuredTable
from hwnas.search.predictors import examples

NCF = supernets.get("ncf")
MOBILE = supernets.get("ofa-mbv3-w1.2")
SMALLEST = MOBILE.space.smallest()


# --- tables -----------------------------------------------------------------------------------------------------------

KEYS = NCF.space.decode(NCF.space.sample(2, seed=1))
CELL = json.dumps(KEYS[0]).replace('"', '""')
SPREAD = ",".join(KEYS[0]) + ",t_ms\n" + ",".join(" ".join(map(str, np.ravel(v))) for v in KEYS[0].values()) + ",1.5\n"
TABLES = (
    f'config,latency_ms,top1\n"{CELL}",12.5,75\n',
    SPREAD,
    f'Sub-network,Latency (ms),Top-1 Acc (%)\n"{KEYS[0]}",3,4\n',
    f'\ufeffsep=;\r\nconfig;t (µs);top1\r\n"{CELL}";12,5;75\r\n',
    SPREAD.replace(",", "\t"),
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
    refused_or_read(lambda: examples.measured_examples(NCF, [str(file)], "top1"))


ROWS = [
    f"{json.dumps(json.dumps(config))},{70 + row / 7}".replace('\\"', '""')
    for row, config in enumerate(NCF.space.decode(NCF.space.sample(60, seed=2)))
]


@fuzz
@given(content=contents([("config,top1\n" + "\n".join(ROWS) + "\n").encode()]), X=st.just(NCF.space.sample(3, seed=3)))
def test_tables_that_a_surrogate_is_fitted_to(folder, content, X):
    file = put(folder, "sixty.csv", content)
    refused_or_read(lambda: quality.get(f"surrogate:{file}", NCF).evaluate(X))


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
@example(content=b"null: {mean: 1}")
def test_lookup_tables_of_every_layout(folder, content):
    file = put(folder, "table.yaml", content)
    refused_or_read(lambda: formats.read(file).bind(MOBILE).latency(SMALLEST))


@fuzz
@given(document=documents(LUTS))
@example(document={**LUTS[1], "schema": None})
@example(document={CONV: {"mean": 1.0, "std": 1e308}})
def test_well_formed_lookup_tables(folder, document):
    file = put(folder, "formed.yaml", json.dumps(document).encode())  # JSON is YAML
    refused_or_read(lambda: formats.read(file).bind(MOBILE).latency(SMALLEST))


@fuzz
@example(content=b"a = " + b"[" * 5000)
@given(
    content=contents(
        [b'[platforms]\nlaptop = "torch:threads=1"\nphone = "lut:table=note10"\n', b"[platforms.a]\nb = 1\n"]
    )
)
def test_files_of_platforms(folder, content):
    file = put(folder, "hwnas.toml", content)
    refused_or_read(lambda: platform.named_platforms(file))
    refused_or_read(lambda: platform.parse("laptop", file))


# --- experiments ------------------------------------------------------------------------------------------------------


SHIPPED = [resources.files("hwnas.experiments").joinpath(f"shipped/{name}.toml") for name in experiments.names()]
EXPERIMENTS = [file.read_bytes() for file in SHIPPED]
ENVIRONMENT = dict.fromkeys(("HWNAS_MBV3_TOP1", "HWNAS_MBV3_LATENCY", "HWNAS_IMAGENET", "HWNAS_OFA_MBV3_W10"), "/a")


def read_experiment(text, scale):
    """Read it as far as can be said before anything is run."""
    found = parse(text, "mine", scale)
    list(found.kind.stand_ins(found.settings, ENVIRONMENT))


@fuzz
@given(content=contents(EXPERIMENTS), scale=st.sampled_from(SCALES))
@example(content=b"seeds = " + b"9" * 5000, scale="full")
@example(content=b"seeds = " + b"[" * 5000, scale="full")
def test_files_of_experiments(folder, content, scale):
    file = put(folder, "mine.toml", content)
    refused_or_read(lambda: experiments.read_file(file, scale))


PREDICTORS = tomllib.loads(SHIPPED[experiments.names().index("fig3")].read_text())
ORIGINAL = {"supernet": "ofa-mbv3-w1.0", "quality": "surrogate", "original": {"data": ["$5"]}}


@fuzz
@given(document=documents([tomllib.loads(content.decode()) for content in EXPERIMENTS]), scale=st.sampled_from(SCALES))
@example(document={**PREDICTORS, "targets": {"a": ORIGINAL}}, scale="full")
@example(document={**PREDICTORS, "claims": [{**PREDICTORS["claims"][0], "most": 10**400}]}, scale="full")
def test_well_formed_experiments(document, scale):
    refused_or_read(
        lambda: read_experiment(toml(document if isinstance(document, dict) else {"title": document}), scale)
    )


RESULT = {
    "experiment": "fig3",
    "scale": "smoke",
    "title": "t",
    "paper": "Figure 3",
    "gist": "g",
    "stands_in": ["x."],
    "claims": [{"claim": "c", "where": "w", "verdict": "held", "statistic": "s", "value": 1.5, "low": None, "high": 2}],
    "seconds": 3.0,
    "processor_s": 4.0,
    "environment": {"cpu": "x", "allowed_cpus": 2},
}


@fuzz
@given(
    content=documents([RESULT]).map(lambda result: json.dumps(result).encode())
    | contents([json.dumps(RESULT).encode()])
)
@example(content=b"{}")
@example(content=b"[" * 100_000)
@example(content=json.dumps(RESULT).replace('"held"', '["held"]').encode())
def test_results_of_experiments(folder, content):
    (folder / "results").mkdir(exist_ok=True)
    put(folder / "results", "fig3-smoke.json", content)
    refused_or_read(lambda: summary(folder / "results", "smoke"))


SPENT = {"seconds": 3.0, "processor_s": 4.0}


@fuzz
@given(content=json_files([SPENT]))
@example(content=b'{"x": 1}')
@example(content=b"[" * 100_000)
@example(content=b"SQLite format 3\0")
def test_finished_parts_of_experiments(folder, content):
    (folder / "parts").mkdir(exist_ok=True)
    put(folder / "parts", "spent.json", content)
    parts = Parts(folder / "parts")
    parts.put("a", {}, 1)
    parts.file("a", {}).write_bytes(content)
    parts.find("a", {})
    parts.put("a", {}, 2)


# --- data -------------------------------------------------------------------------------------------------------------

INTER = b"user_id:token\titem_id:token\trating:float\ttimestamp:float\n1\t10\t5\t100\n2\t11\t3\t200\na\tb\t1\t3e2\n"
DAT = b"1::1193::5::978300760\n1::661::3::978302109\n"
CSV = b"userId,movieId,rating,timestamp\r\n1,296,5.0,1147880044\r\n1,306,3.5,1147868817\r\n"


@fuzz
@given(content=contents([INTER, b"1\t10\t5\t100\n2\t11\t3\t200\n", DAT, CSV]))
def test_interactions(folder, content):
    put(folder, "log.inter", content)
    refused_or_read(lambda: interactions.load(str(folder / "log"), NCF))


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
    refused_or_read(lambda: interactions.load(str(folder / "split"), NCF))


@fuzz
@given(content=contents([b"a b c\nd e\n", "ein Satz\nß\r\n".encode()]))
def test_parallel_text(folder, content):
    left, right = put(folder, "a.en", content), put(folder, "a.de", b"one\ntwo\n")
    refused_or_read(lambda: ParallelText.read(f"{left},{right}", "text"))


@pytest.fixture(scope="session")
def subwords():
    """A model of subwords, small."""
    return Subwords.learned(["a small house", "the other house", "a mall"], 30).content


@fuzz
@given(data=st.data())
def test_models_of_subwords(folder, subwords, data):
    put(folder, "weights.spm", data.draw(contents([subwords])))

    def read():
        model = Subwords.beside(folder / "weights.pt", 30)
        model.decode(model.encode(["a house", "x\u2581"]))

    refused_or_read(read)
