"""``hwnas measurements`` and ``hwnas studies``: what the store holds."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.markup import escape

from hwnas.cli import complete
from hwnas.cli.options import JsonFile, StoreUrl
from hwnas.cli.output import STANDARD_OUTPUT, remark, results, write_json
from hwnas.cli.tables import Column, ColumnKind, TextTable
from hwnas.defaults import DEFAULT_STORE
from hwnas.harness.measurement.beside_load import status_shown
from hwnas.search.words import shortened
from hwnas.supernets.errors import UsageError
from hwnas.supernets.shown import counted

_MEASUREMENTS = (
    Column("id", rank=3, right=True),
    Column("measured", rank=2),
    Column("super-network", ColumnKind.NAME, rank=1),
    Column("sub-network"),
    Column("platform", ColumnKind.NAME),
    Column("latency ms", right=True),
    Column("status"),
    Column("host", rank=4),
)
_STUDIES = (
    Column("study", ColumnKind.NAME),
    Column("super-network", ColumnKind.NAME, rank=1),
    Column("platform", ColumnKind.NAME),
    Column("algorithm", rank=2),
    Column("seed", rank=4),
    Column("evaluations", right=True),
    Column("begun", rank=3),
)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(measurements)
    app.command()(studies)


def measurements(
    supernet: Annotated[
        str | None, typer.Option(help="Only of this super-network.", autocompletion=complete.supernets)
    ] = None,
    platform: Annotated[
        str | None,
        typer.Option("--platform", "-p", help="Only on this platform.", autocompletion=complete.platforms),
    ] = None,
    status: Annotated[str | None, typer.Option(help="Only ok, unstable or failed ones.")] = None,
    before: Annotated[str | None, typer.Option(help="Only those taken before this date, like 2026-01-31.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Show the latest so many.")] = 50,
    prune: Annotated[
        bool, typer.Option("--prune", help="Delete what is listed (all of it, not only what shows).")
    ] = False,
    json: JsonFile = None,
    store: StoreUrl = DEFAULT_STORE,
) -> None:
    """List stored measurements; filter and prune them."""
    from hwnas.harness.platform import parse
    from hwnas.harness.store import Store, decoded
    from hwnas.supernets.values import number_or_none

    if status is not None and status not in {"ok", "unstable", "failed"}:
        raise UsageError(f"status {status!r}: expected ok, unstable or failed")
    if prune and not (supernet or platform or status or before):
        raise UsageError("prune: name what to delete by --supernet, --platform, --status or --before")
    wanted: dict[str, Any] = {
        "supernet": supernet,
        "platform": None if platform is None else str(parse(platform)),
        "status": status,
        "before": None if before is None else _day(before),
    }
    # A long store is read as a whole only where all of it is asked for.
    latest = None if prune or json is not None else limit
    with Store.open(store, create=False) as opened:
        rows = opened.measurements(**wanted, latest=latest, samples=False)
        n = opened.count_measurements(**wanted)
        with decoded(opened.name, "a measurement"):
            for row in [] if prune else rows:
                number_or_none(row["latency_s"], time=True)
        shown = _table(opened.name, rows[-limit:])
        # Written before they are gone.
        if json is not None:
            write_json(json, {"schema": 1, "measurements": rows, "deleted": len(rows) if prune else 0})
        deleted = opened.delete_measurements([row["id"] for row in rows]) if prune else 0
    if json != STANDARD_OUTPUT:
        results().print(shown)
        hidden = f", the latest {limit} shown" if n > limit else ""
        remark(f"{counted(n, 'measurement')}{hidden}{f'; {deleted} deleted' if prune else ''}")


def _day(text: str) -> str:
    from datetime import date

    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise UsageError(f"before {text!r}: expected a date like 2026-01-31") from None


def _table(store: str, rows: list[dict[str, Any]]) -> TextTable:
    from hwnas.harness.store import decoded

    table = TextTable(_MEASUREMENTS)
    with decoded(store, "a measurement"):
        short = shortened(str(row["key"]) for row in rows)
        for row in rows:
            table.add(*_cells(row, short))
    return table


def _cells(row: dict[str, Any], short: dict[str, str]) -> tuple[str, ...]:
    latency = row["latency_s"]
    return (
        str(row["id"]),
        str(row["measured_at"])[:19],
        escape(row["supernet"]),
        short[str(row["key"])],
        escape(row["platform"]),
        "" if latency is None else f"{1e3 * latency:.3f}",
        escape(status_shown(row["status"], row.get("context", {}).get("load"))),
        escape(row["fingerprint"]),
    )


def studies(json: JsonFile = None, store: StoreUrl = DEFAULT_STORE) -> None:
    """List stored studies."""
    from hwnas.harness.store import Store

    with Store.open(store, create=False) as opened:
        rows = [_study(opened.name, record) for record in opened.studies()]
    if json is not None:
        write_json(json, {"schema": 1, "studies": rows})
    if json != STANDARD_OUTPUT:
        table = TextTable(_STUDIES)
        for row in rows:
            table.add(*("" if value is None else escape(str(value)) for value in row.values()))
        results().print(table)


def _study(store: str, record: Any) -> dict[str, Any]:
    from hwnas.harness.store import decoded

    with decoded(store, f"the study {record.name!r}"):
        search = record.settings["search"]
        facts = {name: search[name] for name in ("supernet", "platform", "algorithm", "seed")}
        return {"study": record.name, **facts, "evaluations": record.evaluations, "begun": record.created_at[:19]}
