"""``hwnas evaluate``: how good is this sub-network at its task, and how sure are we?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from hwnas.cli.configs import FORMS, read_configs
from hwnas.cli.options import DEFAULT_STORE, JsonFile, Quality, Quiet, StoreUrl, Subset, Supernet, Weights, Workers
from hwnas.cli.output import STANDARD_OUTPUT, check_writable, remark, results, write_json
from hwnas.cli.progress import evaluating
from search.words import shortened

if TYPE_CHECKING:
    from harness.quality import Quality as Source
    from harness.quality.quality import Score
    from supernets.space import IntArray

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
    store: StoreUrl = DEFAULT_STORE,
    quiet: Quiet = False,
) -> None:
    """Tell the quality of sub-networks: predicted, or found by running them with their weights."""
    import supernets
    from harness.quality import QualityOptions, get
    from harness.store import Store

    net = supernets.get(supernet)
    X = read_configs(config, net.space, supernet=net.name, store=store)
    check_writable(json)
    with Store.open(store) as kept, evaluating(len(X), quiet) as progress:
        context.obj.keeps(f"finished sub-networks are kept in {kept.name}")
        source = get(quality, net, QualityOptions(weights, subset, workers, kept, progress.tell))
        # One by one, so that each is in the store as soon as it is there.
        scores = [_score(source, X[row : row + 1]) for row in progress.rows(len(X))]
    rows = [
        {"config": one, "key": key, **score.record()}
        for one, key, score in zip(net.space.decode(X), net.space.keys(X), scores, strict=True)
    ]
    about = {"source": source.source, "metric": source.metric, "unit": source.unit, "predicted": source.predicted}
    if json is not None:
        write_json(json, {"schema": SCHEMA, "supernet": net.name, "quality": about, "evaluations": rows})
    if json != STANDARD_OUTPUT:
        results().print(_table(source, rows))
    if not quiet:
        remark(source.note)


def _score(source: Source, x: IntArray) -> Score:
    from harness.quality.quality import Score, ScoredQuality

    return source.scores(x)[0] if isinstance(source, ScoredQuality) else Score(float(source.evaluate(x)[0]))


def _table(source: Source, rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("sub-network")
    others = list(rows[0]["others"])
    for header in (f"{source.metric} {source.unit}".strip(), "95 % interval", *others, "examples"):
        table.add_column(header, justify="right")
    short = shortened(row["key"] for row in rows)
    for row in rows:
        interval = "" if row["low"] is None else f"{row['low']:.4g} to {row['high']:.4g}"
        value = "none" if row["value"] is None else f"{row['value']:.4g}"
        beside = (f"{row['others'][name]:.4g}" for name in others)
        table.add_row(short[row["key"]], value, interval, *beside, str(row["n"] or ""))
    return table
