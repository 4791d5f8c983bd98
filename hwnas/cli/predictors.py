"""``hwnas predictors``: how many examples does a predictor need? The paper's study (Fig. 3, Appendix C)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import Progress

from hwnas.cli import complete
from hwnas.cli.options import HtmlFile, JsonFile, Quality, Quiet, Seed, Supernet
from hwnas.cli.output import Delivery, notes, remark, remark_on_page
from hwnas.cli.tables import Column, TextTable
from hwnas.search.words import MISSING
from hwnas.supernets.errors import UnknownNameError, UsageError
from hwnas.supernets.shown import counted
from hwnas.supernets.spec import parse_int

if TYPE_CHECKING:
    from hwnas.search.predictors.examples import Examples
    from hwnas.search.predictors.study import PredictorStudy

# Random sub-networks where nothing was measured: the largest training set, the test set, and some to draw from.
_DRAWN = 2000
_SIZES, _TEST = (100, 200, 400, 700, 1000), 500


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(predictors)


def predictors(
    supernet: Supernet,
    data: Annotated[
        list[str] | None, typer.Option(metavar="CSV", help="CSV file of measured sub-networks; repeatable.")
    ] = None,
    column: Annotated[str, typer.Option(help="Column of the CSV that is predicted.")] = "top1",
    quality: Quality = None,
    platform: Annotated[
        str | None,
        typer.Option(
            "--platform",
            "-p",
            help="Predict this platform's latency; a table, like lut:table=note10.",
            autocompletion=complete.platforms,
        ),
    ] = None,
    kinds: Annotated[
        str,
        typer.Option(
            help="Predictors, separated by commas; gp-hierarchical is the one that searches use.",
            autocompletion=complete.predictor_list,
        ),
    ] = "ridge,svr-rbf,stacked,gp,gp-hierarchical",
    sizes: Annotated[
        str | None,
        typer.Option(
            help="Numbers of training examples, separated by commas; default: 100,200,400,700,1000, or fewer."
        ),
    ] = None,
    test: Annotated[
        int | None, typer.Option(min=2, help="Number of examples held out for testing; default: 500, or a third.")
    ] = None,
    trials: Annotated[int, typer.Option(min=1, help="How many times training examples are drawn for each number.")] = 5,
    seed: Seed = 0,
    json: JsonFile = None,
    html: HtmlFile = None,
    quiet: Quiet = False,
) -> None:
    """Fit predictors to ever more examples; show their error (MAPE) and rank correlation (Kendall tau)."""
    from hwnas import supernets
    from hwnas.search.predictors.study import HIERARCHICAL, hierarchical, predictor_study
    from hwnas.search.report import predictors_page

    net = supernets.get(supernet)
    asked = None if sizes is None else _numbers(sizes)
    examples = _examples(net, data, column, quality, platform, seed)
    numbers, test = _fitting(asked, test, len(examples.y))
    names = [name.strip() for name in kinds.split(",") if name.strip()]
    _check_kinds(names)
    with Progress(console=notes(), disable=quiet) as bars:
        line = bars.add_task("fits", total=None)
        found = predictor_study(
            net.space.one_hot(examples.X),
            examples.y,
            names,
            numbers,
            test,
            trials,
            seed,
            progress=lambda done, total: bars.update(line, completed=done, total=total),
            others={HIERARCHICAL: hierarchical(net.space, examples.X, examples.y)},
        )
    outcome = _outcome(supernet, examples, found, test)
    with Delivery("this command again finds the same") as deliver:
        deliver.result(outcome, _table(outcome), json=json, html=html, page=predictors_page)
    if not quiet:
        mean = f"mean of {counted(trials, 'trial')}"
        remark(f"{outcome['target']} from {outcome['source']}: {outcome['n_test']} held out, {mean}")
    remark_on_page(html, quiet=quiet)


def _examples(
    net: Any, data: list[str] | None, column: str, quality: str | None, platform: str | None, seed: int
) -> Examples:
    from hwnas.search.predictors.examples import latency_examples, measured_examples, quality_examples

    if sum(given is not None for given in (data, quality, platform)) > 1:
        raise UsageError("predictors: expected one of --data, --quality and --platform")
    if data is not None:
        return measured_examples(net, data, column)
    if platform is not None:
        return latency_examples(net, platform, _DRAWN, seed)
    return quality_examples(net, quality, _DRAWN, seed)


def _numbers(text: str) -> list[int]:
    numbers = {parse_int(part.strip()) or 0 for part in text.split(",")}
    if min(numbers) < 2:
        raise UsageError(f"sizes {text!r}: expected whole numbers from 2 joined by commas, like 100,200,400")
    return sorted(numbers)


def _fitting(sizes: list[int] | None, test: int | None, n: int) -> tuple[list[int], int]:
    """Return the numbers of training examples and the number held out: those asked for, else as many as there are."""
    if test is None:
        test = min(_TEST, max(2, n // 3))
    if sizes is None:
        left = n - test
        sizes = [size for size in _SIZES if size <= left] or [max(2, left)]
    return sizes, test


def _check_kinds(names: list[str]) -> None:
    from hwnas.search import predictors as package
    from hwnas.search.predictors.study import HIERARCHICAL

    known = [*package.kinds(), HIERARCHICAL]
    if not names:
        raise UsageError(f"kinds: expected some of {', '.join(known)}")
    for name in names:
        if name not in known:
            raise UnknownNameError("predictor", name, known)
        if name != HIERARCHICAL:
            package.registry.provider(name)


def _outcome(supernet: str, examples: Examples, found: PredictorStudy, test: int) -> dict[str, Any]:
    from hwnas.supernets.values import json_number

    taus = [[[json_number(tau) for tau in trial] for trial in trials] for trials in found.tau.tolist()]
    curves = [
        {"kind": kind, "mape": found.mape[row].tolist(), "tau": taus[row]} for row, kind in enumerate(found.kinds)
    ]
    about = {"supernet": supernet, "target": examples.name, "source": examples.source}
    return {"schema": 1, **about, "n_test": test, "sizes": list(found.sizes), "predictors": curves}


def _table(outcome: dict[str, Any]) -> TextTable:
    import numpy as np

    sizes = outcome["sizes"]
    # Of too many sizes the small ones are left out.
    columns = (Column(f"n={n}: MAPE %, tau", rank=len(sizes) - 1 - row, right=True) for row, n in enumerate(sizes))
    table = TextTable([Column("predictor"), *columns])
    for one in outcome["predictors"]:
        known = ([tau for tau in trials if tau is not None] for trials in one["tau"])
        taus = (f"{np.mean(trials):.3f}" if trials else MISSING for trials in known)
        table.add(one["kind"], *(f"{m:.3f}, {tau}" for m, tau in zip(np.mean(one["mape"], axis=1), taus, strict=True)))
    return table
