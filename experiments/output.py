"""Write an experiment's result: its page and its CSV, both made from its JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from hwnas.experiments import published
from hwnas.experiments.claims import counted
from hwnas.experiments.page import experiment_page
from hwnas.experiments.run import Finished


def page(finished: Finished) -> str:
    """Return the HTML page."""
    experiment, result = finished.experiment, finished.result
    numbers = published.load(experiment.head.published) if experiment.head.published else None
    sections = experiment.kind.sections(experiment, result["data"], numbers)
    shown = getattr(experiment.kind, "networks", None)
    networks = shown(result["data"]) if shown is not None else {}
    files = [f"{finished.name}.{ending}" for ending in ("csv", "json")]
    return experiment_page(result, sections, numbers, counted(result["claims"]), networks, files)


def csv_text(experiment_kind: Any, data: Mapping[str, Any]) -> str:
    """Return what was found as CSV; what is missing is empty."""
    made = experiment_kind.table(data)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(made.columns)
    writer.writerows([["" if cell is None else cell for cell in row] for row in made.rows])
    return text.getvalue()
