"""What is shown of work under way, whoever reports it: one who measures, or one who tests accuracy."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from hwnas.cli import progress
from hwnas.harness.quality import QualityProgress
from hwnas.search.comparison.run import CompareProgress
from hwnas.search.study.run import SearchProgress

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
