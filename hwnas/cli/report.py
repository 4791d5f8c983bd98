"""``hwnas report`` and ``hwnas export``: what the store holds, as a page, as a table, or ready to be deployed."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Annotated

import typer

from hwnas.cli import complete
from hwnas.cli.options import Quiet, StoreUrl, output
from hwnas.cli.output import STANDARD_OUTPUT, remark, remark_on_page, write_text
from hwnas.defaults import DEFAULT_STORE
from hwnas.supernets.errors import UsageError
from hwnas.supernets.shown import counted
from hwnas.supernets.writing import check_folder

if TYPE_CHECKING:
    from hwnas.harness.store import Store
    from hwnas.search.study.result import Study

StudyName = Annotated[
    str,
    typer.Argument(
        metavar="STUDY",
        help="Name of the study; see 'hwnas studies'.",
        show_default=False,
        autocompletion=complete.studies,
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(report)
    app.command()(export)


def report(
    study: StudyName,
    html: Annotated[
        str, typer.Option("--html", metavar="FILE", help="The page; one self-contained file.", callback=output)
    ],
    store: StoreUrl = DEFAULT_STORE,
    quiet: Quiet = False,
) -> None:
    """Write a study as one HTML page."""
    from hwnas.harness.store import Store
    from hwnas.search.report import search_page

    with Store.open(store, create=False) as opened:
        write_text(html, search_page(_loaded(opened, study).to_json()))
    remark_on_page(html, quiet=quiet)


def export(
    study: StudyName,
    csv: Annotated[
        str | None,
        typer.Option("--csv", metavar="FILE", help="Write the evaluations; - is standard output.", callback=output),
    ] = None,
    front: Annotated[
        int, typer.Option("--front", min=1, help="Which of the front's sub-networks, by the first objective.")
    ] = 1,
    onnx: Annotated[str | None, typer.Option("--onnx", metavar="DIR", help="Write that sub-network as ONNX.")] = None,
    openvino: Annotated[str | None, typer.Option("--openvino", metavar="DIR", help="As OpenVINO's IR.")] = None,
    torch: Annotated[str | None, typer.Option("--torch", metavar="DIR", help="As an exported torch program.")] = None,
    transformers: Annotated[
        str | None, typer.Option("--transformers", metavar="DIR", help="As a folder of transformers (causal-lm).")
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights",
            metavar="FILE",
            help="The super-network's weights, which are written; default: those that the study's quality was measured "
            "with, or else its model's own, or random ones.",
        ),
    ] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Batch size; default: that of the study's platform.")] = None,
    store: StoreUrl = DEFAULT_STORE,
    quiet: Quiet = False,
) -> None:
    """Write a study's evaluations as CSV, or one sub-network of its front so that it can be deployed."""
    from hwnas import supernets
    from hwnas.harness.store import Store
    from hwnas.search.deploy.transformers import deploy_transformers
    from hwnas.search.deploy.write import deploy
    from hwnas.supernets.supernet import own_weights

    folders = {"onnx": onnx, "openvino": openvino, "torch": torch, "transformers": transformers}
    wanted = {form: folder for form, folder in folders.items() if folder is not None}
    if csv is None and not wanted:
        raise UsageError(
            "export: expected at least one of --csv FILE, --onnx DIR, --openvino DIR, --torch DIR, --transformers DIR"
        )
    for folder in wanted.values():
        check_folder(folder)
    with Store.open(store, create=False) as opened:
        found = _loaded(opened, study)
    if csv is not None:
        _evaluations(found, csv)
        if not quiet and csv != STANDARD_OUTPUT:
            remark(f"{counted(len(found.evaluations), 'evaluation')}: {csv}")
    for form, folder in wanted.items():
        net = supernets.get(found.supernet)
        if form == "transformers":
            written = deploy_transformers(net, found, front, folder, weights)
        else:
            written = deploy(net, found, front, form, folder, weights, batch)
        if not quiet:
            named = "" if written.weights is None else f", with the weights {written.weights}"
            remark(f"{', '.join(written.files)}: in {written.folder}{named}")
            if written.weights is None and own_weights(net) is None:
                remark("its weights are random, good for timing only: give --weights FILE")


def _loaded(store: Store, name: str) -> Study:
    """Return a study whose sub-networks are those of its super-network, where that is known here."""
    from hwnas import supernets
    from hwnas.search.study.stored import check_networks, load
    from hwnas.supernets.errors import HwnasError

    found = load(store, name)
    try:
        net = supernets.get(found.supernet)
    except HwnasError:
        return found  # of a plug-in that is gone, say: a page and a table can be made without
    check_networks(store, found, net)
    return found


def _evaluations(study: Study, csv: str) -> None:
    from hwnas.search.deploy.table import write_csv

    text = io.StringIO(newline="")
    write_csv(study, text)
    write_text(csv, text.getvalue())
