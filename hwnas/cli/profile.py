"""``hwnas profile``: measure latencies of sub-networks on platforms, with their intervals."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwnas.cli.configs import FORMS, read_configs
from hwnas.cli.options import (
    Cap,
    Effort,
    HtmlFile,
    JsonFile,
    LocalCluster,
    Models,
    Platforms,
    Protocol,
    Quiet,
    Scheduler,
    StoreUrl,
    SupernetOrNone,
    TlsCaFile,
    TlsCert,
    TlsKey,
    Wait,
    check_platforms,
    farm_options,
    output,
    protocol_asked,
    wait_s,
)
from hwnas.cli.output import STANDARD_OUTPUT, Delivery, remark, remark_on_page, results, write_json
from hwnas.cli.progress import measuring
from hwnas.cli.tables import Cell, Column, ColumnKind, TextTable
from hwnas.defaults import DEFAULT_STORE
from hwnas.harness.measurement.beside_load import beside_load, status_shown
from hwnas.search.words import shortened, troubled
from hwnas.supernets.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwnas.harness.bench.side_by_side import SideBySide
    from hwnas.harness.measure import Measurer
    from hwnas.harness.measurement.measurement import Measurement
    from hwnas.harness.store import Store
    from hwnas.supernets.fixed import FixedModel
    from hwnas.supernets.supernet import SuperNetwork

SCHEMA = 1

_COLUMNS = (
    Column("sub-network"),
    Column("platform", ColumnKind.NAME),
    Column("latency ms", right=True),
    Column("95 % interval", rank=1, right=True),
    Column("per s", rank=2, right=True),
    Column("first ms", rank=7, right=True),
    Column("prepare s", rank=8, right=True),
    Column("MACs", rank=3, right=True),
    Column("params", rank=4, right=True),
    Column("memory", rank=5, right=True),
    Column("status"),
    Column("ms in each stage", ColumnKind.TEXT, rank=6),
)
_PERCENTILES = (Column("median", right=True), Column("p95", right=True), Column("p99", right=True))


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(profile)


def profile(
    context: typer.Context,
    platform: Platforms,
    supernet: SupernetOrNone = None,
    config: Annotated[
        list[str] | None, typer.Option("--config", "-c", help=f"{FORMS}; repeatable.", show_default=False)
    ] = None,
    model: Models = None,
    protocol: Protocol = None,
    cap: Cap = None,
    wait: Wait = None,
    effort: Effort = None,
    passes: Annotated[
        int, typer.Option(min=1, max=2, help="With 2, measure everything again in another order and compare.")
    ] = 1,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Ignore stored measurements and measure everything again.")
    ] = False,
    json: JsonFile = None,
    percentiles: Annotated[
        bool,
        typer.Option("--percentiles", help="Show the median, 95th and 99th percentile of all samples too."),
    ] = False,
    samples: Annotated[bool, typer.Option("--samples", help="Put every raw sample into the JSON.")] = False,
    html: HtmlFile = None,
    pytest_benchmark: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write a file for 'pytest-benchmark compare'.", callback=output)
    ] = None,
    scheduler: Scheduler = None,
    local_cluster: LocalCluster = None,
    tls_ca_file: TlsCaFile = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    store: StoreUrl = DEFAULT_STORE,
    quiet: Quiet = False,
) -> int:
    """Measure sub-networks and fixed models of your own on one or several platforms, side by side."""
    from hwnas import supernets
    from hwnas.harness.bench.side_by_side import SideBySide
    from hwnas.harness.farm.connection import platforms_of
    from hwnas.harness.measurement.pytest_benchmark import to_pytest_benchmark
    from hwnas.harness.measurement.retest import retest
    from hwnas.harness.store import Store
    from hwnas.search.report.precisions import gains
    from hwnas.supernets.fixed import FixedModel

    asked, calm_s = protocol_asked(protocol, cap), wait_s(wait)
    farm = farm_options(scheduler, local_cluster, tls_ca_file, tls_cert, tls_key)
    check_platforms(farm, platform)
    net = None if supernet is None else supernets.get(supernet)
    models = [FixedModel.of(spec) for spec in model or ()]
    check_asked(net, config, models)
    X: Any = () if net is None or not config else read_configs(config, net.space, supernet=net.name, store=store)
    beside = SideBySide(net, X, models) if models else None
    measured: Any = net if beside is None else beside.net
    taken: list[_Taken] = []
    with platforms_of(farm, platform) as platforms, Store.open(store) as opened:
        context.obj.note_saved(f"what was measured is stored in {opened.name}")
        if beside is not None:
            beside.check(platforms)
        for where in platforms:
            options = {"protocol": asked, "wait_s": calm_s, "effort": effort}
            with measuring(measured, where, None if beside else opened, quiet, **options) as measurer:
                first, *again = (_pass(measurer, X, beside, opened, fresh or passes > 1) for _ in range(passes))
                second = again[0] if again else []
                taken.append(_Taken(str(where), measurer.environment, first, second))
    rows = [_row(one, samples, percentiles) for part in taken for one in part.first]
    environment = _environment(taken)
    retests = [retest(part.first, part.second) for part in taken if part.second]
    gained = gains(rows, environment)
    document = {"schema": SCHEMA, "environment": environment, "measurements": rows}
    extra = {"retest": [asdict(one) for one in retests], "precisions": [asdict(one) for one in gained]}
    document |= {name: each for name, each in extra.items() if each}
    with Delivery(
        f"the measurements are in the store: hwnas measurements --store {shlex.quote(store)} --json FILE"
    ) as deliver:
        deliver.result(document, _table(rows), json=json, html=html, page=lambda _: _page(taken, percentiles))
        if pytest_benchmark is not None:
            everything = [one for part in taken for one in part.first]
            deliver(write_json, pytest_benchmark, to_pytest_benchmark(everything, taken[0].environment))
        if json != STANDARD_OUTPUT:
            for one in (*retests, *gained):
                deliver(results().print, str(one), markup=False, soft_wrap=True)
            if not quiet:
                _remark_on(rows)
    remark_on_page(html, quiet=quiet)
    return int(all(row["status"] == "failed" for row in rows))


def check_asked(net: SuperNetwork | None, config: list[str] | None, models: Sequence[FixedModel]) -> None:
    """Raise ``UsageError`` where it is not said what to measure."""
    if net is None and config:
        raise UsageError("--config: expected a super-network before it, like ofa-mbv3-w1.0")
    if net is None and not models:
        raise UsageError("expected a super-network with --config, or --model; hwnas supernets lists super-networks")
    if net is not None and not config:
        raise UsageError(f"{net.name}: expected --config, like -c min -c max, to say which sub-networks to measure")


def _pass(measurer: Measurer, X: Any, beside: SideBySide | None, store: Store, fresh: bool) -> list[Measurement]:
    return measurer.measure(X, fresh=fresh) if beside is None else beside.measure(measurer.measure, store)


@dataclass(frozen=True)
class _Taken:
    """What was measured on one platform: one pass, or two."""

    platform: str
    environment: dict[str, Any]
    first: list[Measurement]
    second: list[Measurement]


def _row(measurement: Measurement, samples: bool, percentiles: bool) -> dict[str, Any]:
    from hwnas.harness.measurement.percentiles import explained, percentiles_json

    row = {**measurement.to_json(samples=samples), "statistic_in_words": explained(measurement)}
    return row | ({"percentiles_ms": percentiles_json(measurement)} if percentiles else {})


def _page(taken: list[_Taken], percentiles: bool) -> str:
    from hwnas.search.report import profile_page

    rows = [_row(one, True, percentiles) for part in taken for one in part.first]
    return profile_page({"schema": SCHEMA, "environment": _environment(taken), "measurements": rows})


def _environment(taken: list[_Taken]) -> dict[str, Any]:
    from hwnas.harness.host.environment import merged

    return merged({part.platform: part.environment for part in taken})


def _table(rows: list[dict[str, Any]]) -> TextTable:
    staged = any(row["stages_ms"] for row in rows)
    columns = [*_COLUMNS[:4], *(_PERCENTILES if any("percentiles_ms" in row for row in rows) else ()), *_COLUMNS[4:]]
    table = TextTable(columns if staged else columns[:-1])
    short = shortened(row["key"] for row in rows)
    for row in rows:
        table.add(short[row["key"]], *_cells(row), *([_stages(row)] if staged else []))
    return table


def _stages(row: dict[str, Any]) -> str:
    return " + ".join(f"{name} {number(value, '.3f')}" for name, value in row["stages_ms"].items())


def _cells(row: dict[str, Any]) -> list[Cell]:
    latency = row["latency_ms"]
    return [
        row["platform"],
        ""
        if latency["value"] is None
        else (f"{(value := format(latency['value'], '.3f'))} ({latency['statistic']})", value),
        _interval(latency),
        *(number(one["value"], ".3f") for one in row.get("percentiles_ms", {}).values()),
        number(row["throughput_per_s"], ".1f"),
        number(row["first_inference_ms"], ".2f"),
        number(row["prepare_s"], ".2f"),
        f"{row['macs'] / 1e6:.1f}M",
        f"{row['params'] / 1e6:.2f}M",
        "" if row["memory_bytes"] is None else f"{row['memory_bytes'] / 2**20:.0f} MiB",
        (status_shown(row["status"], row["context"].get("load")), f"{row['status']}{'*' * ('load' in row['context'])}"),
    ]


def _interval(latency: dict[str, Any]) -> str:
    """Return an interval in words; of few samples, a bound may not be known."""
    low, high = latency.get("ci_low"), latency.get("ci_high")
    return "" if low is None and high is None else f"{number(low, '.3f')}..{number(high, '.3f')}"


def _remark_on(rows: list[dict[str, Any]]) -> None:
    statistics = dict.fromkeys(row["statistic_in_words"] for row in rows if row["status"] != "failed")
    percentiles = any("percentiles_ms" in row for row in rows)
    if statistics:
        tail = "; median, p95 and p99: of all samples, disturbed ones too" if percentiles else ""
        remark(f"latency: {'; '.join(statistics)}{tail}")
    marked = beside_load(row["context"].get("load") for row in rows)
    if marked:
        remark(marked)
    short = shortened(row["key"] for row in rows)
    unstable = [row["reason"] for row in rows if row["status"] == "unstable"]
    if len(unstable) > 1:
        remark(f"{troubled('unstable', unstable, len(rows))}; --json has the reason of each")
    for row in rows:
        if row["reason"] and (row["status"] == "failed" or len(unstable) == 1):
            remark(f"{short[row['key']]} on {row['platform']} is {row['status']}: {row['reason']}")


def number(value: float | None, form: str) -> str:
    """Return ``value`` in ``form``, or nothing where there is none."""
    return "" if value is None else format(value, form)
