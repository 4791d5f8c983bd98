"""The document of all results, made from results that are made up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hwnas import experiments
from hwnas.experiments.claims import FAILED, HELD, UNDECIDED
from hwnas.experiments.summary import keep, summary
from hwnas.experiments.summary_claims import changed
from hwnas.search.words import MISSING

WIDE = "After the same number of evaluations LINAS has the larger hypervolume than NSGA-II"
OFA = "After the same number of evaluations LINAS has the larger hypervolume than once-for-all's finder"


def claim(says, verdict, value, where="P, to 0.8", statistic="hypervolume of a less that of b"):
    ends = {"value": value, "low": value - 0.1, "high": value + 0.1}
    return {"claim": says, "where": where, "verdict": verdict, "statistic": statistic, "needed": "above 0", **ends}


def write(folder, scale, *claims, name="fig5", **more):
    made = experiments.shipped(name, scale)
    result = {
        "experiment": name,
        "scale": scale,
        "title": made.head.title,
        "paper": made.head.paper,
        "stands_in": ["P: a toy."],
        "claims": list(claims),
        "gist": "P: a 0.9",
        "decided_by": made.decided_by,
        "seconds": 12.0,
        "processor_s": 11.0,
        "finished_at": "2026-11-29T08:00:00+00:00",
        "environment": {"cpu": "a CPU", "allowed_cpus": 2},
    }
    (folder / f"{name}-{scale}.json").write_text(json.dumps(result | more))


def table(text):
    """The cells of the first table."""
    lines = [line for line in text.split("\n## ")[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_it_opens_with_every_claim_and_whether_it_held(tmp_path):
    write(tmp_path, "small", claim(WIDE, HELD, 0.3), claim(OFA, FAILED, -0.3))
    head, _, held, failed = table(summary(tmp_path, "small"))
    assert head == ["experiment", "claim", "the paper", "ours, small", "held? (small)", "why not"]
    assert held == ["**fig5**", WIDE, MISSING, "hypervolume of a less that of b: 0.300 (0.200 to 0.400)", "held", ""]
    assert failed[4] == "*did not hold*"
    assert failed[5].startswith("once-for-all's finder")


def test_a_sentence_that_is_tested_in_several_places_is_one_row(tmp_path):
    many = [claim(WIDE, HELD, 1 + place / 10, f"P{place}") for place in range(8)]
    write(tmp_path, "small", *many, claim(WIDE, UNDECIDED, 0.01, "Q", "another"))
    *_, row = table(summary(tmp_path, "small"))
    assert row[3] == "hypervolume of a less that of b: 1 to 1.70; another: 0.0100 (-0.0900 to 0.110)"
    assert row[4] == "8 held, 1 *undecided* (Q)"


def test_small_and_full_scale_stand_side_by_side(tmp_path):
    write(tmp_path, "small", claim(WIDE, UNDECIDED, 0.01))
    write(tmp_path, "full", claim(WIDE, HELD, 0.2), claim(OFA, HELD, 0.2))
    text = summary(tmp_path, "small")
    head, _, first, second = table(text)
    assert head[3:7] == ["ours, small", "held? (small)", "ours, full", "held? (full)"]
    assert (first[4], first[6]) == ("*undecided*", "held")
    assert (second[4], second[6]) == ("not run", "held")
    assert "`hwnas reproduce fig5 --scale full`" in text
    # Smoke scale shows that something runs, and no more: it stands beside nothing.
    write(tmp_path, "smoke", claim(WIDE, HELD, 0.3))
    assert "full" not in " ".join(table(summary(tmp_path, "smoke"))[0])


def test_a_number_of_the_papers_stands_beside_ours(tmp_path):
    write(tmp_path, "small", claim("The error is at most 0.91 %", HELD, 0.2), name="fig3")
    assert table(summary(tmp_path, "small"))[2][2] == "0.91 %"


@pytest.mark.parametrize(("given", "said"), [({}, False), ({"decided_by": "of then"}, True)])
def test_a_result_of_other_settings_says_so(tmp_path, given, said):
    write(tmp_path, "small", claim(WIDE, HELD, 0.3), **given)
    text = summary(tmp_path, "small")
    assert ("12 s (11 s of processors), 2026-11-29, with other settings than its file has now" in text) is said
    assert ("which was not run" in table(text)[2][5]) is said


def test_what_was_run_before_an_option_was_there_is_not_of_other_settings():
    """``searched`` came later: fig6 was run without, in its file nothing has changed."""
    kept = Path(__file__).parents[2] / "docs" / "results" / "fig6-small.json"
    result = json.loads(kept.read_text(encoding="utf-8"))
    assert result["decided_by"]
    assert not changed(result)


def test_a_result_that_does_not_say_what_decided_it_is_taken_as_it_is(tmp_path):
    write(tmp_path, "small", claim(WIDE, HELD, 0.3))
    file = tmp_path / "fig5-small.json"
    result = json.loads(file.read_text())
    del result["decided_by"], result["finished_at"], result["processor_s"]
    file.write_text(json.dumps(result))
    assert "| 12 s | `hwnas reproduce fig5 --scale small` |" in summary(tmp_path, "small")


def test_what_was_run_at_other_times_is_kept_without_its_data(tmp_path):
    first, second, kept = tmp_path / "first", tmp_path / "second", tmp_path / "kept"
    for folder in (first, second):
        folder.mkdir()
    write(first, "small", claim(WIDE, UNDECIDED, 0.01), data={"long": [0] * 1000})
    write(first, "full", claim(WIDE, HELD, 0.2))
    write(first, "smoke", claim(WIDE, HELD, 0.2))
    keep(first, kept)
    assert sorted(one.name for one in kept.iterdir()) == ["fig5-full.json", "fig5-small.json"]
    assert "data" not in json.loads((kept / "fig5-small.json").read_text())
    assert summary(kept, "small") == summary(first, "small")
    # Another machine runs another one, and the first again.
    machine = {"environment": {"cpu": "another", "allowed_cpus": 2, "memory": 1}}
    write(second, "small", claim("The error is at most 0.91 %", HELD, 0.2), name="fig3", **machine)
    write(second, "small", claim(WIDE, HELD, 0.3), **machine)
    keep(second, kept)
    text = summary(kept, "small")
    assert [row[0] for row in table(text)[2:]] == ["**fig3**", "**fig5**"]
    assert "2 experiments in 0 minutes, on another (2 CPUs)." in text
    write(second, "small", claim(WIDE, HELD, 0.3))
    keep(second, kept)
    assert "on another (2 CPUs) and a CPU (2 CPUs)." in summary(kept, "small")
