"""Config strings: what tables print is read back, and what other tools write is read."""

from __future__ import annotations

import io
import json
import sys

import pytest

from hwnas import supernets
from hwnas.cli.configs import read_configs
from hwnas.harness import quality
from hwnas.harness.store import Store
from hwnas.supernets.errors import ConfigError, UnknownNameError

NCF = supernets.get("ncf")
W12 = supernets.get("ofa-mbv3-w1.2")
HAT = supernets.get("hat-transformer")


def same(space, X, Y):
    return space.keys(X) == space.keys(Y)


@pytest.mark.parametrize("net", [NCF, W12, HAT])
def test_a_key_is_read_back(net):
    X = net.space.sample(20, 0)
    assert same(net.space, read_configs(net.space.keys(X), net.space), X)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("000000009", r"digit 9: expected 0 to 7, got '9'"),
        ("0000000000", "a key has 9 digits, this 10"),
        ("0000…00", "cut in the middle; give it whole, as --json has it, or as STUDY#NUMBER"),
        ("00..000", "cut in the middle"),
        ("zzz", "expected min, max, random:SEED, a key"),
    ],
)
def test_what_is_no_key_is_refused(text, fault):
    with pytest.raises(ConfigError) as caught:
        read_configs([text], NCF.space)
    assert fault in str(caught.value)


@pytest.fixture
def store(tmp_path):
    """A store with a study of three evaluations."""
    location = str(tmp_path / "a.db")
    keys = NCF.space.keys(NCF.space.sample(3, 7))
    with Store.open(location) as kept:
        for name, net in (("one#two", NCF), ("other", W12)):
            study = kept.create_study(name, {"search": {"supernet": net.name}, "facts": {}})
            kept.add_evaluations(study, 0, [{"index": index, "key": key} for index, key in enumerate(keys)])
    return location, keys


def test_an_evaluation_of_a_study(store):
    location, keys = store
    texts = ["one#two#2", "one#two#0", f"one#two#{keys[1]}", f"one#two#{keys[1][:5]}…{keys[1][-3:]}"]
    X = read_configs(texts, NCF.space, supernet=NCF.name, store=location)
    assert NCF.space.keys(X) == [keys[2], keys[0], keys[1], keys[1]]


@pytest.mark.parametrize(
    ("text", "error", "fault"),
    [
        ("one#two#3", ConfigError, "there is none; expected STUDY#NUMBER with an evaluation of 0 to 2"),
        ("one#two#…", ConfigError, "3 evaluations fit"),
        ("one#two#-1", ConfigError, "there is none"),
        ("none#1", UnknownNameError, "unknown study 'none'"),
        ("other#1", ConfigError, "the study is of ofa-mbv3-w1.2, not of ncf"),
    ],
)
def test_what_is_no_evaluation_is_refused(store, text, error, fault):
    with pytest.raises(error) as caught:
        read_configs([text], NCF.space, supernet=NCF.name, store=store[0])
    assert fault in str(caught.value)


CONFIG = NCF.space.decode(NCF.space.sample(1, 3))[0]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", json.dumps(CONFIG)),
        ("bom.json", "\ufeff" + json.dumps([CONFIG])),
        ("python.json", repr(CONFIG)),
        ("python.txt", repr([CONFIG])),
        ("a.yml", "\n".join(f"{key}: {value}" for key, value in CONFIG.items())),
        ("a.yaml", "\ufeff" + json.dumps(CONFIG)),
        ("without ending", json.dumps(CONFIG)),
    ],
)
def test_files_of_configs(tmp_path, name, content):
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert same(NCF.space, read_configs([str(tmp_path / name)], NCF.space), NCF.space.encode(CONFIG))
    assert same(NCF.space, read_configs([str(CONFIG)], NCF.space), NCF.space.encode(CONFIG))


# --- other tools' layouts --------------------------------------------------------------------------------------------

LAYERS = {
    "encoder-ffn-embed-dim-all-subtransformer": [3072, 2048, 1024, 1024, 2048, 3072],
    "decoder-ffn-embed-dim-all-subtransformer": [2048, 3072],
    "encoder-self-attention-heads-all-subtransformer": [8, 4, 8, 4, 8, 4],
    "decoder-self-attention-heads-all-subtransformer": [8, 4],
    "decoder-ende-attention-heads-all-subtransformer": [4, 8],
    "decoder-arbitrary-ende-attn-all-subtransformer": [-1, 2],
}
NUMBERS = {
    "encoder-embed-dim-subtransformer": 640,
    "decoder-embed-dim-subtransformer": 512,
    "encoder-layer-num-subtransformer": 6,
    "decoder-layer-num-subtransformer": 2,
}
DYNAST = {
    "encoder_embed_dim": [640],
    "decoder_embed_dim": [512],
    "encoder_ffn_embed_dim": [3072, 2048, 1024, 1024, 2048, 3072],
    "decoder_ffn_embed_dim": [2048, 3072, 1024, 1024, 1024, 1024],
    "decoder_layer_num": [2],
    "encoder_self_attention_heads": [8, 4, 8, 4, 8, 4],
    "decoder_self_attention_heads": [8, 4, 4, 4, 4, 4],
    "decoder_ende_attention_heads": [4, 8, 8, 8, 8, 8],
    "decoder_arbitrary_ende_attn": [-1, 2, 1, 1, 1, 1],
}


def test_hat_and_dynast_name_the_same_transformer(tmp_path):
    lines = [f"{key}: {value}" for key, value in {**NUMBERS, **LAYERS}.items()]
    (tmp_path / "HAT_titanxp@91.2ms.yml").write_text("# 2 means the last three layers\n\n" + "\n\n".join(lines) + "\n")
    hat, dynast = read_configs([str(tmp_path / "HAT_titanxp@91.2ms.yml"), repr(DYNAST)], HAT.space)[:, None]
    assert same(HAT.space, hat, dynast)
    shape = HAT.architecture(HAT.space.decode(hat)[0])
    assert [(layer.embed, layer.ffn, layer.self_heads, layer.cross_heads, layer.reach) for layer in shape.decoder] == [
        (512, 2048, 8, 4, 1),
        (512, 3072, 4, 8, 3),
    ]
    assert [(layer.embed, layer.ffn, layer.heads) for layer in shape.encoder][:2] == [(640, 3072, 8), (640, 2048, 4)]


def test_dynasts_results_of_transformers(tmp_path):
    header = "Sub-network,Date,Model Parameters,Latency (ms),MACs,BLEU Score"
    row = f'"{DYNAST}",2023-02-17 22:24:10.141441,0,184.5,39398784,26.04441005427746'
    (tmp_path / "transformer.csv").write_text(f"{header}\n{row}\n")
    found = quality.get(f"table:{tmp_path}/transformer.csv", HAT)
    assert (found.metric, found.unit, found.maximise) == ("bleu", "", True)
    assert found.evaluate(read_configs([repr(DYNAST)], HAT.space)) == pytest.approx([26.0444], abs=1e-4)


def block(layer, block):
    """Write a block as once-for-all's files have it; in some the middle width is left out."""
    option = dict(block.options)
    c_in, c_out = block.input[-1], block.output[-1]
    convolution = {
        "name": "MBInvertedConvLayer",
        "in_channels": c_in,
        "out_channels": c_out,
        "kernel_size": option["kernel"],
        "stride": option["stride"],
        "expand_ratio": 1 if layer == 0 else round(option["mid"] / c_in),
        "mid_channels": None if layer == 0 else option["mid"],
        "act_func": "h_swish" if option["hs"] else "relu",
        "use_se": bool(option["se"]),
    }
    shortcut = {"name": "IdentityLayer", "in_channels": [c_in], "out_channels": [c_out]} if option["idskip"] else None
    return {"name": "MobileInvertedResidualBlock", "mobile_inverted_conv": convolution, "shortcut": shortcut}


def net_config(net, config):
    layers = [each for each in net.layers(config) if each.kind == "mbconv"]
    return {"name": "MobileNetV3", "bn": {"eps": 1e-5}, "blocks": [block(*pair) for pair in enumerate(layers)]}


@pytest.mark.parametrize("name", ["ofa-mbv3-w1.0", "ofa-mbv3-w1.2"])
def test_once_for_alls_net_config(tmp_path, name):
    net = supernets.get(name)
    X = net.space.sample(10, 1)
    for number, config in enumerate(net.space.decode(X)):
        (tmp_path / "net.config").write_text(json.dumps(net_config(net, config)))
        assert same(net.space, read_configs([str(tmp_path / "net.config")], net.space), X[number : number + 1])


def test_the_resolution_of_a_net_config_is_in_the_file_beside_it(tmp_path):
    elastic = supernets.get("ofa-mbv3-w1.2:r=224+236")
    file = tmp_path / "net.config"
    file.write_text(json.dumps(net_config(W12, W12.space.decode(W12.space.largest())[0])))
    with pytest.raises(ConfigError, match=r"expected image_size, here or in a run\.config beside it"):
        read_configs([str(file)], elastic.space)
    (tmp_path / "run.config").write_text('{"image_size": 236}')
    assert elastic.space.decode(read_configs([str(file)], elastic.space))[0]["r"] == [236]
    with pytest.raises(ConfigError, match=r"for images of 236 px, not one of ofa-mbv3-w1\.2; use ofa-mbv3-w1\.2:r=236"):
        read_configs([str(file)], W12.space)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda file: file.update(name="ProxylessNASNets"), "is a net.config of 'ProxylessNASNets'; expected one of"),
        (lambda file: file.update(blocks=3), "blocks: expected a list, got int"),
        (lambda file: file["blocks"].insert(2, 7), "blocks[2]: expected an object"),
        (lambda file: file["blocks"].pop(), "blocks: stage 5 has 1 layers; expected 2, 3 or 4"),
        (lambda file: file["blocks"].clear(), "stages of  channels"),
        (lambda file: conv(file, 3).update(mid_channels=100), "a middle width of 100 for"),
        (
            lambda file: conv(file, 3).update(use_se=False),
            "layer 3: se: expected True as in the super-network, got False",
        ),
        (lambda file: conv(file, 3).update(act_func="relu6"), "layer 3: act: expected 'relu'"),
        (lambda file: conv(file, 3).update(stride=1), "layer 3: stride: expected 2"),
        (
            lambda file: conv(file, 3).update(kernel_size=float("nan")),
            "blocks[3]: kernel_size: expected a whole number",
        ),
        (lambda file: conv(file, 3).update(kernel_size=9), "ks[4]: expected one of {3, 5, 7}, got 9"),
    ],
)
def test_a_net_config_of_another_network_is_refused(tmp_path, change, fault):
    file = net_config(W12, W12.space.decode(W12.space.smallest())[0])
    change(file)
    (tmp_path / "net.config").write_text(json.dumps(file))
    with pytest.raises(ConfigError) as caught:
        read_configs([str(tmp_path / "net.config")], W12.space)
    assert fault in str(caught.value)
    assert "net.config" in str(caught.value)


def test_another_width_is_named(tmp_path):
    w10 = supernets.get("ofa-mbv3-w1.0")
    (tmp_path / "net.config").write_text(json.dumps(net_config(w10, w10.space.decode(w10.space.smallest())[0])))
    with pytest.raises(ConfigError, match=r"stages of 24, 40, 80, 112, 160 channels; this super-network's have 32, 48"):
        read_configs([str(tmp_path / "net.config")], W12.space)


def conv(file, number):
    return file["blocks"][number]["mobile_inverted_conv"]


class Unreadable:
    """Standard input where it is a folder."""

    def read(self):
        raise IsADirectoryError(21, "Is a directory")


@pytest.mark.parametrize(
    ("stdin", "fault"),
    [
        (None, "is closed"),
        (Unreadable(), "Is a directory"),
        (io.TextIOWrapper(io.BytesIO(b"\xff\xfe{"), encoding="utf-8"), "can't decode"),
        (io.StringIO(""), "is not JSON"),
    ],
)
def test_standard_input_that_is_no_config(monkeypatch, stdin, fault):
    monkeypatch.setattr(sys, "stdin", stdin)
    with pytest.raises(ConfigError, match=f"standard input.* {fault}"):
        read_configs(["-"], NCF.space)
