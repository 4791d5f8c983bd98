"""``hwnas evaluate``: the quality of sub-networks (accuracy, BLEU, hit rate), with its interval."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwnas.cli.configs import FORMS, read_configs
from hwnas.cli.options import HtmlFile, JsonFile, Quality, Quiet, StoreUrl, Subset, Supernet, Weights, Workers
from hwnas.cli.output import Delivery, remark, remark_on_page
from hwnas.cli.progress import evaluating
from hwnas.cli.tables import Column, TextTable
from hwnas.defaults import DEFAULT_STORE
from hwnas.search.words import shortened

if TYPE_CHECKING:
    from hwnas.harness.quality import Quality as Source

SCHEMA = 1


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(evaluate)


def evaluate(
    context: typer.Context,
    supernet: Supernet,
    config: Annotated[list[str], typer.Option("--config", "-c", help=f"{FORMS}; repeatable.")],
    quality: Quality = None,
    weights: Weights = None,
    subset: Subset = None,
    workers: Workers = 1,
    json: JsonFile = None,
    html: HtmlFile = None,
    store: StoreUrl = DEFAULT_STORE,
    quiet: Quiet = False,
) -> int:
    """Show the quality of sub-networks: predicted, or measured by running them with their weights."""
    from hwnas import supernets
    from hwnas.harness.quality import QualityOptions, get, scored
    from hwnas.harness.store import Store
    from hwnas.search.report import evaluate_page

    net = supernets.get(supernet)
    X = read_configs(config, net.space, supernet=net.name, store=store)
    with Store.open(store) as opened, evaluating(len(X), quiet) as progress:
        context.obj.note_saved(f"finished sub-networks are stored in {opened.name}")
        source = get(quality, net, QualityOptions(weights, subset, workers, opened, progress.tell))
        # One by one, so that each is in the store as soon as it is there.
        scores = [scored(source, X[row : row + 1])[0] for row in progress.rows(len(X))]
    rows = [
        {"config": one, "key": key, **score.record()}
        for one, key, score in zip(net.space.decode(X), net.space.keys(X), scores, strict=True)
    ]
    about = {"source": source.source, "metric": source.metric, "unit": source.unit, "predicted": source.predicted}
    about |= {"maximise": source.maximise, "note": source.note}
    outcome = {"schema": SCHEMA, "supernet": net.name, "quality": about, "evaluations": rows}
    with Delivery(f"what took a run is in the store {store}: this command again reads it there") as deliver:
        deliver.result(outcome, _table(source, rows), json=json, html=html, page=evaluate_page)
    short = shortened(row["key"] for row in rows)
    for row in rows:
        if row.get("reason") and not quiet:
            remark(f"{short[row['key']]} failed: {row['reason']}")
    if not quiet:
        remark(source.note)
    remark_on_page(html, quiet=quiet)
    return int(all(row["value"] is None for row in rows))


def _table(source: Source, rows: list[dict[str, Any]]) -> TextTable:
    others = list(dict.fromkeys(name for row in rows for name in row["others"]))
    metric = Column(f"{source.metric} {source.unit}".strip(), right=True)
    beside_it = (Column(name, rank=2, right=True) for name in others)
    bounds = Column("95 % interval", rank=1, right=True)
    table = TextTable([Column("sub-network"), metric, bounds, *beside_it, Column("examples", rank=3, right=True)])
    short = shortened(row["key"] for row in rows)
    for row in rows:
        interval = "" if row["low"] is None else f"{row['low']:.4g} to {row['high']:.4g}"
        value = "none" if row["value"] is None else f"{row['value']:.4g}"
        beside = (_other(row["others"].get(name)) for name in others)
        table.add(short[row["key"]], value, interval, *beside, str(row["n"] or ""))
    return table


def _other(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
