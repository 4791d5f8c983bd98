"""What is shown of work under way, whoever reports it: one who measures, or one who tests accuracy."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from hwnas.api.showing import in_words
from hwnas.cli import progress
from hwnas.harness.quality import QualityProgress
from hwnas.search.comparison.run import CompareProgress
from hwnas.search.study.run import SearchProgress, _failing

TESTED = QualityProgress(200, 2000, "statistics: 200 of 2,000 images")
SEARCHED = SearchProgress("s", 1, 4, 0.5, None, 1.0, TESTED)
EVENTS = {
    "searching": SEARCHED,
    "transferring": SimpleNamespace(phase="search", step=1, steps=4, platform="p", event=SEARCHED),
    "comparing": CompareProgress(done=0, total=4, last="", searching=SEARCHED),
}


@pytest.mark.parametrize("quiet", [False, True])
@pytest.mark.parametrize("bars", EVENTS)
def test_tests_of_accuracy_are_shown_as_measurements_are(bars, quiet, capsys):
    with getattr(progress, bars)(quiet) as show:
        show(EVENTS[bars])
    assert ("200 of 2,000 images" in " ".join(capsys.readouterr().err.split())) is not quiet


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_counts_are_whole_on_a_narrow_terminal(columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(columns))
    found = SearchProgress("s", 20, 20, 11630.0, None, 1.0, None)
    with progress.transferring(False) as show:
        show(SimpleNamespace(phase="search", step=1, steps=6, platform="lut:table=jetson-cpu", event=found))
    (line,) = capsys.readouterr().err.splitlines()
    assert len(line) <= columns
    assert " 20/20 0:00:00 " in line
    assert ("lut:table=jetson-cpu" in line) is (columns >= 80)
    assert ("hypervolume 1.163e+04" in line) is (columns >= 80)


@pytest.mark.parametrize("bars", EVENTS)
def test_that_all_evaluations_fail_is_said_once_and_while_it_goes_on(bars, capsys):
    found = replace(SEARCHED, failing="so far 4 of 4 evaluations failed: top1: no images")
    event = {"searching": found, "transferring": SimpleNamespace(**{**vars(EVENTS["transferring"]), "event": found})}
    with getattr(progress, bars)(False) as show:
        for _ in range(2):
            show(event.get(bars) or replace(EVENTS["comparing"], searching=found))
    assert " ".join(capsys.readouterr().err.split()).count("so far 4 of 4 evaluations failed: top1: no images") == 1
    assert in_words(found).startswith("s: so far 4 of 4 evaluations failed")


def test_what_fails_and_what_does_not_is_told_apart():
    def of(status):
        return SimpleNamespace(status=status, reason="top1: no images")

    assert _failing([of("failed")] * 3) == ""
    assert _failing([of("failed")] * 4 + [of("ok")]) == ""
    assert _failing([of("failed")] * 4) == "so far 4 of 4 evaluations failed: top1: no images"
