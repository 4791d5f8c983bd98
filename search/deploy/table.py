"""A study as CSV: one evaluation a row, readable by ``table:FILE`` and ``surrogate:FILE``."""

from __future__ import annotations

import csv
import json
import math
from typing import TextIO

from hwnas.search.study.result import ObjectiveLabel, Study

_MILLION = 1_000_000


def write_csv(study: Study, stream: TextIO) -> None:
    """Write the evaluations of a study.

    The columns are index, iteration, key, config (JSON), one per objective with its unit in its name ("latency_ms"),
    status, reason and on_front (1 or 0). Counts are written whole, not in millions. A value that is not there is an
    empty cell.

    Args:
        study: the study.
        stream: open for writing text with ``newline=""``.
    """
    objectives = study.objectives
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(
        ["index", "iteration", "key", "config", *map(column_name, objectives), "status", "reason", "on_front"]
    )
    front = {one.index for one in study.front}
    for one in study.evaluations:
        values = [_cell(label, one.objectives[label.name]) for label in objectives]
        config = json.dumps(one.config)
        on_front = int(one.index in front)
        writer.writerow([one.index, one.iteration, one.key, config, *values, one.status, one.reason, on_front])


def column_name(label: ObjectiveLabel) -> str:
    """Return the name of an objective's column, with its unit; counts are whole."""
    return label.name if label.unit in {"", "M"} else f"{label.name}_{label.unit}"


def in_column(label: ObjectiveLabel, value: float) -> float:
    """Return a value as it stands in its objective's column: a count whole, and not in millions."""
    return round(value * _MILLION) if label.unit == "M" and math.isfinite(value) else value


def _cell(label: ObjectiveLabel, value: float) -> str:
    return "" if math.isnan(value) else repr(in_column(label, value))
