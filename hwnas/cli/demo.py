"""``hwnas demo``: the main job, end to end, in minutes, on this machine's CPU."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from hwnas.cli.options import Evals, Quiet, Seed, wait_s
from hwnas.cli.options import effort as checked_effort
from hwnas.cli.output import Delivery, remark, results, write_json, write_text
from hwnas.cli.progress import transferring
from hwnas.cli.search import front_table
from hwnas.supernets.writing import make_folder

SUPERNET = "ofa-mbv3-w1.0"

SAMPLES = 10


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def demo(
    context: typer.Context,
    evals: Evals = 30,
    seed: Seed = 0,
    # Two minutes are for looking around: on a machine that is not calm, it may be too noisy to tell then.
    effort: Annotated[
        str,
        typer.Option(
            "--effort",
            metavar="LEVEL",
            help="How precisely to measure: quick (two minutes in all), normal or thorough.",
            callback=checked_effort,
        ),
    ] = "quick",
    out: Annotated[str, typer.Option("--out", metavar="DIR", help="Where the page, the JSON and the store go.")] = (
        "hwnas-demo"
    ),
    quiet: Quiet = False,
) -> None:
    """Search two platforms of this machine for accurate, fast sub-networks; write the transfer page."""
    from hwnas import supernets
    from hwnas.harness.store import Store
    from hwnas.search.report import transfer_page
    from hwnas.search.study.stored import load
    from hwnas.search.transfer import transfer
    from hwnas.search.transfer.verdict import words

    folder = Path(out)
    make_folder(folder)
    net = supernets.get(SUPERNET)
    platforms = demo_platforms()
    if not quiet:
        remark(
            f"{net.summary}, searched on {platforms[0]} and on {platforms[1]}; top-1 is predicted, latency is measured"
        )
    with Store.open(str(folder / "hwnas.db")) as store:
        if not quiet and store.studies():
            remark(
                f"{store.name} holds an earlier demo: what was searched and measured then is taken from it, not done "
                f"again; to begin anew, name another folder by --out, or remove {folder}"
            )
        context.obj.note_saved(f"what was searched and measured is stored in {store.name}")
        with transferring(quiet) as progress:
            found = transfer(
                net,
                platforms,
                evals=evals,
                seed=seed,
                samples=SAMPLES,
                effort=effort,
                wait_s=wait_s(None),
                store=store,
                progress=progress,
            )
        outcome = found.to_json()
        studies = [load(store, name, net).to_json() for name in outcome["studies"]]
    page, database = folder / "transfer.html", shlex.quote(str(folder / "hwnas.db"))
    with Delivery(f"the searches are in the store: hwnas studies --store {database}") as deliver:
        deliver(write_text, str(page), transfer_page(outcome))
        deliver(write_json, str(folder / "transfer.json"), outcome)
        for study in studies:
            deliver(results().print, f"\n[bold]Front on {study['platform']}[/] (latency measured, top1 predicted)")
            deliver(results().print, front_table(study))
        deliver(results().print)
        for line in words(outcome):
            deliver(results().print, line, markup=False)
        deliver(results().print, f"\npage: {page.resolve()}", markup=False)


def demo_platforms() -> list[str]:
    """Return two platforms that work here and that really differ: a runtime that compiles a network, and eager PyTorch.

    PyTorch runs layer by layer, so that depth costs more there. Between two compilers the order of sub-networks is
    nearly the same, and so it is between batch sizes. One thread each: where the threads are as many as the CPUs,
    everything else that runs is in the value.
    """
    from hwnas import backends

    compiled = "openvino" if backends.get("openvino").why_not() is None else "onnxruntime"
    return [f"{compiled}:threads=1", "torch:threads=1"]
