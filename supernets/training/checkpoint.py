"""Read and write the checkpoint of a training: the shared weights, the optimiser's state, and the progress.

The file is always a valid checkpoint of the super-network, so that it can be evaluated while training goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwnas.supernets.contents import Contents, of_records, to_records
from hwnas.supernets.errors import UsageError, WorkError
from hwnas.supernets.finite import not_finite
from hwnas.supernets.shared import saved
from hwnas.supernets.training.options import TrainingOptions
from hwnas.supernets.writing import write_file

if TYPE_CHECKING:
    import torch

    from hwnas.supernets.shared import SharedWeights

# History:
# 1 (hwnas 0.1): step, options, data, optimizer, elapsed_s; later contents too, without which it is read as well.
SCHEMA = 1


@dataclass(frozen=True)
class TrainingState:
    """The state of a training, apart from the weights.

    Attributes:
        step: steps done.
        options: of the training.
        data: the task's name.
        elapsed_s: seconds that it has taken, of all its runs.
        optimizer: the optimiser's state dict; ``None``: the training is finished.
        contents: digests of the data and of the weights that it started from, see ``hwnas.supernets.contents``;
            ``None``: written by a version that did not record them.
    """

    step: int
    options: TrainingOptions
    data: str
    elapsed_s: float
    optimizer: dict[str, Any] | None
    contents: Contents | None = None


def write(file: str | Path, weights: SharedWeights, supernet: str, progressed: TrainingState) -> None:
    """Write the checkpoint, completely or not at all.

    Raises:
        WorkError: a weight, a statistic or the optimiser's state is not finite; the file is unchanged.
        OutputError: it cannot be written; the file is unchanged.
    """
    broken = not_finite([*weights.changing(), *optimizer_tensors(progressed.optimizer)])
    if broken is not None:
        raise WorkError(f"{file}: is not written: {broken} is not finite")
    state: dict[str, torch.Tensor] = {key: tensor.detach() for key, tensor in weights.tensors.items()}
    contents = None if progressed.contents is None else to_records(progressed.contents)
    training = {
        "schema": SCHEMA,
        **vars(progressed),
        "options": asdict(progressed.options),
        "contents": contents,
    }
    write_file(file, saved({"state_dict": state, "supernet": supernet, "training": training}))


def read(file: str | Path, supernet: str) -> TrainingState:
    """Read the state of the training of ``supernet`` in ``file``.

    Raises:
        UsageError: there is no such file, or it has no training of this super-network.
    """
    from hwnas.supernets.checkpoints import read_document

    document = read_document(file)
    training = document.get("training") if isinstance(document, dict) else None
    # Compared by their spelling: a tensor in the place of a number or a name compares to neither.
    if not isinstance(training, dict) or repr(training.get("schema")) != repr(SCHEMA):
        raise UsageError(f"{file}: holds no training that could go on; train into another file")
    if repr(document.get("supernet")) != repr(supernet):
        raise UsageError(f"{file}: is a training of {document.get('supernet')}, not of {supernet}")
    try:
        options = TrainingOptions(**_plain(training["options"]))
        step, elapsed_s, optimizer = int(training["step"]), float(training["elapsed_s"]), training["optimizer"]
        contents = None if training.get("contents") is None else of_records(training["contents"])
        return TrainingState(step, options, str(training["data"]), elapsed_s, optimizer, contents)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RuntimeError, UsageError) as error:
        raise UsageError(f"{file}: its training is damaged ({error})") from error


def optimizer_tensors(state: Mapping[str, Any] | None) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the tensors of an optimiser's state dict, with names for people."""
    for number, one in (state or {}).get("state", {}).items():
        for name, value in one.items():
            if hasattr(value, "is_floating_point"):
                yield f"the optimiser's {name} of parameter {number}", value


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    """Return options that can be compared; raises ``TypeError`` where one is a tensor, say."""
    for name, value in options.items():
        if value is not None and not isinstance(value, (str, int, float)):
            raise TypeError(f"{name}: expected a text or a number, got {type(value).__name__}")
    return options
