"""``hwnas objectives`` and ``hwnas qualities``: what a search can optimise, and where quality comes from."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from hwnas.cli import complete
from hwnas.cli.options import JsonFile
from hwnas.cli.output import STANDARD_OUTPUT, remark, results, write_json
from hwnas.cli.tables import Column, ColumnKind, TextTable

_OBJECTIVES = (
    Column("objective"),
    Column("unit", rank=2),
    Column("better", rank=1),
    Column("what", ColumnKind.TEXT),
)
_QUALITIES = (Column("quality"), Column("runs sub-networks", rank=1), Column("what", ColumnKind.TEXT))


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(objectives)
    app.command()(qualities)


def objectives(json: JsonFile = None) -> None:
    """List what a search can optimise or constrain."""
    from hwnas.search.objectives import registry

    rows = []
    for name in registry.working():
        unit, better, summary = registry.stated(name, "LISTED").get(name, ("", "", ""))
        rows.append({"objective": name, "unit": unit, "better": better, "summary": summary})
    broken = registry.broken()
    if json is not None:
        write_json(json, {"schema": 1, "objectives": rows} | ({"broken": broken} if broken else {}))
    if json != STANDARD_OUTPUT:
        _print(_OBJECTIVES, [list(row.values()) for row in rows], broken)


def qualities(
    supernet: Annotated[
        str | None,
        typer.Argument(
            help="Only those that serve this super-network, its own first.",
            show_default=False,
            autocompletion=complete.supernets,
        ),
    ] = None,
    json: JsonFile = None,
) -> None:
    """List where the quality of sub-networks can come from: measured on data, predicted, or a function of your own."""
    from hwnas.harness.quality import registry

    names, default = registry.working(), None
    if supernet is not None:
        names, default = _serving(supernet)
    rows = [_quality(name) for name in names]
    broken = registry.broken()
    if json is not None:
        shown: dict[str, Any] = {"schema": 1, "qualities": rows, **({} if default is None else {"default": default})}
        write_json(json, shown | ({"broken": broken} if broken else {}))
    if json != STANDARD_OUTPUT:
        lines = [[row["spelled"], "yes" if row["runs_sub_networks"] else "no", row["summary"]] for row in rows]
        _print(_QUALITIES, lines, broken)
        if default is not None:
            remark(f"{supernet} uses {default} where no --quality is given")


def _serving(supernet: str) -> tuple[list[str], str]:
    """Return the names of the sources that serve a super-network, and its own."""
    from hwnas import supernets
    from hwnas.harness.quality import registry
    from hwnas.harness.quality.serving import serving

    net = supernets.get(supernet)
    return list(dict.fromkeys(spec.partition(":")[0] for spec in serving(registry, net))), net.default_quality


def _quality(name: str) -> dict[str, Any]:
    from hwnas.harness.quality import registry

    return {
        "quality": name,
        "spelled": registry.stated(name, "SPELLED") or name,
        "runs_sub_networks": registry.stated(name, "USES_WEIGHTS"),
        "summary": registry.stated(name, "SUMMARY"),
    }


def _print(columns: tuple[Column, ...], rows: list[list[str]], broken: dict[str, str]) -> None:
    table = TextTable(columns)
    for row in rows:
        table.add(*row)
    results().print(table)
    for reason in broken.values():
        remark(f"not here: {reason}")
