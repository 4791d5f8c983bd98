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
