"""Say in words which values were measured while other programs kept the CPUs busy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

# What a measurement or an evaluation that was taken beside a load has: "busy" and "programs"; see
# hwnas.harness.host.load.
Load = Mapping[str, Any]

# How many programs are named.
_NAMED = 3


def beside_load(loads: Iterable[Load | None], what: str = "values") -> str:
    """Return a sentence on values, of which some have been marked; empty where none has.

    Args:
        loads: one per value; ``None``: it is not marked.
        what: the values are called, in the plural.
    """
    each = list(loads)
    marked = [one for one in each if one]
    if not marked:
        return ""
    used: dict[str, float] = {}
    for one in marked:
        for program in one["programs"]:
            used[program["name"]] = max(program["cpus"], used.get(program["name"], 0.0))
    names = sorted(used, key=lambda name: (-used[name], name))[:_NAMED]
    which = f" ({', '.join(names)})" if names else ""
    busy = f"{100 * max(one['busy'] for one in marked):.0f} %"
    was, it_is = ("was", "it is") if len(marked) == 1 else ("were", "they are")
    return (
        f"{len(marked)} of {len(each)} {what} {was} measured while other programs{which} kept up to {busy} of the "
        f"CPUs busy: {it_is} marked as busy, and not used again"
    )


def status_shown(status: str, load: Load | None) -> str:
    """Return a status as tables show it."""
    return f"{status}, busy" if load else status
