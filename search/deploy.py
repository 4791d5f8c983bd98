"""Write a sub-network that a search has found so that it can be deployed, with a README of its figures."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from search.archive import Evaluation
from search.deploy_readme import Export, readme
from search.result import Study
from supernets.errors import UsageError, suggestion
from supernets.supernet import Stage, SuperNetwork

README, CONFIG = "README.md", "config.json"


@dataclass(frozen=True)
class Deployed:
    """What was written.

    Attributes:
        folder: where.
        files: their names, the README's last.
    """

    folder: Path
    files: tuple[str, ...]


def of_front(study: Study, position: int) -> Evaluation:
    """Return sub-network number ``position`` of a study's front, from 1, in the order of the first objective.

    Raises:
        UsageError: the front has no such sub-network.
    """
    front = sorted(study.front, key=lambda index: (study.archive.row(index)[0], index))
    if not 1 <= position <= len(front):
        has = f"1 to {len(front)}" if front else "none"
        raise UsageError(f"study {study.name!r}: the front has sub-networks {has}, got {position}")
    return study.archive[front[position - 1]]


def deploy(
    net: SuperNetwork,
    study: Study,
    position: int,
    form: str,
    folder: str | Path,
    weights: str | None = None,
    batch: int | None = None,
) -> Deployed:
    """Write one sub-network of a study's front.

    Args:
        net: the study's super-network.
        study: the study.
        position: which of the front; see ``of_front``.
        form: "onnx", "openvino" (IR) or "torch" (``torch.export``).
        folder: is made where it is not there; files of the same names are replaced.
        weights: the super-network's weights; ``None``: random ones, with which it is only good for timing.
        batch: samples per inference; ``None``: those of the study's platform.

    Raises:
        UsageError: there is no such form or sub-network, or the folder cannot be made.
        BackendError: the sub-network cannot be written in that form.
    """
    if form not in _WRITERS:
        raise UsageError(f"unknown form {form!r}{suggestion(form, _WRITERS)}")
    chosen = of_front(study, position)
    batch = _batch(study) if batch is None else batch
    stages = tuple(net.stages(chosen.config, batch, weights))
    place = Path(folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make the directory {str(folder)!r}: {error.strerror}") from error
    files = [name for stage in stages for name in _WRITERS[form](stage, place)]
    (place / CONFIG).write_text(json.dumps(chosen.config) + "\n", encoding="utf-8")
    files.append(CONFIG)
    export = Export(net, study, chosen, position, form, stages, weights, batch)
    (place / README).write_text(readme(export, _digests(place, files)), encoding="utf-8")
    return Deployed(place, (*files, README))


def _batch(study: Study) -> int:
    """Return the batch size of the study's platform; 1 where it has none, or is not known here any more."""
    from harness.platform import parse
    from supernets.errors import PlatformError

    if study.platform is None:
        return 1
    # Behind an @ may be the farm's worker that measured.
    for text in (study.platform, study.platform.rpartition("@")[0]):
        with contextlib.suppress(PlatformError):
            return parse(text).settings.batch
    return 1


# --- forms -----------------------------------------------------------------------------------------------------------


def _write_onnx(stage: Stage, folder: Path) -> list[str]:
    from backends.export import export

    name = f"{stage.name}.onnx"
    (folder / name).write_bytes(export(stage).model)
    return [name]


def _write_openvino(stage: Stage, folder: Path) -> list[str]:
    from backends.export import export
    from supernets.errors import BackendError

    try:
        import openvino
    except ImportError as error:
        raise BackendError("openvino is not installed: pip install 'hwnas[openvino]'") from error
    model = openvino.Core().read_model(export(stage).model, b"")
    # Its default halves the precision of the weights, which is not what was measured.
    openvino.save_model(model, str(folder / f"{stage.name}.xml"), compress_to_fp16=False)
    return [f"{stage.name}.xml", f"{stage.name}.bin"]


def _write_torch(stage: Stage, folder: Path) -> list[str]:
    import torch

    from supernets.errors import BackendError

    name = f"{stage.name}.pt2"
    try:
        with torch.no_grad():
            program = torch.export.export(stage.module, stage.inputs)
        torch.export.save(program, folder / name)
    except (RuntimeError, ValueError) as error:
        raise BackendError(f"torch cannot export stage {stage.name!r}: {error}") from error
    return [name]


_WRITERS = {"onnx": _write_onnx, "openvino": _write_openvino, "torch": _write_torch}


def _digests(folder: Path, files: Sequence[str]) -> dict[str, str]:
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in files}
