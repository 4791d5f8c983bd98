"""``hwnas lut``: lookup tables of block latencies."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from hwnas.cli import complete
from hwnas.cli.options import (
    Cap,
    HtmlFile,
    JsonFile,
    LocalCluster,
    Platform,
    Protocol,
    Quiet,
    Scheduler,
    Seed,
    StoreUrl,
    Supernet,
    TlsCaFile,
    TlsCert,
    TlsKey,
    Wait,
    check_platforms,
    farm_options,
    output_file,
    protocol_asked,
    wait_s,
)
from hwnas.cli.output import STANDARD_OUTPUT, Delivery, check_writable, notes, remark, remark_on_page, results
from hwnas.cli.progress import telling
from hwnas.cli.tables import Column, ColumnKind, TextTable
from hwnas.defaults import DEFAULT_STORE
from hwnas.harness.measurement.beside_load import Load, beside_load
from hwnas.search.words import troubled

if TYPE_CHECKING:
    from hwnas.latency_luts.table import LatencyTable

Fresh = Annotated[bool, typer.Option("--fresh", help="Ignore stored measurements and measure everything again.")]


def add_to(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="Lookup tables of block latencies.", no_args_is_help=True)
    group.command()(fetch)
    group.command()(show)
    group.command()(build)
    group.command()(check)
    app.add_typer(group, name="lut")


def fetch(
    name: Annotated[
        str, typer.Argument(help="A published table, such as note10.", autocompletion=complete.tables)
    ] = "note10",
) -> None:
    """Download a published table; if it is here already, only verify it."""
    from rich.progress import track

    from hwnas.latency_luts import published
    from hwnas.supernets.assets import locate

    table = published.get(name)
    assets = list(table.assets.values())
    places = {str(locate(asset).parent) for asset in track(assets, name, console=notes(), transient=True)}
    remark(f"{name}: {table.summary}; {len(assets)} files, verified by SHA-256, in {', '.join(sorted(places))}")


def show(
    table: Annotated[
        str | None,
        typer.Argument(help="A published table's name, or a file.", show_default=False, autocompletion=complete.tables),
    ] = None,
    resolution: Annotated[
        int, typer.Option("--resolution", "-r", help="Resolution of a published table, in pixels.")
    ] = 224,
) -> None:
    """Show what a table holds; without a name, list the published ones."""
    from hwnas.latency_luts import published

    if table is None:
        rows = TextTable([Column("table"), Column("for", ColumnKind.TEXT, rank=1), Column("what", ColumnKind.TEXT)])
        for name in published.names():
            known = published.get(name)
            rows.add(name, ", ".join(known.serves), known.summary)
        results().print(rows)
        return
    found = _opened(table, resolution)
    numbers = Column("mean ms", right=True), Column("std ms", rank=1, right=True), Column("count", rank=2, right=True)
    rows = TextTable([Column("block", ColumnKind.NAME), *numbers])
    for key, entry in found.entries.items():
        spread = "" if math.isnan(entry.variance_s2) else f"{math.sqrt(entry.variance_s2) * 1e3:.4f}"
        rows.add(escape(key), f"{entry.mean_s * 1e3:.4f}", spread, str(entry.count or ""))
    results().print(rows)


def _opened(table: str, resolution: int) -> LatencyTable:
    """Return a published table of a resolution, or that of a file; raises ``UsageError`` where it is neither."""
    from hwnas.latency_luts import published, read
    from hwnas.supernets.errors import UsageError, suggestion
    from hwnas.supernets.files import expanded, is_file

    if table in published.names():
        return published.get(table).table(resolution)
    if "/" not in table and not is_file(expanded(table)):
        raise UsageError(
            f"lut show {table!r}: neither a file nor a published table{suggestion(table, published.names())}"
        )
    return read(table)


def build(
    context: typer.Context,
    supernet: Supernet,
    platform: Platform,
    out: Annotated[str, typer.Option("--out", "-o", metavar="FILE", help="The table, as YAML.", callback=output_file)],
    protocol: Protocol = None,
    cap: Cap = None,
    wait: Wait = None,
    fresh: Fresh = False,
    scheduler: Scheduler = None,
    local_cluster: LocalCluster = None,
    tls_ca_file: TlsCaFile = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    store: StoreUrl = DEFAULT_STORE,
    quiet: Quiet = False,
) -> None:
    """Build a table for this device: measure every block of the whole space alone. Interrupted builds resume."""
    from hwnas import supernets
    from hwnas.harness.farm.connection import platforms_of
    from hwnas.harness.luts.build import build_table
    from hwnas.harness.store import Store

    asked, calm_s = protocol_asked(protocol, cap), wait_s(wait)
    farm = farm_options(scheduler, local_cluster, tls_ca_file, tls_cert, tls_key)
    check_platforms(farm, [platform])
    net = supernets.get(supernet)
    with (
        platforms_of(farm, [platform]) as (where,),
        Store.open(store) as opened,
        telling(str(where), quiet) as progress,
    ):
        context.obj.note_saved(f"the blocks that were measured are stored in {opened.name}")
        built = build_table(net, where, store=opened, protocol=asked, wait_s=calm_s, progress=progress, fresh=fresh)
    with Delivery(f"the blocks are in the store {store}: this command again measures none that is there") as deliver:
        deliver(built.write, out, net.name)
    if quiet:
        return
    reused = f", {built.cached} of them from the store" if built.cached else ""
    remark(f"{out}: {len(built.entries)} blocks of {net.name}{reused}, in {built.seconds:.0f} s")
    _remark_on_noise(list(built.unconverged.values()), built.loads, "blocks", "their names are in the table's header")
    checking = shlex.join(["hwnas", "lut", "check", out, "-p", str(built.platform), "--calibrate", "20"])
    remark(f"how well its sums predict whole sub-networks: {checking}")


def check(
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="A table of any known layout.", show_default=False)],
    platform: Annotated[
        str | None,
        typer.Option(
            "--platform",
            "-p",
            help="Where to measure; default: where the table was built.",
            autocompletion=complete.platforms,
        ),
    ] = None,
    n: Annotated[int, typer.Option("-n", min=2, help="Number of random sub-networks to compare on.")] = 50,
    calibrate: Annotated[
        int, typer.Option(min=0, help="Number of further sub-networks to fit a correction on, which is stored in FILE.")
    ] = 0,
    supernet: Annotated[
        str | None,
        typer.Option(
            help="Super-network; default: the one that the table was built for.", autocompletion=complete.supernets
        ),
    ] = None,
    seed: Seed = 0,
    protocol: Protocol = None,
    cap: Cap = None,
    wait: Wait = None,
    fresh: Fresh = False,
    json: JsonFile = None,
    html: HtmlFile = None,
    store: StoreUrl = DEFAULT_STORE,
    quiet: Quiet = False,
) -> None:
    """Compare a table's sums with sub-networks measured end to end; with --calibrate, correct them."""
    from hwnas import latency_luts, supernets
    from hwnas.harness.luts.check import calibrated, check_table
    from hwnas.harness.platform import parse
    from hwnas.harness.store import Store
    from hwnas.latency_luts.write import check_can_be_corrected, store_correction
    from hwnas.search.report import table_check_page

    asked, calm_s = protocol_asked(protocol, cap), wait_s(wait)
    table = latency_luts.read(file)
    net = supernets.get(_or_header(supernet, table.header, "supernet", file))
    where = parse(_or_header(platform, table.header, "platform", file))
    if calibrate:
        check_writable(file)
        check_can_be_corrected(file, table)  # asked before the measuring
    with Store.open(store) as opened, telling(str(where), quiet) as progress:
        context.obj.note_saved(f"what was measured is stored in {opened.name}")
        found = check_table(
            table,
            net,
            where,
            n=n,
            calibrate=calibrate,
            seed=seed,
            store=opened,
            protocol=asked,
            wait_s=calm_s,
            progress=progress,
            fresh=fresh,
        )
    outcome = found.to_json()
    with Delivery(f"what was measured is in the store {store}: this command again measures nothing twice") as deliver:
        if calibrate:
            deliver(store_correction, file, table, calibrated(found))
        deliver.result(outcome, _scores(outcome), _worst(outcome), json=json, html=html, page=table_check_page)
        if json != STANDARD_OUTPUT and not quiet:
            remark(_gain(outcome))
            noisy = "the errors above contain their noise"
            _remark_on_noise(outcome["unconverged"], found.loads, "measured sub-networks", noisy)
    remark_on_page(html, quiet=quiet)
    if json != STANDARD_OUTPUT and calibrate and not quiet:
        remark(f"the correction is stored in {file}: lut:file={file} applies it")


def _remark_on_noise(reasons: list[str], loads: Sequence[Load | None], noun: str, more: str) -> None:
    """Say in one line how many did not converge, and in another how many were measured beside other programs."""
    if reasons:
        remark(f"{troubled('unstable', reasons, len(loads), noun)}; {more}")
    marked = beside_load(loads, noun)
    if marked:
        remark(marked)


def _or_header(given: str | None, header: Mapping[str, Any], name: str, file: str) -> str:
    from hwnas.supernets.errors import UsageError

    if given is None and name not in header:
        raise UsageError(f"{file}: does not say its {name}; give --{name}")
    return str(given or header[name])


def _scores(outcome: Mapping[str, Any]) -> TextTable:
    scored = (Column(header, right=True) for header in ("MAPE %", "bias %", "Kendall tau"))
    rows = TextTable([Column("prediction"), Column("sub-networks", rank=1, right=True), *scored])
    for name, label in (("plain", "plain sums"), ("corrected", "corrected sums")):
        scores = outcome[name]
        if scores is not None:
            tau = "" if scores["kendall_tau"] is None else f"{scores['kendall_tau']:.3f}"
            numbers = f"{scores['mape_percent']:.2f}", f"{scores['bias_percent']:+.2f}"
            rows.add(label, str(scores["n"]), *numbers, tau)
    return rows


def _worst(outcome: Mapping[str, Any]) -> TextTable:
    compared = (Column(header, right=True) for header in ("measured ms", "predicted ms", "error %"))
    rows = TextTable([Column("worst sub-networks", ColumnKind.NAME), *compared])
    for row in outcome["worst"]:
        numbers = f"{row['measured_ms']:.3f}", f"{row['predicted_ms']:.3f}", f"{row['error_percent']:+.2f}"
        rows.add(row["key"], *numbers)
    return rows


def _gain(outcome: Mapping[str, Any]) -> str:
    plain, corrected, n = outcome["plain"], outcome["corrected"], outcome["n_calibration"]
    if corrected is None:
        return "the table has no correction; fit one with --calibrate 20"
    error = f"takes the error from {plain['mape_percent']:.1f} % to {corrected['mape_percent']:.1f} %"
    if not n:
        return f"the correction that is stored in the table {error}"
    return f"the correction, fitted on {n} other sub-networks, {error} on {corrected['n']} that it has not seen"
