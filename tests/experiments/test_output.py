"""The files of an experiment's result."""

from __future__ import annotations

from hwnas.experiments.page import experiment_page


def test_a_page_links_the_files_beside_it():
    result = {
        "experiment": "mine",
        "title": "Mine",
        "stands_in": [],
        "shows": "",
        "paper": "",
        "scale": "small",
        "seconds": 1.0,
        "processor_s": 1.0,
        "finished_at": "today",
        "claims": [],
        "environment": {},
    }
    page = experiment_page(result, [], None, "", {}, ["my 100%.csv", "mine.json"])
    assert '<a href="my%20100%25.csv">my 100%.csv</a>' in page
    assert '<a href="mine.json">mine.json</a>' in page
    assert "Beside this page" not in experiment_page(result, [], None, "", {})
