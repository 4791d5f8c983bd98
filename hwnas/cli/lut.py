"""``hwnas lut``: lookup tables of block latencies."""

from __future__ import annotations

import math
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table as Rows

from hwnas.cli.output import notes, remark, results


def add_to(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="Lookup tables of block latencies.", no_args_is_help=True)
    group.command()(fetch)
    group.command()(show)
    app.add_typer(group, name="lut")


def fetch(name: Annotated[str, typer.Argument(help="A published table, such as note10.")] = "note10") -> None:
    """Bring a published table onto this machine; files that are here already are only verified."""
    from rich.progress import track

    from latency_luts import published
    from supernets.assets import locate

    table = published.get(name)
    assets = list(table.assets.values())
    places = {str(locate(asset).parent) for asset in track(assets, name, console=notes(), transient=True)}
    remark(f"{name}: {table.summary}; {len(assets)} files, verified by SHA-256, in {', '.join(sorted(places))}")


def show(
    table: Annotated[
        str | None, typer.Argument(help="A published table's name, or a file.", show_default=False)
    ] = None,
    resolution: Annotated[int, typer.Option("--resolution", "-r", help="Of a published table, in pixels.")] = 224,
) -> None:
    """Show what a table holds; without a name, list the published ones."""
    from latency_luts import published, read

    rows = Rows(box=None, pad_edge=False, header_style="bold")
    if table is None:
        for header in ("table", "for", "what"):
            rows.add_column(header)
        for name in published.names():
            known = published.get(name)
            rows.add_row(name, ", ".join(known.serves), known.summary)
        results().print(rows)
        return
    found = published.get(table).table(resolution) if table in published.names() else read(table)
    rows.add_column("block")
    for header in ("mean ms", "std ms", "count"):
        rows.add_column(header, justify="right")
    for key, entry in found.entries.items():
        spread = f"{math.sqrt(entry.variance_s2) * 1e3:.4f}"
        rows.add_row(escape(key), f"{entry.mean_s * 1e3:.4f}", spread, str(entry.count or ""))
    results().print(rows)
