"""``hwnas search``: search for the most accurate sub-networks at each latency on one platform."""

from __future__ import annotations

import shlex
from collections.abc import Collection
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwnas.cli import complete
from hwnas.cli.options import (
    Algorithm,
    Cap,
    Evals,
    FinalFront,
    HtmlFile,
    JsonFile,
    LocalCluster,
    Models,
    Protocol,
    Quality,
    Quiet,
    References,
    Scheduler,
    SearchEffort,
    Seed,
    StoreUrl,
    Subset,
    Supernet,
    Timings,
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
from hwnas.cli.output import STANDARD_OUTPUT, Delivery, remark, remark_on_page
from hwnas.cli.progress import searching, telling
from hwnas.cli.tables import Cell, Column, TextTable
from hwnas.defaults import DEFAULT_STORE
from hwnas.harness.measurement.beside_load import status_shown
from hwnas.search.words import export_command, model_in_words, shortened
from hwnas.supernets.errors import UsageError
from hwnas.supernets.shown import counted

if TYPE_CHECKING:
    from hwnas.harness.bench.side_by_side import SideBySide
    from hwnas.search.study.run import SearchProgress

FRONT_ROWS = 20


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(search)


def search(
    context: typer.Context,
    supernet: Supernet,
    platform: WherePlatform = None,
    objective: Annotated[
        list[str] | None,
        typer.Option(
            help="Objective, as 'hwnas objectives' lists them; repeatable. Default: latency and the quality.",
            autocompletion=complete.objectives,
        ),
    ] = None,
    model: Models = None,
    quality: Quality = None,
    weights: Weights = None,
    subset: Subset = None,
    workers: Workers = 1,
    constraint: Annotated[
        list[str] | None, typer.Option(help="Constraint like 'latency<=20ms' or 'top1>=76%'; repeatable.")
    ] = None,
    algorithm: Algorithm = "linas",
    preset: Annotated[
        str | None, typer.Option(help="Named settings of the algorithm: 'paper' are the published ones.")
    ] = None,
    evals: Evals = 150,
    seed: Seed = 0,
    target: Annotated[
        float | None, typer.Option(help="Stop at this hypervolume; needs --reference where latency is measured.")
    ] = None,
    reference: References = None,
    plateau: Annotated[
        int | None, typer.Option(min=1, help="Stop when this many evaluations add less than 0.1 % to the hypervolume.")
    ] = None,
    warm_start: Annotated[
        str | None,
        typer.Option(metavar="STUDY", help="Evaluate its front first.", autocompletion=complete.studies),
    ] = None,
    transfer_from: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STUDY|PLATFORM|known",
            help="Start from what is known elsewhere: a study's accuracies and latencies, a platform's latencies, or "
            "known, which is all that the store has; repeatable.",
            autocompletion=complete.known,
        ),
    ] = None,
    study: Annotated[
        str | None,
        typer.Option(help="Name of the study in the store; default: generated.", autocompletion=complete.studies),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Resume the study of that name; without --study, the latest of the same search."),
    ] = False,
    parallel: Annotated[
        int | None,
        typer.Option(min=1, help="Number of batches measured at a time; default: one more than the farm has devices."),
    ] = None,
    protocol: Protocol = None,
    cap: Cap = None,
    wait: Wait = None,
    effort: SearchEffort = None,
    final_front: FinalFront = None,
    timings: Timings = False,
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
    """Search a super-network for the best trade-offs of latency and quality on one platform."""
    from hwnas import supernets
    from hwnas.harness.farm.connection import platforms_of
    from hwnas.harness.quality import QualityOptions
    from hwnas.harness.store import Store
    from hwnas.search.report import search_page
    from hwnas.search.study.models import measure_models
    from hwnas.search.study.run import search as run

    asked, calm_s = protocol_asked(protocol, cap), wait_s(wait)
    farm = farm_options(scheduler, local_cluster, tls_ca_file, tls_cert, tls_key)
    named = [] if platform is None else [platform]
    check_platforms(farm, named)
    net = supernets.get(supernet)
    with platforms_of(farm, named) as places, Store.open(store) as opened, searching(quiet) as progress:
        where = places[0] if places else None
        # Looked at before the search, which may take hours.
        models = _models(model, places) if model else None

        announced: list[str] = []

        def show(event: SearchProgress) -> None:
            if not announced and not quiet:
                starts = [f"the search starts from {', '.join(event.origins)}"] if event.origins else []
                announced.extend([*starts, *event.remarks])
                for line in announced:
                    remark(line)
            done = f"study {event.study} has {event.done} of {event.total} evaluations in {opened.name}"
            context.obj.note_saved(done, "--study", event.study, "--resume")
            progress(event)

        found = run(
            net,
            platform=where,
            quality=quality,
            quality_options=QualityOptions(weights, subset, workers),
            algorithm=algorithm,
            preset=preset,
            evals=evals,
            seed=seed,
            objectives=objective,
            constraints=constraint or (),
            store=opened,
            study=study,
            resume=resume,
            reference=reference_point(reference),
            target=target,
            plateau=plateau,
            warm_start=warm_start,
            transfer_from=transfer_from,
            parallel=parallel,
            effort=effort,
            final_front=final_front,
            protocol=asked,
            wait_s=calm_s,
            progress=show,
        )
    if models is not None:
        with Store.open(store) as opened, telling(str(where), quiet) as tell:
            found = measure_models(found, models, places[0], opened, protocol=asked, wait_s=calm_s, progress=tell)
    outcome = found.to_json()
    with Delivery(f"the study is in the store: {_again(outcome['study'], store)}") as deliver:
        deliver.result(outcome, front_table(outcome), json=json, html=html, page=search_page)
        if json != STANDARD_OUTPUT and not quiet:
            _summary(outcome, announced)
            for one in outcome.get("models", ()):
                remark(model_in_words(one))
            if timings:
                remark(_times(outcome["time_s"]))
    remark_on_page(html, quiet=quiet)
    if quiet and not outcome["front"]:
        # What failed is no progress: whoever asked for quiet wants to hear of that alone.
        for line in outcome.get("notes", ()):
            remark(line)
    return 0 if outcome["front"] else 1


def _models(specs: list[str], places: list[Any]) -> SideBySide:
    """Return fixed models that the platform can run; raises ``UsageError`` where there is none."""
    from hwnas.harness.bench.side_by_side import SideBySide
    from hwnas.supernets.fixed import FixedModel

    if not places:
        raise UsageError("--model: expected a platform to measure it on, like -p onnxruntime:threads=1")
    models = SideBySide(None, (), [FixedModel.of(spec) for spec in specs])
    models.check(places)
    return models


def _again(study: str, store: str) -> str:
    exported = export_command(study, "--store", store, "--csv", "FILE")
    return f"{exported}, or this command with --study {shlex.quote(study)} --resume"


def front_table(outcome: dict[str, Any]) -> TextTable:
    """Return the front as a table, best first objective first; a long one is thinned to ``FRONT_ROWS`` rows."""
    from hwnas.search.report.study_view import StudyView

    seen = StudyView(outcome)
    objectives, front = seen.objectives, [seen.evaluations[index] for index in seen.front]
    values = (Column(f"{one['name']} {one['unit']}".strip(), right=True) for one in objectives)
    table = TextTable([Column("sub-network"), Column("evaluation", rank=1, right=True), *values, Column("status")])
    shown = list(_thinned(front))
    short = shortened(row.get("key", "") for row in shown)
    for row in shown:
        found = (_value(row, objective["name"]) for objective in objectives)
        table.add(short[row.get("key", "")], str(row["index"]), *found, status_shown(row["status"], row.get("load")))
    return table


def _value(row: dict[str, Any], name: str) -> Cell:
    """Return an objective's value, with its interval where it was measured and there is room."""
    value, bounds = row["objectives"][name], (row.get("intervals") or {}).get(name)
    if bounds is None:
        return f"{value:,.5g}"
    return f"{value:,.4g} ({bounds[0]:.4g} to {bounds[1]:.4g})", f"{value:,.4g}"


def _thinned(front: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if len(front) <= FRONT_ROWS:
        return front
    steps = [round(position * (len(front) - 1) / (FRONT_ROWS - 1)) for position in range(FRONT_ROWS)]
    return [front[step] for step in steps]


def _times(time_s: dict[str, float]) -> str:
    """Say where the time of a search went."""
    named = {"waiting": "waiting", "starting": "starting workers", "preparing": "preparing", "timing": "timing"}
    parts = [(time_s[phase], words) for phase, words in named.items() if time_s.get(phase)]
    parts.append((time_s["search"], "searching"))
    other = max(0.0, time_s["total"] - sum(seconds for seconds, _ in parts))
    spelled = ", ".join(f"{seconds:.1f} s {words}" for seconds, words in [*parts, (other, "else")])
    return f"where the time went: {spelled}; {time_s['total']:.1f} s in all"


def _summary(outcome: dict[str, Any], announced: Collection[str]) -> None:
    """Sum up a search; what was announced at its beginning is not said again."""
    from hwnas.search.report.front_noise import front_noise

    time = outcome["time_s"]
    final = f", {time['final']:.1f} s measuring the front again" if "final" in time else ""
    measured = f"{time['measure']:.1f} s measuring{final}, {time['search']:.1f} s searching"
    size, evaluations = len(outcome["front"]), counted(len(outcome["evaluations"]), "evaluation")
    shown = f" ({FRONT_ROWS} shown)" if size > FRONT_ROWS else ""
    remark(f"study {outcome['study']}: front of {size}{shown} from {evaluations}; {measured}")
    sure = front_noise(outcome)
    for line in (*([str(sure)] if sure.doubtful else []), *outcome.get("notes", ())):
        if line not in announced:
            remark(line)
