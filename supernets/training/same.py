"""Is a training resumed as it was begun? Options are compared as they are, data and weights by what they hold."""

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
    """Return what a training that begins is made of: the data, and the weights that it starts from."""
    data = task.contents if isinstance(task, KnownTask) else {}
    return data if weights is None else {**data, _WEIGHTS: _weights(weights)}


def check_same(
    file: Path, done: TrainingState, task: TrainingTask, options: TrainingOptions, weights: str | None
) -> TrainingState:
    """Compare the training in a file with the one that is asked for.

    Args:
        file: for messages.
        done: the training.
        task: that it is to go on with.
        options: likewise.
        weights: to start from, where they are named again.

    Returns:
        The training, with what its data hold where it was begun before that was recorded.

    Raises:
        UsageError: something differs; names it.
    """
    now = begun_with(task, weights)
    then = done.contents if done.contents is not None else {}
    told = [*_options(done, options), *differences(then, now)]
    if _data(done.data, then) != _data(task.name, {role: one for role, one in now.items() if role in then}):
        told.append(f"data was {done.data!r}, is {task.name!r}")
    if done.contents is not None and weights is not None and _WEIGHTS not in then:
        told.append(f"it was begun with weights drawn from the seed, not with {weights}")
    if told:
        raise UsageError(
            f"{file}: cannot be resumed with other settings ({'; '.join(told)}); --weights {file} with another --out "
            "begins a training of its own from these weights"
        )
    return done if done.contents is not None else replace(done, contents=begun_with(task, None))


def _options(done: TrainingState, options: TrainingOptions) -> list[str]:
    begun: Mapping[str, object] = vars(done.options)
    return [f"{key} was {begun[key]!r}, is {value!r}" for key, value in vars(options).items() if begun[key] != value]


def _data(name: str, contents: Contents) -> str:
    """Return the spec of data, a digest in place of the path that it begins with."""
    for content in contents.values():
        kind, _, rest = name.partition(f":{content.name}")
        name = f"{kind}:{content.digest[:SHOWN]}{rest}" if f":{content.name}" in name else name
    return name


def _weights(file: str) -> Content:
    try:
        return Content(file, content_digest(file))
    except (OSError, ValueError):  # which whoever reads them will say
        return Content(file, "")
