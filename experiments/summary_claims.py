"""The table of all claims: the paper's number, ours at each scale, held or not, and why where not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hwnas.experiments import experiment
from hwnas.experiments.claims import FAILED, HELD, UNDECIDED, Remarks
from hwnas.search.words import MISSING, number

# More values than this are given as the least and the largest.
_LISTED = 6
_CHANGED = "its file asks for something else by now, which was not run"


def claims_table(results: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """Return the table, one row for each sentence that an experiment claims, as lines of Markdown.

    Args:
        results: of the experiments, by scale; the first one leads.
    """
    scales = list(results)
    columns = ["experiment", "claim", "the paper"]
    columns += [title for scale in scales for title in (f"ours, {scale}", f"held? ({scale})")] + ["why not"]
    renewed = {one["experiment"] for runs in results.values() for one in runs if changed(one)}
    rows = [
        _row(name, says, {scale: _of(results[scale], name, says) for scale in scales}, name in renewed)
        for name, says in _sentences(results)
    ]
    return [_line(columns), _line(["---"] * len(columns)), *(_line(row) for row in rows)]


def cell(text: str) -> str:
    """Return a text as it may stand in a table's cell."""
    return text.replace("|", "\\|").replace("\n", " ")


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell(one) for one in cells)} |"


def _sentences(results: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[tuple[str, str]]:
    """Return every experiment with every sentence that it claims, in the order of the shipped experiments."""
    found = [
        (one["experiment"], claim["claim"]) for runs in results.values() for one in runs for claim in one["claims"]
    ]
    names = experiment.names()
    return sorted(dict.fromkeys(found), key=lambda one: names.index(one[0]))


def _of(runs: Sequence[Mapping[str, Any]], name: str, says: str) -> list[Mapping[str, Any]]:
    return [claim for one in runs if one["experiment"] == name for claim in one["claims"] if claim["claim"] == says]


def changed(result: Mapping[str, Any]) -> bool:
    """Return whether an experiment was run with other settings than its file has now; earlier results do not say."""
    now = experiment.shipped(result["experiment"], result["scale"]).decided_by
    return bool(result.get("decided_by", now) != now)


def _row(name: str, says: str, by_scale: Mapping[str, Sequence[Mapping[str, Any]]], was_changed: bool) -> list[str]:
    beside = _remarks(name, next(iter(by_scale)), says)
    cells = [f"**{name}**", says, beside.paper or MISSING]
    for claims in by_scale.values():
        cells += ["; ".join(_values(claims)) or MISSING, _verdicts(claims) or "not run"]
    everything = {claim["verdict"] for claims in by_scale.values() for claim in claims}
    why = [beside.why_not] if beside.why_not and everything - {HELD} else []
    return [*cells, "; ".join([*why, *([_CHANGED] if was_changed else [])])]


def _remarks(name: str, scale: str, says: str) -> Remarks:
    """Return what the shipped file says beside a claim; nothing where it has another text by now."""
    claims = experiment.shipped(name, scale).settings.claims
    return next((one for one in claims if one.says == says), Remarks())


def _values(claims: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Return what was found, statistic by statistic."""
    by_statistic: dict[str, list[Mapping[str, Any]]] = {}
    for one in claims:
        by_statistic.setdefault(one["statistic"].removesuffix(", at least"), []).append(one)
    for statistic, alike in by_statistic.items():
        if len(alike) == 1:
            value, low, high = (number(alike[0][end], 3) for end in ("value", "low", "high"))
            yield f"{statistic}: {value} ({low} to {high})"
            continue
        known = sorted(one["value"] for one in alike if one["value"] is not None)
        if len(known) > _LISTED:
            yield f"{statistic}: {number(known[0], 3)} to {number(known[-1], 3)}"
        else:
            yield f"{statistic}: {', '.join(number(one['value'], 3) for one in alike)}"


def _verdicts(claims: Sequence[Mapping[str, Any]]) -> str:
    """Say how many held, and where one did not."""
    if len({one["verdict"] for one in claims}) == 1:
        return f"{_shown(claims[0]['verdict'])}{f', all {len(claims)}' if len(claims) > 1 else ''}"
    parts = []
    for verdict in (HELD, FAILED, UNDECIDED):
        alike = [one["where"] for one in claims if one["verdict"] == verdict]
        where = f" ({'; '.join(dict.fromkeys(alike))})" if verdict != HELD else ""
        parts += [f"{len(alike)} {_shown(verdict)}{where}"] if alike else []
    return ", ".join(parts)


def _shown(verdict: str) -> str:
    return verdict if verdict == HELD else f"*{verdict}*"
