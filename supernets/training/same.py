"""Check that a training is resumed with the same options, data and initial weights; files are compared by content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from hwnas.supernets.contents import SHOWN, Content, Contents, content_digest, differences
from hwnas.supernets.errors import UsageError
from hwnas.supernets.training.checkpoint import TrainingState
from hwnas.supernets.training.options import TrainingOptions
from hwnas.supernets.training.task import KnownTask, TrainingTask

_WEIGHTS = "weights to start from"


def begun_with(task: TrainingTask, weights: str | None) -> Contents:
    """Return the digests of a new training's data and of the weights that it starts from."""
    data = task.contents if isinstance(task, KnownTask) else {}
    return data if weights is None else {**data, _WEIGHTS: _weights(weights)}


def check_same(
    file: Path, done: TrainingState, task: TrainingTask, options: TrainingOptions, weights: str | None
) -> TrainingState:
    """Compare the training in a file with the requested one.

    Args:
        file: for messages.
        done: the training in the file.
        task: the requested task.
        options: the requested options.
        weights: the initial weights, if they are given again.

    Returns:
        The training, with the digests of its data added if an earlier version did not record them.

    Raises:
        UsageError: something differs; names it.
    """
    now = begun_with(task, weights)
    then = done.contents if done.contents is not None else {}
    differing = [*_options(done, options), *differences(then, now)]
    if _data(done.data, then) != _data(task.name, {role: one for role, one in now.items() if role in then}):
        differing.append(f"data was {done.data!r}, is {task.name!r}")
    if done.contents is not None and weights is not None and _WEIGHTS not in then:
        differing.append(f"it was begun with weights drawn from the seed, not with {weights}")
    if differing:
        raise UsageError(
            f"{file}: cannot be resumed with other settings ({'; '.join(differing)}); --weights {file} with another "
            "--out begins a training of its own from these weights"
        )
    return done if done.contents is not None else replace(done, contents=begun_with(task, None))


def _options(done: TrainingState, options: TrainingOptions) -> list[str]:
    begun: Mapping[str, object] = vars(done.options)
    return [f"{key} was {begun[key]!r}, is {value!r}" for key, value in vars(options).items() if begun[key] != value]


def _data(name: str, contents: Contents) -> str:
    """Return the spec of data with a digest in place of its path."""
    for content in contents.values():
        kind, _, rest = name.partition(f":{content.name}")
        name = f"{kind}:{content.digest[:SHOWN]}{rest}" if f":{content.name}" in name else name
    return name


def _weights(file: str) -> Content:
    try:
        return Content(file, content_digest(file))
    except (OSError, ValueError):  # reported later, when the data are read
        return Content(file, "")
