"""What a transfer result is said to say."""

import pytest

from hwnas.search.transfer.grouping import groups
from hwnas.search.transfer.verdict import words


def result(tau, ratio=None, regret=(), n_shared=80, **more):
    import numpy as np

    n = len(tau)
    return {
        "platforms": [f"device:{'xyzuvwt'[index]}" for index in range(n)],
        "n_shared": n_shared,
        "kendall_tau": tau,
        "hypervolume_ratio": ratio or [[1.0 if i == j else 0.9 + 0.01 * i for j in range(n)] for i in range(n)],
        "groups": groups(np.array([[np.nan if v is None else v for v in row] for row in tau])),
        "regret": list(regret),
        "quality": {"metric": "top1", "unit": "%"},
        **more,
    }


def lost(value, budget=20.0, there="device:x", here="device:y"):
    transferred = None if value is None else 76 - value
    return {
        "searched_on": there,
        "deployed_on": here,
        "budget_ms": budget,
        "own": 76.0,
        "transferred": transferred,
        "lost": value,
    }


def test_two_that_agree_and_two_that_do_not():
    tau = [[1, 0.99, 0.3, 0.31], [0.99, 1, 0.29, 0.3], [0.3, 0.29, 1, 0.32], [0.31, 0.3, 0.32, 1]]
    said = words(result(tau))
    assert said[0] == "device:x and device:y can share one search: they order sub-networks alike (Kendall tau 0.99)."
    assert said[1] == "device:z and device:u each need their own."


def test_two_platforms_that_agree_with_the_interval():
    interval = {"kendall_tau": {"low": [[1, 0.94], [0.94, 1]], "high": [[1, 0.99], [0.99, 1]]}}
    said = words(result([[1, 0.97], [0.97, 1]], intervals=interval))
    assert said[0] == (
        "Both platforms order sub-networks alike (Kendall tau 0.97, 95 % interval 0.94 to 0.99): search once."
    )


def test_two_platforms_whose_interval_decides_nothing():
    interval = {"kendall_tau": {"low": [[1, 0.83], [0.83, 1]], "high": [[1, 0.99], [0.99, 1]]}}
    assert words(result([[1, 0.93], [0.93, 1]], intervals=interval, n_shared=21))[0] == (
        "Whether one search serves both cannot be decided with 21 sub-networks "
        "(Kendall tau 0.93, 95 % interval 0.83 to 0.99); with 0.95 or more it would."
    )
    interval["kendall_tau"]["high"][0][1] = 0.94
    assert "differently" in words(result([[1, 0.93], [0.93, 1]], intervals=interval))[0]


def test_all_alike():
    tau = [[1, 0.97, 0.96], [0.97, 1, 0.98], [0.96, 0.98, 1]]
    assert words(result(tau))[0] == "All 3 platforms order sub-networks alike (Kendall tau at least 0.96): search once."


def test_none_alike_names_the_nearest():
    tau = [[1, 0.5, 0.6], [0.5, 1, 0.7], [0.6, 0.7, 1]]
    assert words(result(tau))[0] == (
        "Search on each platform: they order sub-networks differently "
        "(Kendall tau at most 0.70, for device:y and device:z)."
    )


def test_fronts_that_carry_over_all_the_same():
    said = words(result([[1, 0.8], [0.8, 1]], ratio=[[1, 0.998], [1.001, 1]]))
    assert said[0] == "The platforms order sub-networks differently (Kendall tau 0.80), yet their fronts carry over."
    assert said[1] == "Every front keeps at least 99.8 % of the hypervolume that a search on the target reaches."


def test_the_worst_pair_is_named_in_the_right_direction():
    said = words(result([[1, 0.8], [0.8, 1]], ratio=[[1, 0.91], [0.97, 1]]))
    assert (
        "The front searched on device:x keeps 91.0 % of the hypervolume of device:y's own front when deployed there."
        in said
    )


@pytest.mark.parametrize(
    ("regrets", "sentence"),
    [
        ([lost(0.4), lost(0.1)], "With 20 ms on device:y, you lose 0.4 points of top1 by using the front of device:x."),
        (
            [lost(0.02), lost(-1.0)],
            "At no latency budget looked at does a front from elsewhere lose more than 0.05 points of top1.",
        ),
        ([lost(0.4), lost(None)], "In 1 of 2 cases nothing of the other platform's front fits the latency budget."),
    ],
)
def test_losses(regrets, sentence):
    assert sentence in words(result([[1, 0.8], [0.8, 1]], regret=regrets))


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (0.04, "With 20 ms on device:y, you lose 0.04 of hr10 by using the front of device:x."),
        (0.0004, "At no latency budget looked at does a front from elsewhere lose more than 0.0006 of hr10."),
    ],
)
def test_a_quality_that_is_no_percentage_is_judged_by_its_own_size(value, sentence):
    told = result(
        [[1, 0.8], [0.8, 1]],
        regret=[lost(value)],
        quality={"metric": "hr10", "unit": ""},
        rows=[{"quality": 0.62}, {"quality": 0.4}, {"quality": None}],
    )
    assert sentence in words(told)


def test_too_few_rows_and_no_common_rows_are_said():
    assert "Only 12 sub-networks are shared" in words(result([[1, 0.97], [0.97, 1]], n_shared=12))[-1]
    said = words(result([[None, None], [None, None]], ratio=[[None, None], [None, None]]))
    assert said == ["No pair of platforms shares enough measured sub-networks to compare their orders."]


def test_many_platforms_are_counted():
    tau = [[1.0 if i == j or {i, j} == {0, 1} else 0.5 for j in range(7)] for i in range(7)]
    assert "The other 5 each need their own." in words(result(tau) | {"platforms": list("abcdefg")})


# --- how few measurements are enough ---------------------------------------------------------------------------------


THREE = [[1, 0.5, 0.5], [0.5, 1, 0.5], [0.5, 0.5, 1]]


def enough_words(tau=THREE, **found):
    n = len(tau)
    adapted = [[0 if i == j else 7 for j in range(n)] for i in range(n)]
    samples = {"target_tau": 0.95, "adapted": adapted, "alone": [30] * n, "from_all": [5] * n,
               "reached": [0.96] * n, "most_tried": 52, "held_out": 34, **found}  # fmt: skip
    more = samples.pop("more", {})
    return [
        line for line in words(result(tau, samples_to_adapt=samples, **more)) if "predict" in line or "tried" in line
    ]


def test_enough_measurements_are_said_of_every_platform():
    (said,) = enough_words(from_all=[5, 12, 30], alone=[30, None, 20])
    assert said == (
        "To predict latencies from those on all others (Kendall tau 0.95 on 34 held out), 5 measurements on device:x "
        "(30 without them), 12 on device:y (more than 52 without them) and 30 on device:z (20 without them, which is "
        "fewer) are enough."
    )


def test_as_many_measurements_without_the_others_are_said_to_be_as_many():
    (said,) = enough_words(from_all=[5, 5, 5], alone=[5, 6, 4])
    assert "device:x (5 without them too), 5 on device:y (6 without them) and" in said
    assert "device:z (4 without them, which is fewer)" in said


def test_platforms_that_never_become_known_are_named_with_what_is_reached():
    some, never = enough_words(from_all=[5, None, None], reached=[0.96, 0.9477, 0.91])
    assert "5 measurements on device:x" in some
    assert "device:y" not in some
    assert never == (
        "On device:y and device:z, all 52 measurements that could be tried are not enough: tau comes to 0.948 and "
        "0.91, in this order."
    )
    assert enough_words(from_all=[None] * 3, reached=[0.9] * 3)[0].startswith("On device:x, device:y and device:z, all")


def test_a_platform_whose_own_noise_stops_it_is_said_to():
    ceiling = {"kendall_tau": [[0.9496, 1, 1], [1, 1, 1], [1, 1, 1]]}
    said = enough_words(more={"ceiling": ceiling})
    assert "device:x" not in said[0]
    just = {"kendall_tau": [[0.95, 1, 1], [1, 1, 1], [1, 1, 1]]}
    assert "device:x" in enough_words(more={"ceiling": just})[0]
    assert said[1] == (
        "Two runs of device:x agree at Kendall tau 0.9496 themselves: with any number of measurements no predictor "
        "reaches 0.95 there."
    )


def test_results_of_earlier_versions_say_the_fewest_from_one_platform():
    found = {"target_tau": 0.95, "adapted": [[0, 9, None], [4, 0, None], [6, 3, 0]], "alone": [20, 20, 20],
             "most_tried": 40, "held_out": 34}  # fmt: skip
    said = words(result(THREE, samples_to_adapt=found))
    assert any("4 measurements on device:x (20 without them) and 3 on device:y" in line for line in said)
    assert any(line.startswith("On device:z, 40 measurements are not enough.") for line in said)


def test_no_digits_contradict_the_threshold():
    said = words(result([[1, 0.9483], [0.9483, 1]], n_shared=21, orders=[["alike", "few"], ["few", "alike"]]))
    assert "(Kendall tau 0.948); with 0.95 or more it would." in said[0]


def test_what_was_not_searched_is_not_called_searched():
    for settings, start in (({}, "The front searched on"), ({"tables": "every sub-network"}, "The front of")):
        said = words(result([[1, 0.5], [0.5, 1]], settings=settings))
        assert any(line.startswith(start) for line in said)


def test_effects_say_what_variance_their_model_explains():
    effects = {"names": ["ks"], "percent": [[60.0, 10.0]], "explained": [0.941, 0.984]}
    interval = {"effects": {"low": [[58.0, 8.0]], "high": [[62.0, 12.0]]}}
    said = words(result([[1, 0.5], [0.5, 1]], effects=effects, intervals=interval))
    assert any(line.endswith("; the additive model explains 94 and 98 % of the variance there.") for line in said)
