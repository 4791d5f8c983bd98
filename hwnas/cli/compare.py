"""``hwnas compare``: compare algorithms on one problem over several seeds."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from hwnas.cli import complete
from hwnas.cli.options import (
    Cap,
    Evals,
    HtmlFile,
    JsonFile,
    LocalCluster,
    Protocol,
    Quality,
    Quiet,
    References,
    Scheduler,
    StoreUrl,
    Subset,
    Supernet,
    TlsCaFile,
    TlsCert,
    TlsKey,
    Wait,
    Weights,
    WherePlatform,
    Workers,
    check_platforms,
    farm_options,
    protocol_asked,
    reference_point,
    wait_s,
)
from hwnas.cli.output import Delivery, remark, remark_on_page
from hwnas.cli.progress import comparing
from hwnas.cli.tables import Column, ColumnKind, TextTable
from hwnas.defaults import DEFAULT_STORE
from hwnas.supernets.shown import counted


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(compare)


def compare(
    context: typer.Context,
    supernet: Supernet,
    platform: WherePlatform = None,
    algorithms: Annotated[
        str,
        typer.Option(
            help="Algorithms, separated by commas; NAME:PRESET for a preset, like linas:paper.",
            autocompletion=complete.algorithm_list,
        ),
    ] = "linas,nsga2,random",
    evals: Evals = 150,
    seeds: Annotated[int, typer.Option(min=1, help="Number of searches of each algorithm, with seeds 0, 1, ...")] = 5,
    objective: Annotated[
        list[str] | None, typer.Option(help="Objective; repeatable.", autocompletion=complete.objectives)
    ] = None,
    quality: Quality = None,
    weights: Weights = None,
    subset: Subset = None,
    workers: Workers = 1,
    constraint: Annotated[list[str] | None, typer.Option(help="Constraint like 'latency<=20ms'; repeatable.")] = None,
    reference: References = None,
    best: Annotated[
        float | None, typer.Option(help="Hypervolume that is normalised to 1; default: that of all fronts together.")
    ] = None,
    threshold: Annotated[
        list[float] | None,
        typer.Option(
            help="Normalised hypervolume to reach; repeatable. Default: what each algorithm but the best reached."
        ),
    ] = None,
    protocol: Protocol = None,
    cap: Cap = None,
    wait: Wait = None,
    json: JsonFile = None,
    html: HtmlFile = None,
    scheduler: Scheduler = None,
    local_cluster: LocalCluster = None,
    tls_ca_file: TlsCaFile = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    store: StoreUrl = DEFAULT_STORE,
    quiet: Quiet = False,
) -> int:
    """Compare search algorithms over several seeds: hypervolume, and evaluations and time to reach thresholds."""
    from hwnas import supernets
    from hwnas.harness.farm.connection import platforms_of
    from hwnas.harness.quality import QualityOptions
    from hwnas.harness.store import Store
    from hwnas.search.comparison.run import compare as run
    from hwnas.search.report import compare_page
    from hwnas.search.report.compare import nothing_found

    asked, calm_s = protocol_asked(protocol, cap), wait_s(wait)
    farm = farm_options(scheduler, local_cluster, tls_ca_file, tls_cert, tls_key)
    named = [] if platform is None else [platform]
    check_platforms(farm, named)
    net = supernets.get(supernet)
    with platforms_of(farm, named) as places, Store.open(store) as opened, comparing(quiet) as progress:
        context.obj.note_saved(f"what was measured is stored in {opened.name}")
        found = run(
            net,
            places[0] if places else None,
            algorithms=[name for name in algorithms.split(",") if name.strip()],
            evals=evals,
            seeds=seeds,
            quality=quality,
            quality_options=QualityOptions(weights, subset, workers),
            objectives=objective,
            constraints=constraint or (),
            reference=reference_point(reference),
            best=best,
            thresholds=threshold,
            protocol=asked,
            wait_s=calm_s,
            store=opened,
            progress=progress,
        )
    outcome = found.to_json()
    with Delivery(f"what was measured is in the store {store}: this command again measures nothing twice") as deliver:
        deliver.result(outcome, _table(outcome), json=json, html=html, page=compare_page)
    nothing = nothing_found(outcome)
    if not quiet:
        _remarks(outcome, nothing, html)
    elif nothing:
        # What failed is no progress: whoever asked for quiet wants to hear of that alone.
        remark(nothing)
    return 1 if nothing else 0


def _table(outcome: dict[str, Any]) -> TextTable:
    reached = (Column(f"to {one['value']:.3f}", rank=1, right=True) for one in outcome["thresholds"])
    times = (Column("measure s", rank=3, right=True), Column("search s", rank=2, right=True))
    volume = Column(f"hypervolume at {outcome['evals']}", right=True)
    table = TextTable([Column("algorithm", ColumnKind.NAME), volume, *reached, *times])
    for row, one in enumerate(outcome["algorithms"]):
        counts = (threshold["reached"][row]["evaluations"] for threshold in outcome["thresholds"])
        seconds = (f"{one['time_s'][what]:.1f}" for what in ("measure", "search"))
        table.add(one["name"], _final(one["final"]), *("never" if n is None else str(n) for n in counts), *seconds)
    return table


def _final(final: dict[str, Any]) -> str:
    error = final["standard_error"]
    return f"{final['mean']:.4f}" if error is None else f"{final['mean']:.4f} ± {error:.4f}"


def _remarks(outcome: dict[str, Any], nothing: str, html: str | None) -> None:
    best, seeds = outcome["best"], counted(len(outcome["seeds"]), "seed")
    given = "as given" if best["given"] else "that of all searches together"
    remark(nothing or f"mean ± standard error over {seeds}; 1 is a hypervolume of {best['value']:.6g}, {given}")
    if outcome.get("measured_together"):
        remark(f"the {outcome['measured_together']} sub-networks on their fronts were measured together, in full")
    quality = outcome["quality"]
    if quality is not None and quality["predicted"]:
        remark(f"{quality['metric']} is a prediction ({quality['source']})")
    for line in outcome.get("remarks", ()):
        remark(line)
    for name in ("unstable", "beside_load"):
        if outcome.get(name):
            remark(outcome[name])
    remark_on_page(html, quiet=False)
