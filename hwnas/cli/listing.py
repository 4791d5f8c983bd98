"""``hwnas supernets``, ``hwnas backends``, ``hwnas platforms``: what there is, what works here, and why not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer
from rich.markup import escape

from hwnas.cli.options import JsonFile, Supernet
from hwnas.cli.output import remark, results, write_json
from hwnas.cli.tables import Column, ColumnKind, TextTable
from hwnas.supernets.errors import HwnasError, PlugInError

if TYPE_CHECKING:
    from hwnas.backends.backend import Backend
    from hwnas.harness.platform import PlatformHere
    from hwnas.supernets.supernet import SuperNetwork

_SUPERNETS = (
    Column("super-network"),
    Column("variables", rank=3),
    Column("vectors", rank=4),
    Column("distinct", rank=2),
    Column("quality", rank=1),
    Column("what", ColumnKind.TEXT),
)
_CHOICES = (
    Column("what", ColumnKind.NAME),
    Column("key", rank=3),
    Column("layers", rank=4),
    Column("values, or why it is fixed", ColumnKind.TEXT),
    Column("of MACs", rank=1),
    Column("of parameters", rank=2),
)
_BACKENDS = (
    Column("backend"),
    Column("works here"),
    Column("precisions", ColumnKind.TEXT, rank=1),
    Column("keys", ColumnKind.TEXT, rank=2),
    Column("versions, or why not", ColumnKind.TEXT),
)
_PLATFORMS = (Column("platform", ColumnKind.NAME), Column("works here"), Column("keys, or why not", ColumnKind.TEXT))


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(invoke_without_command=True)
    group.callback()(supernets)
    group.command("show")(show)
    app.add_typer(group, name="supernets", help=supernets.__doc__)
    app.command()(backends)
    app.command()(platforms)


def supernets(context: typer.Context, json: JsonFile = None) -> None:
    """List the super-networks and their search spaces, or show what is elastic in one."""
    from hwnas import supernets as package

    if context.invoked_subcommand is not None:
        return

    rows, broken = [], package.registry.broken()
    needs = package.needs()
    for name in package.registry.working():
        if name in needs:
            continue
        try:
            with package.registry.at_work(name):
                rows.append(_supernet(package.get(name)))
        except PlugInError as error:
            broken[name] = str(error)
    if json is not None:
        write_json(json, {"schema": 1, "supernets": rows, "own": needs} | ({"broken": broken} if broken else {}))
    if json != "-":
        table = TextTable(_SUPERNETS)
        for row in rows:
            sizes = (f"{row[key]:.3g}" for key in ("size", "distinct_size"))
            table.add(row["name"], str(row["n_var"]), *sizes, row["default_quality"], row["summary"])
        results().print(table)
        for name, option in needs.items():
            results().print(f"of your own: {name}:{option}", markup=False)
        for reason in broken.values():
            remark(f"not here: {reason}")


def show(supernet: Supernet, json: JsonFile = None) -> None:
    """Show the choices of a super-network; of your own model every set of channels, and what is fixed and why."""
    from hwnas import supernets as package

    net = package.get(supernet)
    rows = _choices(net)
    if json is not None:
        write_json(json, {"schema": 1, **_supernet(net), "choices": rows})
    if json != "-":
        table = TextTable(_CHOICES)
        for row in rows:
            shares = (f"{row[key]:.1%}" if row[key] is not None else "" for key in ("macs", "params"))
            about = f"fixed: {row['fixed']}" if row["fixed"] else " ".join(map(str, row["values"]))
            table.add(escape(row["name"]), row["key"], str(row["layers"]), escape(about), *shares)
        results().print(table)
        params, macs = (int(count(net.space.largest())[0]) for count in (net.params, net.macs))
        least = [int(count(net.space.smallest())[0]) for count in (net.params, net.macs)]
        results().print(
            f"{net.space.distinct_size:.3g} sub-networks, of {least[0]:,} to {params:,} parameters and {least[1]:,} to "
            f"{macs:,} MACs",
            markup=False,
        )
        if one_batch := getattr(net, "one_batch", ""):
            remark(f"it {one_batch}")


def _choices(net: SuperNetwork) -> list[dict[str, Any]]:
    """Return the choices of a super-network, each with its share of MACs and parameters if it is an own model's."""
    from hwnas.supernets.elastic.listing import rows

    own = rows(net)
    if own is not None:
        return own
    groups: dict[str, list[Any]] = {}
    for choice in net.space.choices:
        groups.setdefault(choice.key, []).append(choice)
    nothing: dict[str, Any] = {"fixed": "", "macs": None, "params": None}
    return [
        {
            "name": key,
            "key": key,
            "layers": len(choices),
            "values": sorted({value for one in choices for value in one.values}),
            **nothing,
        }
        for key, choices in groups.items()
    ]


def _supernet(net: Any) -> dict[str, Any]:
    sizes = {"n_var": net.space.n_var, "size": net.space.size, "distinct_size": net.space.distinct_size}
    return {"name": net.name, "summary": net.summary, "default_quality": net.default_quality, **sizes}


def backends(json: JsonFile = None) -> None:
    """List the backends, and for those that do not work here, why."""
    from hwnas import backends as package

    rows = [_backend(name) for name in package.names()]
    if json is not None:
        write_json(json, {"schema": 1, "backends": rows})
    if json != "-":
        table = TextTable(_BACKENDS)
        for row in rows:
            about = row["why_not"] or ", ".join(f"{key} {value}" for key, value in row["versions"].items())
            precisions = " ".join(each for each in row["precisions"] if each not in row["refused"])
            table.add(row["name"], _works(row["why_not"]), precisions, " ".join(row["keys"]), escape(about))
        results().print(table)
        for row in rows:
            for reason in row["refused"].values():
                remark(f"{row['name']}: not here: {reason}")


def _backend(name: str) -> dict[str, Any]:
    from hwnas import backends as package

    try:
        with package.registry.at_work(name):
            return _about(name, package.get(name))
    except HwnasError as error:  # a broken plug-in takes only itself down
        nothing: dict[str, Any] = {"devices": [], "precisions": [], "refused": {}, "keys": []}
        return {"name": name, "why_not": str(error), "versions": {}, **nothing}


def _about(name: str, backend: Backend) -> dict[str, Any]:
    from hwnas.backends.backend import libraries, why_not
    from hwnas.harness.platform import refused_precisions

    reason = why_not(backend)
    return {
        "name": name,
        "why_not": reason,
        "versions": libraries(backend) if reason is None else {},
        "devices": list(backend.devices),
        "precisions": list(backend.precisions),
        "refused": refused_precisions(backend) if reason is None else {},
        "keys": sorted(backend.keys) + [option.key for option in backend.options],
    }


def platforms(json: JsonFile = None) -> None:
    """List platform strings that work on this machine, and named ones of hwnas.toml."""
    from hwnas.harness.platform import named_platforms, platforms_here

    rows = [_platform(here) for here in platforms_here()]
    if json is not None:
        write_json(json, {"schema": 1, "platforms": rows})
    if json != "-":
        table = TextTable(_PLATFORMS)
        for row in rows:
            about = "; ".join([_keys(row["keys"]), *(f"not here: {reason}" for reason in row["refused"].values())])
            table.add(row["platform"], _works(row["why_not"]), escape(row["why_not"] or about))
        for name, spelled in named_platforms().items():
            table.add(escape(name), "", escape(f"= {spelled} (hwnas.toml)"))
        results().print(table)


def _platform(here: PlatformHere) -> dict[str, Any]:
    facts = {"platform": here.platform, "why_not": here.why_not, "versions": here.versions}
    return {**facts, "keys": dict(here.keys), "refused": dict(here.refused)}


def _keys(keys: dict[str, str]) -> str:
    return "; ".join(f"{key}={allowed}" for key, allowed in keys.items())


def _works(why_not: str | None) -> str:
    return "[green]yes[/]" if why_not is None else "[yellow]no[/]"
