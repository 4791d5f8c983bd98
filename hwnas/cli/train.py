"""``hwnas train``: weight-sharing training of a super-network on a user's data."""

from __future__ import annotations

import math
import shlex
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwnas.cli.options import HtmlFile, JsonFile, Quiet, Supernet, output_file
from hwnas.cli.output import Delivery, remark, remark_on_page
from hwnas.cli.progress import training
from hwnas.supernets.errors import UsageError
from hwnas.supernets.files import is_file

if TYPE_CHECKING:
    from hwnas.supernets.shared import Trainable
    from hwnas.supernets.training import TrainingOptions, TrainingTask
    from hwnas.supernets.training.loop import TrainingProgress

SCHEMA = 1
# Of the curve.
_MOST_POINTS = 400

_Step = Annotated[int | None, typer.Option("--steps", min=1, help="Optimiser steps; default: the data's own.")]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(train)


def train(
    context: typer.Context,
    supernet: Supernet,
    data: Annotated[
        str,
        typer.Option(
            "--data", metavar="SPEC", help="KIND:PATH[,KEY=VALUE...], like images:photos,batch=128,smoothing=0.1."
        ),
    ],
    out: Annotated[
        str,
        typer.Option("--out", "-o", metavar="FILE", help="Checkpoint file, written regularly.", callback=output_file),
    ],
    epochs: Annotated[float | None, typer.Option("--epochs", min=0, help="Passes over the data.")] = None,
    steps: _Step = None,
    lr: Annotated[float | None, typer.Option("--lr", help="Highest learning rate.")] = None,
    schedule: Annotated[str | None, typer.Option("--schedule", help="cosine, inverse-sqrt or constant.")] = None,
    warmup: Annotated[int | None, typer.Option("--warmup", min=0, help="Steps up to the highest rate.")] = None,
    optimizer: Annotated[str | None, typer.Option("--optimizer", help="sgd or adam.")] = None,
    weight_decay: Annotated[
        float | None,
        typer.Option("--weight-decay", min=0, help="Weight decay; of weights only, not of biases and norms."),
    ] = None,
    clip: Annotated[float | None, typer.Option("--clip", min=0, help="Largest norm of the gradient.")] = None,
    sampling: Annotated[
        str | None,
        typer.Option("--sampling", help="Per step: sandwich (largest, smallest and random sub-networks) or uniform."),
    ] = None,
    samples: Annotated[int | None, typer.Option("--samples", min=0, help="Random sub-networks per step.")] = None,
    distillation: Annotated[
        float | None,
        typer.Option(
            "--distillation", min=0, max=1, help="Weight of the largest sub-network's outputs in the loss, from 0 to 1."
        ),
    ] = None,
    progressive: Annotated[
        bool | None, typer.Option("--progressive/--at-once", help="Open choices one after the other, or all at once.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Seed of weights, order and sub-networks.")] = None,
    weights: Annotated[
        str | None, typer.Option("--weights", metavar="FILE", help="Weights to start from; default: random ones.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume the training in FILE.")] = False,
    checkpoint_every: Annotated[
        float, typer.Option("--checkpoint-every", min=0, metavar="SECONDS", help="Time between checkpoints.")
    ] = 60.0,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda or cuda:1.")] = "cpu",
    json: JsonFile = None,
    html: HtmlFile = None,
    quiet: Quiet = False,
) -> None:
    """Train the weights that all sub-networks share."""
    from hwnas import supernets
    from hwnas.harness import data as kinds
    from hwnas.search.report import training_page
    from hwnas.supernets.training.loop import train as run

    if math.isnan(checkpoint_every):
        raise UsageError(f"--checkpoint-every: expected seconds, got {checkpoint_every}")
    net = supernets.get(supernet)
    task = kinds.get(data, net)
    trainable = _trainable(net)
    given: dict[str, Any] = {
        "steps": _steps(task, epochs, steps), "lr": lr, "schedule": schedule, "warmup": warmup, "optimizer": optimizer,
        "weight_decay": weight_decay, "clip": clip, "sampling": sampling, "samples": samples,
        "distillation": distillation, "progressive": progressive, "seed": seed,
    }  # fmt: skip
    base = _begun(out, net.name) if resume else task.defaults
    options = replace(base, **{name: value for name, value in given.items() if value is not None})
    if not quiet:
        remark(f"{net.name} on {task.note}: {options.steps} steps")
    curve = _Curve()
    with training(quiet) as progress:

        def show(event: TrainingProgress) -> None:
            context.obj.note_saved(f"{event.step} of {event.steps} steps are stored in {out}", "--resume")
            curve.add(event)
            progress(event)

        done = run(
            trainable,
            task,
            options,
            out,
            resume=resume,
            weights=weights,
            device=device,
            checkpoint_s=checkpoint_every,
            progress=show,
        )
    with Delivery(f"the weights are in {out}") as deliver:
        said = f"{out}: {done.step} steps in {done.elapsed_s:.0f} s, loss {done.loss:.4f}"
        outcome = _outcome(net.name, task, options, out, done) | {"curve": curve.points}
        deliver.result(outcome, said, json=json, html=html, page=training_page)
    remark_on_page(html, quiet=quiet)
    if not quiet:
        name, weights_file = shlex.quote(net.name), shlex.quote(out)
        remark(f"hwnas evaluate {name} -c max -c min --quality ... --weights {weights_file} shows their quality")


class _Curve:
    """The loss over the steps of this run, at evenly spaced ones: as many as a figure can show."""

    def __init__(self) -> None:
        self.points: list[dict[str, Any]] = []
        self._every = 1

    def add(self, event: TrainingProgress) -> None:
        """Keep a step, where its turn is."""
        if event.step % self._every == 0 and math.isfinite(event.loss):
            self.points.append({"step": event.step, "loss": event.loss})
        if len(self.points) > _MOST_POINTS:
            self._every *= 2
            self.points = [one for one in self.points if one["step"] % self._every == 0]


def _trainable(net: Any) -> Trainable:
    from hwnas.supernets.shared import Trainable

    if not isinstance(net, Trainable):
        raise UsageError(f"{net.name}: its sub-networks share no weights that could be trained")
    return net


def _steps(task: TrainingTask, epochs: float | None, steps: int | None) -> int | None:
    if epochs is None:
        return steps
    if steps is not None:
        raise UsageError("expected one of --epochs and --steps, got both")
    if not 0 <= epochs * task.batches_per_epoch <= sys.maxsize:
        raise UsageError(f"--epochs: expected a finite number, got {epochs}")
    return max(1, round(epochs * task.batches_per_epoch))


def _begun(file: str, supernet: str) -> TrainingOptions:
    """Return the options of the training to resume: what is not given again is as it was."""
    from hwnas.supernets.training import checkpoint

    if not is_file(file):
        raise UsageError(f"{file}: there is no training to resume; leave --resume out to begin one")
    return checkpoint.read(file, supernet).options


def _outcome(
    supernet: str, task: TrainingTask, options: TrainingOptions, file: str, done: TrainingProgress
) -> dict[str, Any]:
    loss = None if done.loss != done.loss else done.loss
    about = {"supernet": supernet, "data": task.name, "weights": file, "options": vars(options)}
    return {"schema": SCHEMA, **about, "steps": done.step, "loss": loss, "elapsed_s": done.elapsed_s}
