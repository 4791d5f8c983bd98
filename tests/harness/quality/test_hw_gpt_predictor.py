from __future__ import annotations

import numpy as np
import pytest
import torch

from hwnas import supernets
from hwnas.harness import quality
from hwnas.harness.quality.hw_gpt_predictor import features
from hwnas.supernets.errors import QualityError

# Of the smallest network and of the largest, computed with HW-GPT-Bench's own module.
CHECKED = {"s": (43.018, 21.299), "m": (36.222, 20.688), "l": (30.339, 18.021)}


def by_hand(config, space) -> np.ndarray:
    """The second way: the published features of one config, spelled out."""
    layers = sum(choice.key == "sample_mlp_ratio" for choice in space.choices)
    embed, depth = (space.choices[column].values for column in (0, 1))
    heads = space.choices[-2].values
    found = np.zeros(6 + 6 * layers + 2)
    found[embed.index(config["sample_embed_dim"][0])] = 1
    found[3 + depth.index(config["sample_n_layer"][0])] = 1
    for layer in range(config["sample_n_layer"][0]):
        found[6 + 3 * layer + (2, 3, 4).index(config["sample_mlp_ratio"][layer])] = 1
        found[6 + 3 * layers + 3 * layer + heads.index(config["sample_n_head"][layer])] = 1
    found[-2 if config["sample_bias"][0] else -1] = 1
    return found


@pytest.mark.parametrize("letter", CHECKED)
def test_features(letter, rng):
    space = supernets.get(f"hw-gpt-{letter}").space
    X = space.sample(30, rng)
    for row, config in zip(features(space, X), space.decode(X), strict=True):
        assert np.array_equal(row, by_hand(config, space))


@pytest.mark.parametrize("letter", CHECKED)
def test_the_smallest_and_the_largest(letter, assets):
    net = supernets.get(f"hw-gpt-{letter}")
    extremes = np.vstack([net.space.smallest(), net.space.largest()])
    assert quality.get(None, net).evaluate(extremes) == pytest.approx(CHECKED[letter], abs=1e-3)


def test_the_forward_pass_is_torchs(assets, rng):
    net = supernets.get("hw-gpt-s:prompt=16")
    state = torch.load(assets / "hwgpt/perplexity_s.pt", weights_only=True, map_location="cpu")
    X = net.space.sample(50, rng)
    x = torch.from_numpy(features(net.space, X))
    for layer in range(1, 6):
        x = x @ state[f"fc{layer}.weight"].double().T + state[f"fc{layer}.bias"].double()
        x = torch.relu(x) if layer < 5 else x
    assert quality.get("hw-gpt-predictor", net).evaluate(X) == pytest.approx(x[:, 0].numpy(), abs=1e-3)


def test_less_is_better(assets):
    found = quality.get("hw-gpt-predictor", supernets.get("hw-gpt-s"))
    assert (found.metric, found.maximise, found.predicted) == ("perplexity", False, True)


@pytest.mark.parametrize(
    ("spec", "net", "named"),
    [
        ("hw-gpt-predictor", "hw-gpt-s:scale=0.5", "as it was published, not with scale"),
        ("hw-gpt-predictor", "hw-gpt-m:vocabulary=bytes,new=3", "as it was published, not with vocabulary"),
        ("hw-gpt-predictor", "ncf", "was trained for hw-gpt-s, hw-gpt-m, hw-gpt-l, not for ncf"),
        ("hw-gpt-predictor:x", "hw-gpt-s", "has no argument"),
    ],
)
def test_what_it_was_not_trained_for_is_refused(spec, net, named):
    with pytest.raises(QualityError, match=named):
        quality.get(spec, supernets.get(net))
