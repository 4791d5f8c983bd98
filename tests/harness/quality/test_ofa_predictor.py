from __future__ import annotations

import json

import numpy as np
import pytest

from hwnas import supernets
from hwnas.harness import quality
from hwnas.harness.quality.mlp import Mlp
from hwnas.harness.quality.ofa_predictor import _PUBLISHED
from hwnas.supernets.errors import QualityError, WorkError

NET = supernets.get("ofa-mbv3-w1.2")
RESNET = supernets.get("ofa-resnet50")


def by_hand(config, resolution: int) -> np.ndarray:
    """The second way: the published features of one config, spelled out."""
    features = np.zeros(128)
    for stage in range(5):
        for layer in range(config["d"][stage]):
            position = 4 * stage + layer
            features[3 * position + (3, 5, 7).index(config["ks"][position])] = 1
            features[60 + 3 * position + (3, 4, 6).index(config["e"][position])] = 1
    features[120 + (resolution - 112) // 16] = 1
    return features


@pytest.mark.parametrize("name", ["ofa-mbv3-w1.2", "ofa-mbv3-w1.2:r=160", "ofa-mbv3-w1.2:r=160+192+224"])
def test_features(name, rng):
    net = supernets.get(name)
    X = net.space.sample(30, rng)
    features = _PUBLISHED[0].features(net.space, X)
    for row, config in zip(features, net.space.decode(X), strict=True):
        assert np.array_equal(row, by_hand(config, config["r"][0]))


def test_the_span_at_224(assets):
    extremes = np.vstack([NET.space.smallest(), NET.space.largest()])
    assert quality.get("ofa-predictor", NET).evaluate(extremes) == pytest.approx([77.739, 83.593], abs=1e-3)


def test_the_forward_pass_is_torchs(assets, rng):
    import torch

    state = torch.load(assets / "ofa/acc_predictor.pth", weights_only=True, map_location="cpu")
    layers = [torch.nn.Linear(*sizes) for sizes in ((128, 400), (400, 400), (400, 400), (400, 1))]
    relu = torch.nn.ReLU()
    module = torch.nn.Sequential(layers[0], relu, layers[1], relu, layers[2], relu, layers[3])
    module.load_state_dict(state)
    X = NET.space.sample(700, rng)
    with torch.no_grad():
        expected = module.double()(torch.from_numpy(_PUBLISHED[0].features(NET.space, X)))[:, 0].numpy()
    assert quality.get("ofa-predictor", NET).evaluate(X) == pytest.approx(100 * expected, abs=1e-3)


def test_the_reference_front_begins_at_the_smallest(assets):
    front = json.loads((assets / "reference/front_note10.json").read_text())
    latency_ms, negative_top1 = min(front)
    assert latency_ms == pytest.approx(17.769, abs=5e-4)
    assert quality.get("ofa-predictor", NET).evaluate(NET.space.smallest()) == pytest.approx([-negative_top1], abs=1e-4)


def test_layers_without_bias_and_a_base(tmp_path):
    import torch

    file = tmp_path / "p.pth"
    weight = torch.tensor([[1.0, -2.0]])
    torch.save(
        {"a.weight": torch.eye(2), "a.bias": torch.tensor([0.5, 0.0]), "b.weight": weight, "base": torch.tensor([0.8])},
        file,
    )
    mlp = Mlp.load(file, ("a", "b"), "base")
    # relu(1.5) - 2 relu(3) and relu(-0.5) - 2 relu(-1)
    assert mlp(np.array([[1.0, 3.0], [-1.0, -1.0]])) == pytest.approx([0.8 - 4.5, 0.8])


def test_another_checkpoint_is_refused(tmp_path):
    import torch

    file = tmp_path / "p.pth"
    torch.save({"x": torch.zeros(1)}, file)
    with pytest.raises(WorkError, match="is not the published predictor"):
        Mlp.load(file, ("a",))


def by_hand_resnet(config, resolution: int) -> np.ndarray:
    """The second way: the published features of one config of ResNet50, spelled out."""
    features = np.zeros(82)
    features[(128, 144, 160, 176, 192, 224, 240, 256).index(resolution)] = 1
    features[8 + (config["d"][0] > 0)] = 1
    for place, width in enumerate(config["w"]):
        features[10 + 3 * place + width] = 1
    start = 0
    for base, more in zip((2, 2, 4, 2), config["d"][1:], strict=True):
        for position in range(start, start + base + more):
            features[28 + 3 * position + (0.2, 0.25, 0.35).index(config["e"][position])] = 1
        start += base + 2
    return features


@pytest.mark.parametrize("name", ["ofa-resnet50", "ofa-resnet50:r=192", "ofa-resnet50:r=elastic"])
def test_features_of_resnet50(name, rng):
    net = supernets.get(name)
    X = net.space.canonical(net.space.sample(30, rng))
    features = _PUBLISHED[1].features(net.space, X)
    for row, config in zip(features, net.space.decode(X), strict=True):
        assert np.array_equal(row, by_hand_resnet(config, config["r"][0]))


def test_networks_that_are_the_same_are_predicted_the_same(assets, rng):
    X = RESNET.space.sample(50, rng)
    predictor = quality.get("ofa-predictor", RESNET)
    assert np.array_equal(predictor.evaluate(X), predictor.evaluate(RESNET.space.canonical(X)))


def test_the_forward_pass_of_resnet50s_is_torchs(assets, rng):
    import torch

    state = torch.load(assets / "ofa/ofa_resnet50_acc_predictor.pth", weights_only=True, map_location="cpu")
    hidden = [torch.nn.Sequential(torch.nn.Linear(n, 400), torch.nn.ReLU()) for n in (82, 400, 400)]
    module = torch.nn.Sequential(*hidden, torch.nn.Linear(400, 1, bias=False))
    module.load_state_dict({key.removeprefix("layers."): t for key, t in state.items() if key != "base_acc"})
    net = supernets.get("ofa-resnet50:r=elastic")
    X = net.space.sample(300, rng)
    with torch.no_grad():
        features = torch.from_numpy(_PUBLISHED[1].features(net.space, X))
        expected = module.double()(features)[:, 0].numpy() + float(state["base_acc"])
    assert quality.get("ofa-predictor", net).evaluate(X) == pytest.approx(100 * expected, abs=1e-6)


def test_resnet50_is_better_where_it_is_larger(assets):
    net = supernets.get("ofa-resnet50:r=elastic")
    X = np.repeat(net.space.smallest(), 8, axis=0)
    X[:, -1] = range(8)
    # Up to 240 px; at 256 px it predicts a little less for the smallest.
    predicted = quality.get("ofa-predictor", net).evaluate(X)
    assert (np.diff(predicted[:7]) > 0).all()
    extremes = np.vstack([RESNET.space.smallest(), RESNET.space.largest()])
    assert quality.get("ofa-predictor", RESNET).evaluate(extremes) == pytest.approx([78.777, 82.987], abs=1e-3)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ofa-resnet50:r=208", "knows the resolutions 128, 144, 160, 176, 192, 224, 240, 256, not 208"),
        ("ofa-mbv3-w1.2:classes=10", "as it was published, not with classes of its own; for .* use images:PATH"),
        ("ofa-resnet50:r=28,scale=0.5", "as it was published, not with scale of its own"),
        ("bootstrapnas-resnet50", "was trained for ofa-mbv3-w1.2, ofa-resnet50, not for bootstrapnas-resnet50"),
    ],
)
def test_what_it_was_not_trained_for_is_refused(name, message):
    with pytest.raises(QualityError, match=message):
        quality.get("ofa-predictor", supernets.get(name))
