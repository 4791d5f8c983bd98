"""``hwnas weights``: published weights of super-networks."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from hwnas.cli import complete
from hwnas.cli.output import remark, results
from hwnas.cli.tables import Column, ColumnKind, TextTable


def add_to(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="Published weights of super-networks.", no_args_is_help=True)
    group.command("list")(list_published)
    group.command()(fetch)
    app.add_typer(group, name="weights")


def list_published() -> None:
    """List what is published, where, and under which SHA-256."""
    from hwnas.supernets import weights

    table = TextTable(
        [
            Column("super-network"),
            Column("file", ColumnKind.NAME),
            Column("published at", ColumnKind.TEXT, rank=3),
            Column("SHA-256", ColumnKind.TEXT, rank=4),
            Column("licence", rank=2),
            Column("what", ColumnKind.TEXT, rank=1),
        ]
    )
    for name in weights.names():
        known = weights.get(name)
        asset = known.asset
        digest = asset.sha256 or "not published: recorded when it is fetched"
        addresses = "\n".join(asset.urls)
        table.add(name, asset.path, escape(addresses), digest, asset.licence, known.summary)
    results().print(table)


def fetch(
    name: Annotated[
        str, typer.Argument(help="A super-network, such as ofa-mbv3-w1.0.", autocompletion=complete.weights)
    ],
) -> None:
    """Download published weights, check that they fit, and print the file for --weights."""
    from hwnas import supernets
    from hwnas.supernets import weights
    from hwnas.supernets.assets import digest, locate
    from hwnas.supernets.shared import Trainable

    asset = weights.get(name).asset
    file = locate(asset)
    net = supernets.get(name)
    assert isinstance(net, Trainable)  # noqa: S101 - weights are published of such alone
    tensors = len(net.shared(str(file)).tensors)
    checked = "verified by SHA-256" if asset.sha256 else f"SHA-256 {digest(file)}; none is published to compare with"
    remark(f"{name}: {tensors} tensors, all of the right shapes; {checked}")
    results().print(escape(str(file)), soft_wrap=True)
