"""What a user writes on a command line, in a name or behind a colon is understood, or refused by one of our errors."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from fuzzing import fuzz, refused_or_read
from hypothesis import example, given
from hypothesis import strategies as st
from mutations import texts

from hwnas import supernets
from hwnas.cli import measurements, output, predictors, train
from hwnas.cli.configs import read_configs
from hwnas.cli.options import farm_options, reference_point
from hwnas.harness import data, platform, quality
from hwnas.harness.data import _interaction_files, argument, image_set
from hwnas.harness.data._subwords import Subwords
from hwnas.harness.farm import offer, platforms, security
from hwnas.harness.farm.messages import PlatformRead, SettingsRead
from hwnas.harness.measurement.protocol import profile
from hwnas.harness.platform import swept
from hwnas.harness.quality import QualityOptions
from hwnas.harness.store.kinds import kind_of
from hwnas.search import objectives
from hwnas.search.comparison import run as compare
from hwnas.search.objectives import Directions, Sources
from hwnas.search.study import constraints, stopping
from hwnas.supernets import assets, checkpoints

NCF = supernets.get("ncf")
MOBILE = supernets.get("ofa-mbv3-w1.2")
HAT = supernets.get("hat-transformer:layers=1,embed=64,ffn=64,heads=4,qkv=64,vocab=100")
CONFIG = json.dumps(NCF.space.decode(NCF.space.sample(1, seed=0))[0])


# --- names with options -----------------------------------------------------------------------------------------------


@fuzz
@given(text=texts(["min", "max", "random:1", CONFIG, "nets.json", f"[{CONFIG}, {CONFIG}]"]))
def test_config_strings(text):
    if text.strip() != "-":
        refused_or_read(lambda: read_configs([text], NCF.space))


SUPERNETS = (
    "ofa-mbv3-w1.2",
    "ofa-mbv3-w1.0:resolution=elastic",
    "ofa-resnet50:r=160+192,classes=10",
    "ncf:users=100,items=200",
    "bootstrapnas-resnet50:r=32,classes=10,channels=1,scale=0.5,stem_stride=1",
    "hat-transformer:layers=3,embed=96+128,ffn=256+512,vocab=4000,dropout=10",
)


@fuzz
@given(text=texts(SUPERNETS))
def test_super_networks_options(text):
    refused_or_read(lambda: supernets.get(text))


PLATFORMS = (
    "onnxruntime:threads=1,batch=8",
    "torch:threads=1",
    "openvino:precision=int8",
    "torch:precision=int8,calibration=images",
    "lut:table=note10",
    "lut:file=table.yaml",
    "table:file=a.csv,column=x_ms",
)


@fuzz
@given(text=texts(PLATFORMS))
@example(text="table:file=\0")
@example(text="lut:file=\0")
@example(text="lut:file=~nobody/x")
@example(text=f"torch:precision=int8,calibration={'x' * 300}")
def test_platform_strings(text):
    def read():
        found = platform.parse(text)
        assert platform.parse(str(found)) == found
        if not found.runs:
            platform.backends.get(found.backend).latency(NCF, NCF.space.smallest(), found.settings)

    refused_or_read(read)


@fuzz
@given(text=texts(["onnxruntime:threads=1+2,batch=1+8", "torch:precision=fp32+bf16", "lut:file=a+b.yaml"]))
def test_sweeps_of_platforms(text):
    refused_or_read(lambda: swept([text]))


@fuzz
@given(text=texts(["quiet", "noisy"]))
def test_profiles(text):
    refused_or_read(lambda: profile(text))


# --- what a search is asked for ---------------------------------------------------------------------------------------


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
@given(wanted=st.lists(texts(["latency", "quality", "macs", "params", "hr10"]), max_size=3))
def test_objectives(wanted):
    with Sources(NCF, "lut:table=note10", "table:measured.csv") as sources:
        refused_or_read(lambda: objectives.make(wanted, sources))


@fuzz
@given(text=texts(["latency=92.4", "top1=70"]), other=texts(["top1=70", "latency=1"]))
def test_reference_points(text, other):
    wanted, ways = OBJECTIVES[:2], Directions([one.maximise for one in OBJECTIVES[:2]])
    refused_or_read(lambda: stopping.reference_given(reference_point([text, other]), wanted, ways))


@fuzz
@given(names=st.lists(texts(["linas", "linas:paper", "nsga2", "random"]), max_size=3))
def test_algorithms_to_compare(names):
    refused_or_read(lambda: compare._contestants(names))


@fuzz
@given(text=texts(["100,200,400", " 2 , 3", "16"]), kinds=st.lists(texts(["ridge", "stacked", "svr-rbf"]), max_size=3))
def test_what_predictors_are_compared_by(text, kinds):
    refused_or_read(lambda: predictors._numbers(text))
    refused_or_read(lambda: predictors._check_kinds(kinds))


@fuzz
@given(text=texts(["2026-01-31", "20260131", "2026-W05-6"]))
def test_days(text):
    refused_or_read(lambda: measurements._day(text))


# --- data and quality sources -----------------------------------------------------------------------------------------


@fuzz
@given(text=texts(["a/b,limit=5", "a,b,size=3,share=0.5", "x"]))
def test_arguments_of_data(text):
    def read():
        _, options = argument.parse_argument("images", text, ("limit", "size", "share"))
        argument.whole_number("images", "limit", options.get("limit", "1"), 1)
        argument.fraction("images", "share", options.get("share", "0.5"))

    refused_or_read(read)


DATA = (
    "images:photos,batch=16,smoothing=0.1,augment=crop+flip,workers=2",
    "interactions:ml-100k,batch=256,negatives=4",
    "translation:a.de,a.en,batch=100,longest=20,smoothing=0.1",
    "~/photos",
)


@fuzz
@given(text=texts(DATA), net=st.sampled_from([NCF, MOBILE, HAT]))
@example(text="x" * 300, net=NCF)
@example(text="images:~nobody/x", net=MOBILE)
@example(text="translation:\0,b", net=HAT)
def test_data_to_train_on(text, net):
    refused_or_read(lambda: data.get(text, net))


QUALITIES = (
    "table:measured.csv",
    "table:measured.csv,column=top1",
    "surrogate",
    "surrogate:measured.csv,column=top1",
    "images:photos,backend=openvino,precision=int8,threads=1",
    "imagenet:photos,backend=onnxruntime",
    "hit-rate:a",
    "bleu:a,b",
    "ofa-predictor",
)
RESNET_SMALL = supernets.get("ofa-resnet50:r=32,classes=10")


@fuzz
@given(text=texts(QUALITIES), net=st.sampled_from([NCF, RESNET_SMALL, HAT]), weights=st.none() | texts(["w.pt"]))
@example(text="hit-rate:a", net=NCF, weights="x" * 300)
def test_quality_sources(text, net, weights):
    refused_or_read(lambda: quality.get(text, net, QualityOptions(weights)))


# --- files that are named ---------------------------------------------------------------------------------------------


@fuzz
@given(name=texts(["hwnas.db", "folder/weights.pt", "~/photos", "sqlite:///my.db", "postgresql://u:p@host:5432/db"]))
@example(name="x" * 300)
@example(name="\0")
@example(name="~nobody/x")
def test_names_of_files(folder, name):
    name = name.replace("../", "")
    space, where = NCF.space, str(folder / "x")[:-1] + name if not name.startswith("~") else name

    def store():
        url, kind = kind_of(where)  # an argument of a program has none
        kind.check(url, kind.name(url), create=False)

    for read in (
        store,
        lambda: read_configs([f"{where}.json"], space),
        lambda: output.check_writable(where),
        lambda: checkpoints.read_state_dict(where),
        lambda: checkpoints.read_document(where),
        lambda: train._begun(where, "ncf"),
        lambda: Subwords.beside(where, 100),
        lambda: image_set.open_images(where, "train", 3),
        lambda: image_set.has_training_images(where),
        lambda: _interaction_files.read(where),
        lambda: platform.named_platforms(platform.Path(where)),
        lambda: security.Tls(where, where, where),
    ):
        refused_or_read(read)


@fuzz
@given(name=texts(["/srv/assets", "~/assets", "assets"]))
@example(name="x" * 300)
@example(name="~nobody/x")
@example(name="~\0")
def test_the_folder_of_assets(name):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assets.os, "environ", {**assets.os.environ, assets.VARIABLE: name})
        refused_or_read(assets.asset_folders)


# --- the farm ---------------------------------------------------------------------------------------------------------


@fuzz
@given(
    address=texts(["tcp://127.0.0.1:8786", "tls://farm.example:8786", "[::1]:8786", "localhost:1"]), tls=st.booleans()
)
@example(address="tcp://[::1:8786", tls=False)
def test_addresses_of_schedulers(address, tls):
    refused_or_read(lambda: security.checked(address, SimpleNamespace(on=tls)))


@fuzz
@given(files=st.lists(st.none() | texts(["ca.pem", "/"]), min_size=3, max_size=3), workers=st.none() | st.just(2))
def test_farms_options(files, workers):
    refused_or_read(lambda: farm_options("127.0.0.1:8786", workers, *files))


@fuzz
@given(names=st.lists(texts(["laptop=torch:threads=1", "torch", "gpu=torch:batch=2", "lut:table=note10"]), max_size=3))
def test_platforms_that_a_worker_is_told_to_offer(names):
    refused_or_read(lambda: offer._named(names))


HERE = offer.Offer(
    "alpha-0",
    "host",
    0,
    ("cpu",),
    {"torch": offer.OfferedBackend("f", {}, ("cpu",))},
    {"phone": "torch:threads=1"},
    1,
    {},
)


@fuzz
@given(text=texts(["torch:threads=1", "phone", "phone@alpha", "torch:batch=2@alpha-0", "lut:table=note10"]))
def test_platforms_of_a_farm(text):
    facts = PlatformRead("torch", SettingsRead("cpu", 1, 1, "fp32", {}), "f", {})
    cluster = SimpleNamespace(offers=lambda: [HERE], parsed=lambda _text, _resources: facts)
    refused_or_read(lambda: platforms.find(text, cluster))
