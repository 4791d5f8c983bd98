"""``hwnas report`` and ``hwnas export``: what the store holds, as a page or a table."""

from __future__ import annotations

import io
from typing import Annotated

import typer

from hwnas.cli.options import DEFAULT_STORE, Quiet, StoreUrl
from hwnas.cli.output import STANDARD_OUTPUT, check_writable, remark, write_text

StudyName = Annotated[str, typer.Argument(metavar="STUDY", help="Its name; see 'hwnas studies'.", show_default=False)]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(report)
    app.command()(export)


def report(
    study: StudyName,
    html: Annotated[str, typer.Option("--html", metavar="FILE", help="The page; one self-contained file.")],
    store: StoreUrl = DEFAULT_STORE,
    quiet: Quiet = False,
) -> None:
    """Write a study as one HTML page."""
    from harness.store import Store
    from search.report import search_page
    from search.study import load

    check_writable(html)
    with Store.open(store, create=False) as kept:
        write_text(html, search_page(load(kept, study).to_json()))
    if not quiet and html != STANDARD_OUTPUT:
        remark(f"page: {html}")


def export(
    study: StudyName,
    csv: Annotated[str, typer.Option("--csv", metavar="FILE", help="The evaluations; - is standard output.")],
    store: StoreUrl = DEFAULT_STORE,
    quiet: Quiet = False,
) -> None:
    """Write a study's evaluations as CSV, which 'table:' platforms and qualities read."""
    from harness.store import Store
    from search.export import write_csv
    from search.study import load

    check_writable(csv)
    with Store.open(store, create=False) as kept:
        found = load(kept, study)
    text = io.StringIO(newline="")
    write_csv(found, text)
    write_text(csv, text.getvalue())
    if not quiet and csv != STANDARD_OUTPUT:
        remark(f"{len(found.evaluations)} evaluations: {csv}")
