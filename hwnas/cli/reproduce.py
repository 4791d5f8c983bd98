"""``hwnas reproduce``: run the paper's experiments, or your own, and write a page of each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwnas.cli import complete
from hwnas.cli.options import Quiet, output
from hwnas.cli.output import STANDARD_OUTPUT, Delivery, remark, results, write_json, write_text
from hwnas.cli.progress import reproducing
from hwnas.cli.tables import Column, ColumnKind, TextTable
from hwnas.search.words import number
from hwnas.supernets.errors import UsageError
from hwnas.supernets.writing import make_folder

if TYPE_CHECKING:
    from hwnas.experiments import Experiment, Finished

# Words in the place of an experiment's name.
_LIST, _ALL, _SUMMARY = "list", "all", "summary"

Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[NAME...|list|all|summary]",
        help="Experiments; 'list' lists them, 'all' runs all, 'summary' writes a table of finished ones.",
        show_default=False,
        autocompletion=complete.experiments,
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(reproduce)


def reproduce(
    context: typer.Context,
    names: Names = None,
    file: Annotated[
        list[str] | None, typer.Option("--file", metavar="TOML", help="An experiment file of your own; repeatable.")
    ] = None,
    scale: Annotated[str, typer.Option(help="smoke (seconds), small (minutes) or full (as published).")] = "small",
    out: Annotated[
        str, typer.Option("--out", metavar="DIR", help="Where pages, CSV files, JSON and the store go.")
    ] = "reproduction",
    store: Annotated[
        str | None, typer.Option("--store", metavar="URL", help="Another store; default: hwnas.db in DIR.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes for searches that measure nothing; default: one per usable CPU."),
    ] = None,
    markdown: Annotated[
        str | None,
        typer.Option("--markdown", metavar="FILE", help="With 'summary': where its table goes.", callback=output),
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(
            "--keep", metavar="DIR", help="With 'summary': a folder that keeps what earlier runs have found, and this."
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Run the paper's experiments, or your own, and write a page, a CSV and a JSON of each. Interrupted runs resume."""
    given = list(names or [])
    if given == [_LIST]:
        _list()
    elif given == [_SUMMARY]:
        _summarise(out, scale, markdown, keep)
    else:
        for option, value in (("--markdown", markdown), ("--keep", keep)):
            if value is not None:
                raise UsageError(f"{option}: goes with '{_SUMMARY}' alone")
        context.obj.note_saved(f"finished parts, evaluations and measurements are stored in {out}")
        for experiment in _experiments(given, file or [], scale):
            _run(experiment, out, store, workers, quiet)


def _experiments(names: list[str], files: list[str], scale: str) -> list[Experiment]:
    """Read all of them before the first one runs: an error in the last must not come after an hour."""
    from hwnas import experiments
    from hwnas.experiments.naming import check_distinct

    if names == [_ALL]:
        names = experiments.names()
    if not names and not files:
        raise UsageError(f"expected a name, --file or '{_ALL}'; 'hwnas reproduce {_LIST}' says what there is")
    found = [
        *(experiments.shipped(name, scale) for name in names),
        *(experiments.read_file(name, scale) for name in files),
    ]
    check_distinct(one.name for one in found)
    return found


def _run(experiment: Experiment, out: str, store: str | None, workers: int | None, quiet: bool) -> None:
    from hwnas import experiments

    folder = Path(out)
    make_folder(folder)
    with reproducing(f"{experiment.name}, {experiment.scale}", quiet) as progress:
        finished = experiments.run(experiment, folder, store=store, workers=workers, progress=progress)
    _write(finished, folder, quiet)


def _write(finished: Finished, folder: Path, quiet: bool) -> None:
    from hwnas.experiments import output

    name, result = finished.name, finished.result
    files = {ending: str(folder / f"{name}.{ending}") for ending in ("html", "csv", "json")}
    with Delivery(f"its finished parts are in {folder}: this command again goes on from them") as deliver:
        deliver(write_json, files["json"], result)
        deliver(write_text, files["csv"], output.csv_text(finished.experiment.kind, result["data"]))
        deliver(write_text, files["html"], output.page(finished))
        shown = results()
        deliver(shown.print, f"[bold]{name}[/]: {result['title']}")
        for line in (*result["stands_in"], result["gist"]):
            deliver(shown.print, line, markup=False)
        if result["claims"]:
            deliver(shown.print, _verdicts(result["claims"]))
    if not quiet:
        remark(f"page: {files['html']}; {result['seconds']:.0f} s")


def _verdicts(claims: list[dict[str, Any]]) -> TextTable:
    value_of = Column("value (95 % interval)", right=True)
    # One claim is made on several platforms or problems, and only "on" tells its rows apart.
    table = TextTable([Column("claim", ColumnKind.TEXT), Column("on", ColumnKind.NAME), Column("verdict"), value_of])
    for one in claims:
        value, low, high = (number(one[end], 3) for end in ("value", "low", "high"))
        table.add(one["claim"], one["where"], one["verdict"], f"{value} ({low} to {high})")
    return table


def _list() -> None:
    from hwnas import experiments

    what = Column("what it asks", ColumnKind.TEXT)
    table = TextTable([Column("name"), Column("in the paper", rank=2), Column("kind", rank=1), what])
    for name in experiments.names():
        head = experiments.shipped(name).head
        table.add(name, head.paper or "no", head.kind, head.title)
    results().print(table)


def _summarise(out: str, scale: str, markdown: str | None, kept: str | None) -> None:
    from hwnas.experiments.summary import keep, summary

    if kept is not None:
        keep(Path(out), Path(kept))
    write_text(markdown or STANDARD_OUTPUT, summary(Path(kept or out), scale))
