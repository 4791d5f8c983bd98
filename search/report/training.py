"""The page of a training: how the loss fell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hwnas.search.report.figures import Figure, PageTable, axis, colour, rounded
from hwnas.search.report.page import render
from hwnas.search.words import facts, number


def training_page(result: Mapping[str, Any]) -> str:
    """Return the page of a training.

    Args:
        result: as ``hwnas train --json`` writes it.
    """
    figure = _figure(result)
    seconds, loss = result["elapsed_s"], result["loss"]
    last = "" if loss is None else f", to a loss of {number(loss)}"
    return render(
        "figures.html",
        [figure],
        [],
        kind="training",
        title=f"Training of {result['supernet']}",
        heading="How the loss fell",
        verdict=[f"{result['steps']} steps in {seconds:.0f} s{last}."],
        about=[("Super-network", result["supernet"]), ("Data", result["data"]), ("Weights", result["weights"])],
        quality=None,
        found="Loss",
        shown=[figure],
        tables=[],
        reasons=[],
        details=[("Options", facts(dict(result["options"])))],
    )


def _figure(result: Mapping[str, Any]) -> Figure:
    curve = result["curve"]
    steps, losses = [one["step"] for one in curve], rounded([one["loss"] for one in curve])
    trace = {
        "type": "scatter", "mode": "lines", "name": "loss", "x": steps, "y": losses,
        "line": {"color": colour(0), "width": 2}, "hovertemplate": "step %{x}: %{y}<extra></extra>",
    }  # fmt: skip
    return Figure(
        id="loss",
        title="Loss over the steps of this run",
        says="The mean over the last steps and the sub-networks that were trained in them.",
        data=[trace],
        layout={"xaxis": axis("step"), "yaxis": axis("loss"), "showlegend": False},
        table=PageTable(["step", "loss"], [list(pair) for pair in zip(steps, losses, strict=True)]),
    )
