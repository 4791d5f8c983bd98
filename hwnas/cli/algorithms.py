"""``hwnas algorithms``: what can search."""

from __future__ import annotations

import typer

from hwnas.cli.options import JsonFile
from hwnas.cli.output import STANDARD_OUTPUT, results, write_json
from hwnas.cli.tables import Column, Kind, Table


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
        table = Table([Column("algorithm"), Column("objectives", rank=1), Column("what", Kind.TEXT)])
        for row in rows:
            least, most = row["min_objectives"], row["max_objectives"]
            table.add(row["algorithm"], f"{least} or more" if most is None else f"{least} to {most}", row["summary"])
        results().print(table)
