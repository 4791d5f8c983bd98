"""The script that says how much of a quality single choices and pairs explain."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def script(load_script):
    return load_script("interactions")


@pytest.fixture
def levels():
    return np.random.default_rng(0).integers(0, 3, (4000, 20))


@pytest.mark.parametrize(
    ("of", "shares"),
    [
        (lambda x: x[:, 0] ** 2 + 3.0 * (x[:, 19] == 1), (1.0, 1.0, 1.0)),
        (lambda x: (x[:, 0] == x[:, 3]).astype(float), (0.0, 1.0, 1.0)),  # both in the first stage
        (lambda x: (x[:, 0] == x[:, 4]).astype(float), (0.0, 0.0, 1.0)),  # in two stages
        (lambda x: (x[:, 0] - 1.0) * (x[:, 4] - 1.0) * (x[:, 9] - 1.0), (0.0, 0.0, 0.0)),  # takes three choices
    ],
)
def test_each_kind_of_effects_explains_what_it_can(script, levels, of, shares):
    found = [script.explained(levels, of(levels), effects) for effects in script.nested()]
    # What is fitted to chance alone explains less than nothing: 801 unknowns on 2,000 draws, some 0.7 of the variance.
    assert np.maximum(found, 0.0) == pytest.approx(shares, abs=0.05)
