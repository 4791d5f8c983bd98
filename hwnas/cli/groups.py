"""Show the commands in groups, in the order of a day's work: ``hwnas --help``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from typer.core import TyperGroup

# A command that is in none of them, such as a new one, is shown in the last.
_GROUPS = {
    "Measure, search, compare": ("demo", "profile", "search", "transfer", "compare", "evaluate", "report", "export"),
    "Tables of a device": ("lut", "predictors"),
    "Data and weights": ("train", "weights"),
    "Several machines": ("farm", "worker"),
    "What there is": (
        *("supernets", "platforms", "backends", "objectives", "qualities", "algorithms"),
        *("studies", "measurements", "environment"),
    ),
    "More": ("reproduce", "check-plugin"),
}


class Groups(TyperGroup):
    """The application, whose help shows its commands in groups."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the commands' names in the order in which they are shown."""
        return [name for _, names in grouped(super().list_commands(ctx)) for name in names]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands, a section per group, their descriptions one below the other."""
        shown = {name: one for name in self.list_commands(ctx) if not (one := self.commands[name]).hidden}
        width = max(map(len, shown))
        for title, names in grouped(list(shown)):
            with formatter.section(title):
                lines = ((name, shown[name].get_short_help_str(formatter.width - width - 6)) for name in names)
                formatter.write_dl([(name.ljust(width), line) for name, line in lines])


def grouped(names: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Return commands by group, in order; groups of which there is no command are left out."""
    known = {name for group in _GROUPS.values() for name in group}
    *_, last = _GROUPS
    found = {title: [name for name in group if name in names] for title, group in _GROUPS.items()}
    found[last] += [name for name in names if name not in known]
    return [(title, group) for title, group in found.items() if group]
