"""``hwnas algorithms``: list the search algorithms."""

from __future__ import annotations

from typing import Any

import typer

from hwnas.cli.options import JsonFile
from hwnas.cli.output import STANDARD_OUTPUT, remark, results, write_json
from hwnas.cli.tables import Column, ColumnKind, TextTable


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(algorithms)


def algorithms(json: JsonFile = None) -> None:
    """List the search algorithms and how many objectives they take."""
    from hwnas.search.algorithms import registry

    columns = {"summary": "SUMMARY", "min_objectives": "MIN_OBJECTIVES", "max_objectives": "MAX_OBJECTIVES"}
    rows: list[dict[str, Any]] = [
        {"algorithm": name, **{column: registry.stated(name, what) for column, what in columns.items()}}
        for name in registry.working()
    ]
    broken = registry.broken()
    if json is not None:
        write_json(json, {"schema": 1, "algorithms": rows} | ({"broken": broken} if broken else {}))
    if json != STANDARD_OUTPUT:
        table = TextTable([Column("algorithm"), Column("objectives", rank=1), Column("what", ColumnKind.TEXT)])
        for row in rows:
            table.add(row["algorithm"], _number(row["min_objectives"], row["max_objectives"]), row["summary"])
        results().print(table)
        for reason in broken.values():
            remark(f"not here: {reason}")


def _number(least: int, most: int | None) -> str:
    if most is None:
        return f"{least} or more"
    return str(least) if least == most else f"{least} to {most}"
