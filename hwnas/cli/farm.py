"""``hwnas worker`` and ``hwnas farm``: offer this machine's platforms to others, and show the state of a farm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from hwnas.cli import complete
from hwnas.cli.options import JsonFile, Quiet, TlsCaFile, TlsCert, TlsKey
from hwnas.cli.output import STANDARD_OUTPUT, remark, results, write_json
from hwnas.cli.tables import Column, ColumnKind, TextTable
from hwnas.supernets.shown import counted

if TYPE_CHECKING:
    from hwnas.harness.farm.offer import Offer

Address = Annotated[
    str, typer.Option("--scheduler", metavar="ADDRESS", help="tls://HOST:PORT, or tcp://127.0.0.1:PORT.")
]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(worker)
    group = typer.Typer(help="A farm of machines that measure.", no_args_is_help=True)
    group.command()(scheduler)
    group.command()(status)
    app.add_typer(group, name="farm")


def worker(
    scheduler: Address,
    platform: Annotated[
        list[str] | None,
        typer.Option(
            "--platform",
            "-p",
            help="What to offer: PLATFORM, or NAME=PLATFORM; repeatable. Default: all that works.",
            autocompletion=complete.platforms,
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of this worker; default: the machine's.")] = None,
    unit: Annotated[
        int | None, typer.Option(min=0, help="Which of several equal devices of this machine it has.")
    ] = None,
    accuracy: Annotated[int, typer.Option(min=0, help="Sub-networks evaluated for their quality at a time.")] = 1,
    measure: Annotated[bool, typer.Option("--measure/--no-measure", help="Offer devices at all.")] = True,
    tls_ca_file: TlsCaFile = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    quiet: Quiet = False,
) -> None:
    """Offer this machine's platforms to a scheduler, until interrupted. It needs no rights beyond a user's own."""
    from hwnas.harness.farm.engine import check_installed
    from hwnas.harness.farm.offer import offer_here
    from hwnas.harness.farm.security import Tls, checked
    from hwnas.harness.farm.supervisor import JoinOrder, supervise

    check_installed()
    tls = Tls(tls_ca_file, tls_cert, tls_key)
    address = checked(scheduler, tls)
    offered = tuple(platform or ())
    offer = offer_here(offered, name=name, unit=unit, accuracy=accuracy, measure=measure)
    if not quiet:
        remark(f"worker {offer.name} offers {_words(offer)} to {address}")
    order = JoinOrder(address, tls, offered, name, unit, accuracy, measure)
    supervise(order, (lambda _: None) if quiet else remark)


def scheduler(
    host: Annotated[str, typer.Option(help="Where to listen; other than loopback needs TLS.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any unused port.")] = 8786,
    tls_ca_file: TlsCaFile = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    quiet: Quiet = False,
) -> None:
    """Run the scheduler that workers and searches meet at, until interrupted."""
    import asyncio

    from hwnas.harness.farm.scheduler import listening, serve
    from hwnas.harness.farm.security import Tls

    tls = Tls(tls_ca_file, tls_cert, tls_key)

    def ready(address: str) -> None:
        if not quiet:
            remark(f"listening on {address}; workers: hwnas worker --scheduler {address}")

    asyncio.run(serve(listening(host, port, tls), tls, ready))


def status(
    scheduler: Address,
    json: JsonFile = None,
    tls_ca_file: TlsCaFile = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
) -> None:
    """Show workers, devices, what is measured and what waits, and what went wrong last."""
    from hwnas.harness.farm.cluster import Cluster
    from hwnas.harness.farm.security import Tls
    from hwnas.harness.farm.status import status as look

    cluster = Cluster(scheduler, Tls(tls_ca_file, tls_cert, tls_key))
    try:
        shown = look(cluster)
    finally:
        cluster.close()
    if json is not None:
        write_json(json, shown)
    if json != STANDARD_OUTPUT:
        results().print(_table(shown))
        waiting, under_way = shown["queue"]["networks"], shown["queue"]["under_way"]
        remark(
            f"{counted(len(shown['workers']), 'worker')}, {under_way} measuring; {waiting} networks wait in the clients"
        )


def _words(offer: Offer) -> str:
    parts = [f"{name} on {', '.join(offered.devices)}" for name, offered in offer.backends.items()]
    parts += [f"the name {name}" for name in offer.platforms]
    return "; ".join([*parts, *([f"accuracy x{offer.accuracy}"] if offer.accuracy else [])]) or "nothing"


def _table(shown: dict[str, Any]) -> TextTable:
    table = TextTable(
        [
            Column("worker", ColumnKind.NAME),
            Column("devices", ColumnKind.TEXT),
            Column("offers", ColumnKind.TEXT, rank=2),
            Column("measuring", ColumnKind.TEXT),
            Column("measured", right=True),
            Column("last error", ColumnKind.TEXT, rank=1),
        ]
    )
    for one in shown["workers"]:
        offers = [*one["platforms"], *one["backends"], *(["accuracy"] if one["accuracy"] else [])]
        current = [
            f"{each['networks']} of {each['supernet']} on {each['platform']}, {each['s']:.0f} s"
            + (f" ({each['message']})" if each["message"] else "")
            for each in one["current"]
        ]
        row = (one["name"], " ".join(one["devices"]), ", ".join(offers), "; ".join(current) or "-")
        table.add(*map(escape, row), str(one["measured"]), escape(one["last_error"]))
    return table
