"""The sample results of ``tests/search/report/samples``, and what makes a page of each."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

from hwnas.search.report import (
    compare_page,
    evaluate_page,
    search_page,
    table_check_page,
    training_page,
    transfer_page,
)

FOLDER = Path(__file__).parents[1] / "search" / "report" / "samples"
PAGES = {
    "transfer": transfer_page,
    "search": search_page,
    "search3": search_page,
    "compare": compare_page,
    "compare3": compare_page,
    "evaluate": evaluate_page,
    "table_check": table_check_page,
    "training": training_page,
}


def sample(name):
    """Return a sample result."""
    return json.loads((FOLDER / f"{name}.json").read_text())


def transfer_of_many_platforms(samples):
    """Return a result of a transfer between four platforms, made anew, with a sample of so many shared sub-networks."""
    made = runpy.run_path(str(FOLDER / "make.py"))
    return made["transfer_sample"](tuple(made["PLATFORMS"]), samples=samples, resamples=0)
