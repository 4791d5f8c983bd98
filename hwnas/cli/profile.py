"""``hwnas profile``: how fast is this sub-network on this platform, and how sure are we?"""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table

from hwnas.cli.configs import FORMS, read_configs
from hwnas.cli.options import DEFAULT_STORE, JsonFile, Platforms, Quiet, StoreUrl, Supernet
from hwnas.cli.output import STANDARD_OUTPUT, check_writable, remark, results, write_json
from hwnas.cli.progress import measuring

SCHEMA = 1


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(profile)


def profile(
    supernet: Supernet,
    config: Annotated[list[str], typer.Option("--config", "-c", help=f"{FORMS}; repeatable.")],
    platform: Platforms,
    json: JsonFile = None,
    samples: Annotated[bool, typer.Option("--samples", help="Put every raw sample into the JSON.")] = False,
    store: StoreUrl = DEFAULT_STORE,
    quiet: Quiet = False,
) -> int:
    """Measure sub-networks on one or several platforms, side by side."""
    import supernets
    from harness.platform import parse
    from harness.store import Store

    net = supernets.get(supernet)
    X = read_configs(config, net.space)
    platforms = [parse(text) for text in platform]
    check_writable(json)
    environments: dict[str, Any] = {}
    measurements = []
    with Store.open(store) as kept:
        for where in platforms:
            with measuring(net, where, kept, quiet) as measurer:
                measurements += measurer.measure(X)
                environments[str(where)] = measurer.environment
    rows = [measurement.to_json(samples=samples) for measurement in measurements]
    if json is not None:
        write_json(json, {"schema": SCHEMA, "environment": _merged(environments), "measurements": rows})
    if json != STANDARD_OUTPUT:
        results().print(_table(rows))
        if not quiet:
            _remark_on(rows)
    return int(all(row["status"] == "failed" for row in rows))


def _merged(environments: dict[str, Any]) -> dict[str, Any]:
    """Return what the platforms' environments share at the top, and what differs under ``platforms``."""
    first, *others = environments.values()
    shared = {key: value for key, value in first.items() if all(other.get(key) == value for other in others)}
    own = {
        platform: {key: value for key, value in environment.items() if key not in shared}
        for platform, environment in environments.items()
    }
    return shared | {"platforms": own}


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for header in ("sub-network", "platform"):
        table.add_column(header, overflow="fold")
    for header in ("latency ms", "95 % interval", "per s", "first ms", "prepare s", "MACs", "params"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("status")
    for row in rows:
        table.add_row(*_cells(row))
    return table


def _cells(row: dict[str, Any]) -> list[str]:
    latency = row["latency_ms"]
    interval = f"{latency['ci_low']:.3f}..{latency['ci_high']:.3f}" if latency.get("ci_low") is not None else ""
    return [
        short(row["key"]),
        row["platform"],
        "" if latency["value"] is None else f"{latency['value']:.3f} ({latency['statistic']})",
        interval,
        number(row["throughput_per_s"], ".1f"),
        number(row["first_inference_ms"], ".2f"),
        number(row["prepare_s"], ".2f"),
        f"{row['macs'] / 1e6:.1f}M",
        f"{row['params'] / 1e6:.2f}M",
        row["status"],
    ]


def _remark_on(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        if row["reason"]:
            remark(f"{short(row['key'])} on {row['platform']} is {row['status']}: {row['reason']}")


def short(key: str) -> str:
    """Return a key shortened for a table: its first and last digits."""
    return key if len(key) <= 16 else f"{key[:8]}…{key[-7:]}"


def number(value: float | None, form: str) -> str:
    """Return ``value`` in ``form``, or nothing where there is none."""
    return "" if value is None else format(value, form)
