"""``hwnas algorithms``: what can search."""

from __future__ import annotations

import typer
from rich.table import Table

from hwnas.cli.options import JsonFile
from hwnas.cli.output import STANDARD_OUTPUT, results, write_json


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(algorithms)


def algorithms(json: JsonFile = None) -> None:
    """List the search algorithms and how many objectives they take."""
    from search import algorithms as package

    rows = []
    for name in package.names():
        provider = package.registry.provider(name)
        limits = {"min_objectives": getattr(provider, "MIN_OBJECTIVES", 1), "max_objectives": provider.MAX_OBJECTIVES}
        rows.append({"algorithm": name, "summary": provider.SUMMARY, **limits})
    if json is not None:
        write_json(json, {"schema": 1, "algorithms": rows})
    if json != STANDARD_OUTPUT:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for header in ("algorithm", "objectives", "what"):
            table.add_column(header)
        for row in rows:
            least, most = row["min_objectives"], row["max_objectives"]
            table.add_row(
                row["algorithm"], f"{least} or more" if most is None else f"{least} to {most}", row["summary"]
            )
        results().print(table)
