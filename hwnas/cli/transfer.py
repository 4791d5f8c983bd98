"""``hwnas transfer``: what does a front lose when it is deployed on another platform?"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from hwnas.cli import complete
from hwnas.cli.options import (
    Algorithm,
    Cap,
    Effort,
    Evals,
    HtmlFile,
    JsonFile,
    LocalCluster,
    Platforms,
    Protocol,
    Quality,
    Quiet,
    Scheduler,
    Seed,
    StoreUrl,
    Subset,
    Supernet,
    TlsCaFile,
    TlsCert,
    TlsKey,
    Wait,
    Weights,
    Workers,
    check_platforms,
    farm_options,
    protocol_asked,
    wait_s,
)
from hwnas.cli.output import Delivery, remark, remark_on_page
from hwnas.cli.progress import transferring
from hwnas.defaults import DEFAULT_STORE


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(transfer)


def transfer(
    context: typer.Context,
    supernet: Supernet,
    platform: Platforms,
    study: Annotated[
        list[str] | None,
        typer.Option(
            help="Use this stored study in place of a search on its platform; repeatable.",
            autocompletion=complete.studies,
        ),
    ] = None,
    quality: Quality = None,
    weights: Weights = None,
    subset: Subset = None,
    workers: Workers = 1,
    algorithm: Algorithm = "linas",
    evals: Evals = 50,
    seed: Seed = 0,
    samples: Annotated[
        int, typer.Option(min=0, help="Number of other sub-networks to measure, for correlations between platforms.")
    ] = 30,
    fresh: Annotated[bool, typer.Option("--fresh", help="Measure each front again on its own platform too.")] = False,
    protocol: Protocol = None,
    cap: Cap = None,
    effort: Effort = None,
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
) -> None:
    """Search on each platform, measure each front on all of them, and report how well results transfer.

    If it is interrupted, run the same command again to resume.

    Several values of threads, batch or precision, joined by +, are several platforms: onnxruntime:threads=1+2,batch=1+8
    is four. Measured tables are not searched: all sub-networks that every table has are compared.
    """
    from hwnas import supernets
    from hwnas.harness.farm.connection import platforms_of
    from hwnas.harness.platform import swept
    from hwnas.harness.quality import QualityOptions
    from hwnas.harness.store import Store
    from hwnas.search.report import transfer_page
    from hwnas.search.transfer import transfer as run
    from hwnas.search.transfer.verdict import words

    asked, calm_s = protocol_asked(protocol, cap), wait_s(wait)
    farm, places = farm_options(scheduler, local_cluster, tls_ca_file, tls_cert, tls_key), swept(platform)
    check_platforms(farm, places)
    net = supernets.get(supernet)
    with platforms_of(farm, places) as platforms, Store.open(store) as opened, transferring(quiet) as progress:
        context.obj.note_saved(f"what was searched and measured is stored in {opened.name}")
        before = {one.name for one in opened.studies()}
        found = run(
            net,
            platforms,
            studies=study or (),
            quality=quality,
            quality_options=QualityOptions(weights, subset, workers),
            algorithm=algorithm,
            evals=evals,
            seed=seed,
            samples=samples,
            fresh=fresh,
            protocol=asked,
            effort=effort,
            wait_s=calm_s,
            store=opened,
            progress=progress,
        )
    outcome = found.to_json()
    if not quiet:
        _remark_on_studies(outcome, before - set(study or ()))
    with Delivery(f"what was measured is in the store {store}: this command again goes on with it") as deliver:
        deliver.result(outcome, *words(outcome), json=json, html=html, page=transfer_page)
    remark_on_page(html, quiet=quiet)


def _remark_on_studies(outcome: dict[str, Any], earlier: set[str]) -> None:
    for name in outcome["studies"]:
        if name in earlier:
            remark(f"study {name} was begun by an earlier run of this command, which this one goes on with")
    for one in outcome["searches"]:
        if "note" in one:
            remark(one["note"])
