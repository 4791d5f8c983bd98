"""``hwnas supernets``, ``hwnas backends``, ``hwnas platforms``: what there is, what works here, and why not."""

from __future__ import annotations

from typing import Any

import typer
from rich.table import Table

from hwnas.cli.options import JsonFile
from hwnas.cli.output import results, write_json


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(supernets)
    app.command()(backends)
    app.command()(platforms)


def supernets(json: JsonFile = None) -> None:
    """List the super-networks and their search spaces."""
    import supernets as package

    rows = [_supernet(package.get(name)) for name in package.names()]
    if json is not None:
        write_json(json, {"schema": 1, "supernets": rows})
    if json != "-":
        table = _table("super-network", "variables", "vectors", "distinct", "quality", "what")
        for row in rows:
            sizes = (f"{row[key]:.3g}" for key in ("size", "distinct_size"))
            table.add_row(row["name"], str(row["n_var"]), *sizes, row["default_quality"], row["summary"])
        results().print(table)


def _supernet(net: Any) -> dict[str, Any]:
    sizes = {"n_var": net.space.n_var, "size": net.space.size, "distinct_size": net.space.distinct_size}
    return {"name": net.name, "summary": net.summary, "default_quality": net.default_quality, **sizes}


def backends(json: JsonFile = None) -> None:
    """List the backends, and for those that do not work here, why."""
    import backends as package

    rows = [_backend(name, package.get(name)) for name in package.names()]
    if json is not None:
        write_json(json, {"schema": 1, "backends": rows})
    if json != "-":
        table = _table("backend", "works here", "precisions", "keys", "")
        for row in rows:
            works = "[green]yes[/]" if row["why_not"] is None else "[yellow]no[/]"
            about = row["why_not"] or ", ".join(f"{key} {value}" for key, value in row["versions"].items())
            table.add_row(row["name"], works, " ".join(row["precisions"]), " ".join(row["keys"]), about)
        results().print(table)


def _backend(name: str, backend: Any) -> dict[str, Any]:
    why_not = backend.why_not()
    return {
        "name": name,
        "why_not": why_not,
        "versions": backend.versions() if why_not is None else {},
        "devices": list(backend.devices),
        "precisions": list(backend.precisions),
        "keys": sorted(backend.keys) + [option.key for option in backend.options],
    }


def platforms(json: JsonFile = None) -> None:
    """List platform strings that work on this machine, and named ones of hwnas.toml."""
    from harness.platform import platforms_here

    rows = [{"platform": here.text, "why_not": here.why_not, "from": here.source} for here in platforms_here()]
    if json is not None:
        write_json(json, {"schema": 1, "platforms": rows})
    if json != "-":
        table = _table("platform", "works here", "from", "")
        for row in rows:
            works = "[green]yes[/]" if row["why_not"] is None else "[yellow]no[/]"
            table.add_row(str(row["platform"]), works, str(row["from"]), row["why_not"] or "")
        results().print(table)


def _table(*headers: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for header in headers:
        table.add_column(header, overflow="fold")
    return table
