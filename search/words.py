"""Format numbers, objectives and settings as text for pages and tables."""

from __future__ import annotations

import math
import re
import shlex
import string
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hwnas.supernets.shown import HEAD, TAIL, short_key

MISSING = "\N{EN DASH}"
# Of a number beside a threshold, which it hardly ever comes nearer to.
_MOST_DIGITS = 6


def number(value: Any, digits: int = 4) -> str:
    """Return ``value`` to ``digits`` significant digits, thousands set apart; what is missing is a dash; text stays."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    if isinstance(value, (str, bool)):
        return str(value)
    if isinstance(value, int) or float(value).is_integer():
        return f"{int(value):,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{decimals}f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def against(value: float, threshold: float, digits: int = 2) -> str:
    """Return a number with two digits, or with as many as keep it on its own side of a threshold: 0.948, not 0.95."""
    while digits < _MOST_DIGITS and (round(value, digits) >= threshold) != (value >= threshold):
        digits += 1
    return f"{round(value, digits) + 0.0:.{digits}f}"  # and never -0.00


def letter(position: int) -> str:
    """Return the short name of platform number ``position``: A, B, ..., Z, A1, ..."""
    turn, place = divmod(position, 26)
    return string.ascii_uppercase[place] + (str(turn) if turn else "")


def export_command(study: str, *options: str) -> str:
    """Return the command that exports a study, as a shell takes it: a name with spaces is quoted."""
    # A name that begins with a dash would be read as an option.
    words = [*options, "--", study] if study.startswith("-") else [study, *options]
    return shlex.join(["hwnas", "export", *words])


def listed(names: Sequence[str]) -> str:
    """Join names as in a sentence: "A", "A and B", "A, B and C"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def percent(share: float) -> str:
    """Return a share as per cent: 0.0234 as 2.3 %."""
    return f"{100 * share:.1f}\N{NARROW NO-BREAK SPACE}%"


def units(label: dict[str, Any]) -> str:
    """Return what a difference of two qualities is counted in: per cent differ by points."""
    return "points" if label["unit"] == "%" else str(label["unit"])


def point_in_words(point: Mapping[str, Any], objectives: Iterable[Mapping[str, Any]]) -> str:
    """Return values by objective with their units: "latency 92.40 ms, top1 77.74 %"."""
    return ", ".join(f"{one['name']} {number(point[one['name']])} {one['unit']}".rstrip() for one in objectives)


def objective_title(objective: Mapping[str, Any], quality: Mapping[str, Any]) -> str:
    """Name an objective with its unit, and say where it is a prediction.

    Args:
        objective: its "name" and "unit".
        quality: of the study: the quality's "metric", and whether its values are "predicted".
    """
    predicted = "predicted " if quality.get("predicted") and objective["name"] == quality["metric"] else ""
    return f"{predicted}{objective['name']}" + (f" ({objective['unit']})" if objective["unit"] else "")


def quality_title(quality: Mapping[str, Any]) -> str:
    """Name the quality with its unit, and say where it is a prediction."""
    return objective_title({"name": quality["metric"], "unit": quality["unit"]}, quality)


def spelled(config: dict[str, Any]) -> list[str]:
    """Return a config in lines, as the hover shows it: a key and its values."""
    return [
        f"{key}: {' '.join(map(str, values)) if isinstance(values, list) else values}" for key, values in config.items()
    ]


def facts(tree: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Flatten nested settings or an environment to (name, value) pairs for a table."""
    if isinstance(tree, dict):
        return [
            fact
            for key, value in tree.items()
            for fact in facts(value, f"{prefix} \N{MIDDLE DOT} {key}" if prefix else key)
        ]
    if isinstance(tree, list) and not any(isinstance(entry, (dict, list)) for entry in tree):
        return [(prefix, ", ".join(map(str, tree)) or MISSING)]
    if isinstance(tree, list):
        return [fact for place, value in enumerate(tree, 1) for fact in facts(value, f"{prefix} {place}")]
    return [(prefix, MISSING if tree is None else str(tree))]


def quieter(effort: str | None) -> str:
    """Return what to do where noise leaves a question open.

    Args:
        effort: with which it was measured; ``None``: not known.
    """
    longer = "give it more time (--cap SECONDS)" if effort == "thorough" else "use --effort thorough"
    return f"quiet the machine or {longer}"


def troubled(status: str, reasons: Sequence[str], total: int, noun: str = "measurements") -> str:
    """Say in one line how many have a status, and the most frequent reason; reasons differ by more than numbers.

    Args:
        status: "unstable" or "failed".
        reasons: of those that have it, at least one.
        total: how many there are.
        noun: what they are, in the plural.
    """
    verb = "" if status == "failed" else "are " if len(reasons) > 1 else "is "
    head = f"{len(reasons)} of {total} {noun} {verb}{status}"
    kinds = [re.sub(r"\d[\d.,]*", "#", reason) for reason in reasons]
    (kind, n), *others = Counter(kinds).most_common()
    return f"{head}: {reasons[kinds.index(kind)]}{f' ({n} of them)' if others else ''}" if kind else head


def shortened(keys: Iterable[str]) -> dict[str, str]:
    """Return, by key of a sub-network, its first and last digits: a few, or as many as make all keys distinct."""
    distinct = set(keys)
    for more in range(max(map(len, distinct), default=0)):
        for head, tail in ((HEAD + more, TAIL), (HEAD, TAIL + more)):
            short = {key: short_key(key, head, tail) for key in distinct}
            if len(set(short.values())) == len(distinct):
                return short
    return {key: key for key in distinct}


def model_in_words(row: Mapping[str, Any]) -> str:
    """Return one line about a fixed model that was measured beside a search, from its JSON."""
    latency = row["latency_ms"]
    if latency["value"] is None:
        return f"model {row['key']} failed: {row['reason']}"
    low, high = latency.get("ci_low"), latency.get("ci_high")
    interval = "" if low is None or high is None else f" ({low:.4g} to {high:.4g})"
    doubtful = "" if row["status"] == "ok" else f", {row['status']}"
    return f"model {row['key']}: {latency['value']:.4g} ms{interval}{doubtful}, {row['macs'] / 1e6:.1f}M MACs"
