"""How sure a front is, and what pages and words say of it where it is not."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from hwnas.search.report import compare_page, profile_page, search_page
from hwnas.search.report.compare import ahead
from hwnas.search.report.front_noise import FrontNoise, front_noise
from hwnas.search.report.precisions import gains
from hwnas.search.words import troubled

SAMPLES = Path(__file__).parent / "report" / "samples"


def study(latency, top1, error, front, status=None):
    """A study's JSON; latencies are known to ``error`` either way, relative."""
    rows = [
        {
            "index": i, "iteration": 0, "config": {"d": [i]}, "objectives": {"latency": ms, "top1": quality},
            "intervals": {"latency": [ms * (1 - error), ms * (1 + error)]} if error else {},
            "status": (status or {}).get(i, "ok"), "reason": "it changed" if i in (status or {}) else "",
        }
        for i, (ms, quality) in enumerate(zip(latency, top1, strict=True))
    ]  # fmt: skip
    objectives = [{"name": "latency", "unit": "ms", "maximise": False}, {"name": "top1", "unit": "%", "maximise": True}]
    return {
        "schema": 1, "study": "s", "supernet": "net", "platform": "device:x", "algorithm": "linas", "seed": 0,
        "objectives": objectives, "evaluations": rows, "front": front,
        "hypervolume": {"value": 1.0, "reference": {"latency": 100.0, "top1": 0.0}},
        "time_s": {"measure": 1.0, "search": 1.0, "total": 2.0},
    }  # fmt: skip


def steps(error, **more):
    """Five on a front whose latencies are a tenth apart, and others close behind each."""
    front = 10 * 1.1 ** np.arange(5)
    behind = np.repeat(front, 8) * 1.01
    top1 = np.concatenate([70 + np.arange(5), np.repeat(70 + np.arange(5), 8) - 0.001])
    return study([*front, *behind], top1, error, list(range(5)), **more)


def test_an_exact_front_is_certain():
    found = front_noise(steps(0.0))
    assert found.shares.tolist() == [1] * 5
    assert (found.certain, found.run_to_run, found.doubtful) == (5, 0.0, False)


def test_little_noise_leaves_a_front_and_much_noise_does_not():
    calm, noisy = front_noise(steps(0.004)), front_noise(steps(0.2))
    assert calm.certain == 5
    assert not calm.doubtful
    assert noisy.certain == 1  # nothing is as accurate as the last, however slow it is
    assert noisy.doubtful
    # Two runs of standard deviation 0.2 / 1.96 differ by 0.67 sqrt(2) of it, as a rule.
    assert noisy.run_to_run == pytest.approx(0.6745 * 2**0.5 * 0.2 / 1.96, rel=0.01)
    assert front_noise(steps(0.2)).shares.tolist() == noisy.shares.tolist()


def test_a_front_that_has_not_converged_is_doubtful_however_narrow_its_intervals():
    assert front_noise(steps(0.001, status=dict.fromkeys(range(3), "unstable"))).doubtful
    assert not front_noise(steps(0.001, status=dict.fromkeys(range(2), "unstable"))).doubtful


def test_a_front_that_was_measured_beside_other_programs_is_doubtful():
    loaded = steps(0.001)
    for one in loaded["evaluations"][:3]:
        one |= {"load": {"busy": 0.9, "programs": []}, "effort": "thorough"}
    found = front_noise(loaded)
    assert found.doubtful
    assert "it has 5 by these measurements, most of them beside other programs, which differ by" in str(found)
    assert "--effort thorough" in str(found)  # not all were measured so


def test_a_value_that_nothing_bounds_is_not_certain():
    """Too few samples bound a high percentile from above: such an evaluation has no interval beside those that have."""
    some = steps(0.004)
    for one in some["evaluations"][2:4]:
        one["intervals"] = {}
    found = front_noise(some)
    assert np.isnan(found.shares).tolist() == [False, False, True, True, False]
    assert (found.certain, found.doubtful) == (3, False)
    assert "3 of the 5 are there for certain" in search_page(some)
    some["evaluations"][0]["intervals"] = {}
    assert front_noise(some).doubtful
    assert found.run_to_run == pytest.approx(0.6745 * 2**0.5 * 0.004 / 1.96, rel=0.01)


def test_of_values_that_nothing_bounds_nobody_knows_by_how_much_they_differ():
    found = front_noise(steps(0.0, status=dict.fromkeys(range(5), "unstable")))
    assert str(found) == (
        "Too noisy to tell which sub-networks are on the front: it has 5 by these measurements, 5 of them unstable; "
        "quiet the machine or use --effort thorough."
    )


def test_a_front_of_brief_values_is_judged_where_nothing_that_was_measured_in_full_meets_the_constraints():
    brief = steps(0.004) | {"final": {"effort": "thorough", "sub_networks": 1, "left_out": 0}}
    brief["evaluations"][9] |= {"violation": 0.1, "while_searching": {"latency": 1.0}}
    assert front_noise(brief).shares.tolist() == front_noise(steps(0.004)).shares.tolist()


def test_no_front_is_not_doubtful():
    assert not front_noise(study([1.0], [70.0], 0.1, [])).doubtful


def test_a_doubtful_front_has_no_headline_of_its_latencies():
    noisy, calm = search_page(steps(0.2)), search_page(steps(0.004))
    verdict = re.search(r'<div class="verdict">(.*?)</div>', noisy, re.DOTALL).group(1)
    assert "Too noisy to tell which sub-networks are on the front: it has 5 by these measurements" in verdict
    assert "use --effort thorough." in re.sub(r"<[^>]+>", "", verdict)
    assert "10" not in re.sub(r"[\d.]+\W*% from run to run", "", verdict).split("It took")[0]
    assert "45 evaluations found a front of 5 sub-networks: from" in calm
    assert "all of them are there for certain" in calm


# --- what is unstable ------------------------------------------------------------------------------------------------


def test_how_many_are_unstable_and_why_is_one_line():
    reasons = ["±2.4 %, after 1 s", "±3.1 %, after 2.5 s", "other programs"]
    assert troubled("unstable", reasons, 26) == "3 of 26 measurements are unstable: ±2.4 %, after 1 s (2 of them)"
    assert troubled("unstable", ["a"], 9, "evaluations") == "1 of 9 evaluations is unstable: a"
    assert troubled("failed", ["a", "a"], 9) == "2 of 9 measurements failed: a"
    assert troubled("failed", [""], 9) == "1 of 9 measurements failed"


def figures(page):
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL).group(1))["figures"]


def test_unstable_points_are_hollow_and_the_legend_says_so():
    status = {1: "unstable", 7: "unstable"}
    page = search_page(steps(0.004, status=status))
    traces = next(iter(figures(page).values()))["data"]
    hollow = [row for trace in traces if str(trace.get("marker", {}).get("symbol", "")).endswith("-open")
              for row in trace.get("customdata", [])]  # fmt: skip
    filled = [row for trace in traces if "customdata" in trace and "-open" not in str(trace["marker"].get("symbol"))
              for row in trace["customdata"]]  # fmt: skip
    assert sorted(hollow) == [1, 7]
    assert sorted([*hollow, *filled]) == list(range(45))
    assert any(trace.get("name") == "hollow: unstable" for trace in traces)
    assert "2 of 45 evaluations are unstable:</strong> it changed. They are drawn hollow." in page
    assert '<span class="tag">2 unstable</span>' in page
    assert "hollow" not in search_page(steps(0.004))


@pytest.mark.parametrize("name", ["transfer"])
def test_every_point_of_a_transfer_is_drawn_once_hollow_or_not(name):
    from hwnas.search.report import transfer_page

    result = json.loads((SAMPLES / f"{name}.json").read_text())
    drawn = figures(transfer_page(result))
    for target in range(3):
        traces = [one for one in drawn[f"front-{target}"]["data"] if "customdata" in one]
        unstable = {n for n, row in enumerate(result["rows"]) if row["status"][target] == "unstable"}
        for trace in traces:
            hollow = trace["marker"]["symbol"].endswith("-open") if "symbol" in trace["marker"] else False
            assert (set(trace["customdata"]) <= unstable) if hollow else not set(trace["customdata"]) & unstable
            assert len(trace["customdata"]) == len(trace["x"]) == len(trace["y"])
            if "error_x" in trace:
                assert len(trace["error_x"]["array"]) == len(trace["x"])


def test_a_profile_says_what_is_unstable():
    latency = {"value": 1.0, "statistic": "p15", "ci_low": 0.9, "ci_high": 1.2, "n": 10}
    rows = [
        {
            "key": f"k{i}", "supernet": "net", "config": {"d": [i]}, "platform": "device:us=1", "latency_ms": latency,
            "status": status, "reason": "its speed changed" * (status != "ok"), "disturbed": 0.1, "protocol": None,
        }
        for i, status in enumerate(["ok", "unstable", "unstable"])
    ]  # fmt: skip
    page = profile_page({"environment": {}, "measurements": rows})
    assert "2 of 3 measurements are unstable:</strong> its speed changed" in page
    assert '<span class="tag">2 unstable</span>' in page


def test_the_page_of_a_tables_latencies_has_no_samples_and_nothing_that_converged():
    latency = {"value": 1.0, "statistic": "table", "ci_low": None, "ci_high": None, "n": 0}
    row = {
        "key": "k", "supernet": "net", "config": {"d": [1]}, "platform": "lut:table=note10", "latency_ms": latency,
        "status": "ok", "reason": "", "disturbed": None, "protocol": None,
    }  # fmt: skip
    page = profile_page({"environment": {}, "measurements": [row]})
    assert "lut:table=note10: 1 ms." in page
    assert "converged." not in page
    assert "Samples on" not in page
    timed = row | {"platform": "device:us=1", "latency_ms": latency | {"statistic": "p15"}}
    page = profile_page({"environment": {}, "measurements": [row, timed]})
    assert "1 of 1 measurement converged." in page
    assert "Samples on device:us=1" in page
    assert "Samples on lut:table=note10" not in page


# --- rankings --------------------------------------------------------------------------------------------------------


def contestant(mean, error, name="a"):
    return {"name": name, "final": {"mean": mean, "standard_error": error}}


def test_an_algorithm_is_ahead_only_beyond_chance():
    assert ahead(contestant(0.9, 0.01), contestant(0.8, 0.01), 5)
    assert not ahead(contestant(0.9, 0.01), contestant(0.88, 0.01), 5)  # 1.4 standard errors of the difference
    assert not ahead(contestant(0.9, None), contestant(0.1, None), 1)
    assert ahead(contestant(0.9, 0.0), contestant(0.8, 0.0), 5)


@pytest.mark.parametrize(
    ("gap", "said"), [(0.2, "nsga2 has the largest"), (0.001, "nsga2 and random cannot be told apart")]
)
def test_a_comparison_ranks_what_it_can_tell_apart(gap, said):
    result = json.loads((SAMPLES / "compare.json").read_text())
    for one, mean in zip(result["algorithms"], (0.9, 0.9 - gap), strict=True):
        one["final"] = {"mean": mean, "standard_error": 0.01}
    page = compare_page(result)
    assert said in page
    assert ("on average" in page) == (gap > 0.1)


def profiled(platform, low, value, high):
    latency = {"value": value, "ci_low": low, "ci_high": high, "n": 30}
    return {"platform": platform, "key": "k", "latency_ms": latency, "error": None, "read_back": []}


def test_a_precision_is_faster_only_where_intervals_do_not_overlap():
    fp32 = profiled("openvino:threads=1", 9.0, 10.0, 11.0)
    (clear,) = gains([fp32, profiled("openvino:threads=1,precision=int8", 4.5, 5.0, 5.5)], {})
    (open_,) = gains([fp32, profiled("openvino:threads=1,precision=int8", 8.0, 10.5, 12.0)], {})
    (unbounded,) = gains([fp32, profiled("openvino:threads=1,precision=int8", None, 5.0, None)], {})
    assert "int8 is 2 times as fast" in str(clear)
    assert str(open_) == (
        "openvino:threads=1: too noisy to tell whether int8 is faster than fp32: 0.750 to 1.38 times as fast; "
        "quiet the machine or use --effort thorough"
    )
    assert open_.why == ""
    assert "too noisy" in str(unbounded)


def test_a_member_is_certain_where_nineteen_draws_of_twenty_leave_it():
    found = FrontNoise(np.array([0.5, 0.94, 0.95, 1.0, np.nan]), 0.01, 0, 0)
    assert found.certain == 2
    assert not found.doubtful
    assert FrontNoise(np.array([0.49, 0.49, 1.0]), 0.01, 0, 0).doubtful
