"""Find the quality column of a measured CSV file, with its unit and direction."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hwnas.latency_luts.lookup import Lookup
from hwnas.latency_luts.measured import MeasuredTable
from hwnas.latency_luts.metric import Metric
from hwnas.supernets.contents import SHOWN, Content, Contents, content_digest, holding
from hwnas.supernets.errors import QualityError, TableError
from hwnas.supernets.space import SearchSpace


@dataclass(frozen=True)
class _Known:
    """A metric that is known by its name: the unit if the column has none, and whether more is better."""

    unit: str = ""
    maximise: bool = True


# By the column's name without its unit, in lower-case letters and digits.
_KNOWN = {
    "top1": _Known("%"),
    "top5": _Known("%"),
    "accuracy": _Known("%"),
    "bleu": _Known(),
    "hr10": _Known(),
    "ndcg10": _Known(),
    "loss": _Known(maximise=False),
    "perplexity": _Known(maximise=False),
    "top1error": _Known("%", maximise=False),
}
# Parts of the names of metrics of which less is better.
_LESS = re.compile(r"loss|error|perplexity|(?<![a-z])(ppl|wer|cer|mae|mse|rmse|nll|fid)(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class MeasuredQuality:
    """The quality column of a measured file.

    Attributes:
        metric: the metric's name ("top1").
        unit: its unit.
        maximise: more is better.
        lookup: its values.
        source: the file's content and the column.
        contents: of the file.
    """

    metric: str
    unit: str
    maximise: bool
    lookup: Lookup
    source: str
    contents: Contents


def read(name: str, argument: str, space: SearchSpace) -> MeasuredQuality:
    """Read the quality that ``FILE[,column=COLUMN]`` names.

    Args:
        name: of the source, for messages.
        argument: the text after its colon.
        space: the search space of the sub-networks.

    Raises:
        QualityError: no file is named.
        TableError: the file cannot be read, or lacks the column.
        ChangedError: the file is changed while it is read.
    """
    file, comma, option = argument.partition(",")
    key, _, column = option.partition("=")
    if not file or (comma and (key != "column" or not column)):
        raise QualityError(f"{name}: expected {name}:FILE or {name}:FILE,column=COLUMN, got {name}:{argument}")
    table, content = _read(file)
    metric = table.metric(column) if column else _only(table)
    if metric.is_time:
        raise TableError(
            f"{file}: {metric.column!r} is a time by its unit and no quality; as a latency it is read by the platform "
            f"table:file={file},column={metric.column}"
        )
    known = _KNOWN.get(metric.stem, _Known(maximise=not _LESS.search(metric.column)))
    values = table.measured(metric)
    unit = metric.unit or known.unit
    return MeasuredQuality(
        metric.stem,
        unit,
        known.maximise,
        Lookup.averaged(space, table.vectors(space), values),
        f"{name} ({metric.column}, digest {content.digest[:SHOWN]})",
        {f"{name} quality": content},
    )


def _read(file: str) -> tuple[MeasuredTable, Content]:
    try:
        digest = content_digest(file)
    except (OSError, ValueError):  # ValueError: a name that no file can have
        return MeasuredTable.read(file), Content(file, "")  # raises an error that says what is wrong
    with holding(file, digest):
        return MeasuredTable.read(file), Content(file, digest)


def _only(table: MeasuredTable) -> Metric:
    found = [metric for metric in map(Metric.of, table.columns) if metric.stem in _KNOWN]
    if len(found) == 1:
        return found[0]
    what = "several columns" if found else "no column"
    raise TableError(
        f"{table.file}: has {what} with a quality ({', '.join(_KNOWN)}); say which with ,column=COLUMN; "
        f"there are: {', '.join(table.columns)}"
    )
