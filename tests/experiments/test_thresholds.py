"""What an algorithm reached with some of its evaluations is a threshold, and how soon each got there is found."""

from __future__ import annotations

import pytest

from hwnas import experiments
from hwnas.experiments import output
from hwnas.experiments.experiment import parse
from hwnas.supernets.errors import UsageError

MINE = """
title = "Mine?"
kind = "compare"
evals = 40
seeds = 3
thresholds_by = ["random"]
thresholds_after = 12
draw = ["thresholds"]

[problems.mine]
supernet = "ofa-mbv3-w1.0"
objectives = ["macs", "params"]

[algorithms.random]
algorithm = "random"

[algorithms.nsga2]
algorithm = "nsga2"
settings = { population = 8 }
"""


def test_a_threshold_is_what_the_mean_reached_with_so_many_evaluations(tmp_path):
    finished = experiments.run(parse(MINE, "mine"), tmp_path, workers=1, environ={})
    problem = finished.result["data"]["problems"]["mine"]
    (threshold,) = problem["thresholds"]
    random = next(one for one in problem["algorithms"] if one["name"] == "random")
    # Rounded down, so that it was reached; the mean is shown with six digits.
    assert 0 <= random["mean"][11] - threshold["value"] <= 0.0010001
    assert threshold["value"] < random["mean"][-1] - 0.001
    assert threshold["by"] == ["random"]
    reached = {one["name"]: one for one in threshold["reached"]}
    assert reached["random"]["evaluations"] <= 12
    # Searches go on beyond it, so that a seed which was slower than the mean gets there too.
    assert len(random["mean"]) == 40

    page = output.page(finished)
    assert "reached with 12 evaluations" in page
    assert " s</td>" in page
    assert f"random {reached['random']['evaluations']} (" in finished.result["gist"]


@pytest.mark.parametrize("after", ["0", "41"])
def test_a_threshold_is_within_the_evaluations(after):
    with pytest.raises(UsageError, match=rf"thresholds_after: expected 1 to 40 \(evals\), got {after}"):
        parse(MINE.replace("thresholds_after = 12", f"thresholds_after = {after}"), "mine")
