"""``hwnas environment``: describe this machine, and what about it makes measurements worse."""

from __future__ import annotations

import typer
from rich.markup import escape

from hwnas.cli.options import JsonFile
from hwnas.cli.output import STANDARD_OUTPUT, notes, results, write_json
from hwnas.cli.tables import Column, ColumnKind, TextTable


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(environment)


def environment(json: JsonFile = None) -> None:
    """Show what is recorded with every measurement, and warn; it changes nothing."""
    from dataclasses import asdict

    from hwnas.harness.host import environment as registry

    found = registry.collect()
    warned = registry.warnings(found)
    if json is not None:
        shown = {"schema": 1, "environment": found, "warnings": [asdict(one) for one in warned]}
        write_json(json, shown | {"fingerprint": registry.fingerprint(found)})
    if json == STANDARD_OUTPUT:
        return
    table = TextTable([Column(""), Column("", ColumnKind.TEXT)])
    for name, value, unit in registry.table(found):
        table.add(name.replace("_", " "), escape(f"{value} {unit}".strip()))
    results().print(table)
    for one in warned:
        notes().print(f"[yellow]warning:[/] {escape(one.message)}", soft_wrap=True)
        if one.command:
            notes().print(f"  {escape(one.command)}", soft_wrap=True)
