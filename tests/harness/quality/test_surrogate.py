from __future__ import annotations

import csv
import json
import re

import numpy as np
import pytest

from hwnas import supernets
from hwnas.harness import quality
from hwnas.harness.quality import surrogate
from hwnas.harness.quality.pairwise import fit
from hwnas.latency_luts.lookup import Lookup
from hwnas.supernets.errors import QualityError

NET = supernets.get("ofa-mbv3-w1.0")


def test_the_card_says_how_good_it_is():
    card = surrogate.card("ofa-mbv3-w1.0")
    assert card["kendall_tau"] >= 0.94
    assert card["mape_percent"] <= 0.12
    assert (card["rows"], card["distinct"], card["folds"]) == (2373, 2162, 5)
    note = quality.get("surrogate", NET).note
    assert f"{card['kendall_tau']:.3f}" in note
    assert f"{card['mape_percent']:.3f}" in note


def test_every_shipped_one_has_a_card_and_fits_its_space():
    for name in surrogate.shipped():
        assert surrogate.card(name)["supernet"] == name
        assert len(surrogate.model(name).linear) == supernets.get(name).space.n_options.sum()


def test_golden_values():
    """Changed by scripts/fit_surrogate.py --write only."""
    extremes = np.vstack([NET.space.smallest(), NET.space.largest()])
    assert quality.get("surrogate", NET).evaluate(extremes) == pytest.approx([70.79, 77.481], abs=0.01)


def test_it_agrees_with_the_measured_rows(dynast_rows):
    from scipy.stats import kendalltau

    X = NET.space.encode([row["config"] for row in dynast_rows])
    measured = np.array([row["top1"] for row in dynast_rows])
    predicted = quality.get("surrogate", NET).evaluate(X)
    assert kendalltau(predicted, measured).statistic > 0.97
    assert np.abs(predicted / measured - 1).mean() < 6e-4


@pytest.mark.slow
@pytest.mark.usefixtures("assets")
def test_fitting_again_gives_what_is_shipped(load_script):
    X, y = load_script("fit_surrogate").measured_rows()
    lookup = Lookup.averaged(NET.space, X, y)
    assert len(lookup.values) == 2162
    again = fit(NET.space.one_hot(lookup.vectors), surrogate.groups(NET.space), lookup.values)
    everywhere = NET.space.one_hot(NET.space.sample(2000, 0))
    shipped = surrogate.model("ofa-mbv3-w1.0")
    assert again.predict(everywhere) == pytest.approx(shipped.predict(everywhere), abs=1e-3)


@pytest.mark.slow
def test_the_figures_of_the_card_come_again(dynast_rows):
    from hwnas.harness.quality.pairwise import cross_validate

    X = NET.space.encode([row["config"] for row in dynast_rows])
    lookup = Lookup.averaged(NET.space, X, np.array([row["top1"] for row in dynast_rows]))
    found = cross_validate(NET.space.one_hot(lookup.vectors), surrogate.groups(NET.space), lookup.values)
    card = surrogate.card("ofa-mbv3-w1.0")
    assert found.tau == pytest.approx(card["kendall_tau"], abs=1e-3)
    assert found.mape == pytest.approx(card["mape_percent"], abs=1e-3)


# --- what its rows do not have ---------------------------------------------------------------------------------------


def rows_without(path, column, index, n=120):
    """A CSV of random sub-networks, none with an option, and of a quality that adds up over the choices."""
    X = NET.space.sample(4 * n, 3)
    X = NET.space.canonical(X[X[:, column] != index])[:n]
    quality_of = 70 + NET.space.one_hot(X) @ np.random.default_rng(0).normal(size=int(NET.space.n_options.sum()))
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["config", "top1"])
        writer.writerows([json.dumps(one), value] for one, value in zip(NET.space.decode(X), quality_of, strict=True))
    return str(path)


def test_a_depth_that_no_row_has_is_refused(tmp_path):
    depth = next(column for column, choice in enumerate(NET.space.choices) if choice.key == "d")
    file = rows_without(tmp_path / "t.csv", depth, 2)
    with pytest.raises(QualityError, match=r"none of its sub-networks has d\[0\]=4, and a regression says nothing"):
        quality.get(f"surrogate:{file}", NET)


def test_an_option_that_no_row_has_widens_the_stated_error(tmp_path):
    note = quality.get(f"surrogate:{rows_without(tmp_path / 't.csv', 0, 1)}", NET).note
    stated = float(re.search(r"mean absolute error ([\d.]+) %\)", note)[1])
    said = re.search(r"none of its sub-networks has ks\[0\]=5: .* with a mean absolute error of ([\d.]+) %", note)
    beyond = float(said[1])
    assert beyond > stated


def test_a_fit_that_has_seen_everything_says_nothing_of_it(tmp_path):
    assert "none of" not in quality.get(f"surrogate:{rows_without(tmp_path / 't.csv', 0, -1)}", NET).note
