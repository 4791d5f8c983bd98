"""Export a sub-network that a search has found as ONNX, OpenVINO or torch, with a README of its figures."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from hwnas.harness import quality
from hwnas.harness.quality import QualityOptions
from hwnas.harness.quality.recalibrate import norms
from hwnas.search.deploy.check import check_written
from hwnas.search.deploy.readme import Export, readme
from hwnas.search.deploy.weights import weights_of
from hwnas.search.study.archive import Evaluation
from hwnas.search.study.result import Study
from hwnas.supernets.errors import HwnasError, UsageError, suggestion
from hwnas.supernets.supernet import Stage, SuperNetwork, own_weights
from hwnas.supernets.writing import check_folder, write_folder

README, CONFIG = "README.md", "config.json"


@dataclass(frozen=True)
class Deployed:
    """What was written.

    Attributes:
        folder: where.
        files: their names, the README's last.
        weights: the file that the weights are from; ``None``: the super-network has them by itself, or they are random.
    """

    folder: Path
    files: tuple[str, ...]
    weights: str | None = None


def of_front(study: Study, position: int) -> Evaluation:
    """Return sub-network number ``position`` of a study's front, from 1, in the order of the first objective.

    Raises:
        UsageError: the front has no such sub-network.
    """
    front = study.front
    if not 1 <= position <= len(front):
        if not front:
            raise UsageError(f"study {study.name!r}: its front is empty, so there is no sub-network to export")
        raise UsageError(f"study {study.name!r}: expected one of its front, 1 to {len(front)}, got {position}")
    return front[position - 1]


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
        folder: is made where it is not there; files of the same names are replaced, all of them or none.
        weights: the super-network's weights; ``None``: those with which the study measured quality, or else those of
            the super-network's model, or random ones, with which it is only good for timing.
        batch: samples per inference; ``None``: those of the study's platform.

    Raises:
        UsageError: there is no such form or sub-network, nothing can be written into the folder, or the study's weights
            are not there any more.
        BackendError: the sub-network cannot be written in that form, or what was written, read back and run, computes
            something else than the torch module.
        NotFiniteError: the torch module's own outputs are not finite.
        OutputError: a file cannot be written; then there is none of them.
    """
    if form not in _FORMS:
        raise UsageError(f"unknown form {form!r}{suggestion(form, _FORMS)}")
    check_folder(folder)
    chosen = of_front(study, position)
    batch, weights = _batch(study) if batch is None else batch, weights_of(study, weights)
    stages, statistics = _as_tested(net, study, chosen, tuple(net.stages(chosen.config, batch, weights)), weights)
    written = {stage.name: _FORMS[form](stage) for stage in stages}
    for stage in stages:
        check_written(stage, form, written[stage.name])
    contents = {name: content for files in written.values() for name, content in files.items()}
    contents[CONFIG] = f"{json.dumps(chosen.config)}\n".encode()
    export = Export(net, study, chosen, position, form, stages, weights, batch, statistics)
    contents[README] = readme(export, _digests(contents)).encode()
    write_folder(folder, contents)
    return Deployed(Path(folder), tuple(contents), weights)


def _as_tested(
    net: SuperNetwork, study: Study, chosen: Evaluation, stages: tuple[Stage, ...], weights: str | None
) -> tuple[tuple[Stage, ...], str]:
    """Return a sub-network with the batch-norm statistics with which its quality was found, and a note about these.

    Those in the weights of a super-network are averages over sub-networks.
    """
    if weights is None or not any(norms(stage.module) for stage in stages):
        return stages, ""
    source, why = str((study.facts.get("quality") or {}).get("source", "")), ""
    network = None
    if source:
        try:
            network = quality.tested(source, net, QualityOptions(weights=weights))
        except HwnasError as error:
            why = f" ({error})"
    if network is not None:
        import torch

        module = network(chosen.config).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        return (replace(stages[0], module=module),), f"Its batch-norm statistics are set as for `{source}`."
    if own_weights(net) is not None and not why:
        return stages, ""  # a model's own statistics
    return stages, (
        "**Its batch-norm statistics are averages over all sub-networks**, with which its quality is far lower: set "
        f"them on training data before it is used{why}."
    )


def _batch(study: Study) -> int:
    """Return the batch size of the study's platform; 1 where it has none, or is not known here any more."""
    from hwnas.harness.platform import parse
    from hwnas.supernets.errors import PlatformError

    if study.platform is None:
        return 1
    # Behind an @ may be the farm's worker that measured.
    for text in (study.platform, study.platform.rpartition("@")[0]):
        with contextlib.suppress(PlatformError):
            return parse(text).settings.batch
    return 1


# --- forms -----------------------------------------------------------------------------------------------------------


def _onnx(stage: Stage) -> dict[str, bytes]:
    from hwnas.backends.export import export

    graph = export(stage)
    weights = {graph.weights_file: b"".join(graph.weights)} if graph.weights else {}
    return {f"{stage.name}.onnx": graph.model, **weights}


def _openvino(stage: Stage) -> dict[str, bytes]:
    from hwnas.backends.export import export
    from hwnas.backends.openvino_core import give_back_inputs, read_model, shared_core
    from hwnas.supernets.errors import BackendError

    try:
        import openvino
    except ImportError as error:
        raise BackendError("openvino is not installed: pip install 'hwnas[openvino]'") from error
    names = (f"{stage.name}.xml", f"{stage.name}.bin")
    try:
        # It writes files alone, by their names.
        with export(stage).readable() as source, tempfile.TemporaryDirectory(prefix="hwnas-") as folder:
            model = read_model(shared_core(), source)
            given = (one.detach().numpy() for one in stage.inputs)
            give_back_inputs(model, dict(zip(stage.input_names, given, strict=True)))
            # Its default halves the precision of the weights, which is not what was measured.
            openvino.save_model(model, str(Path(folder) / names[0]), compress_to_fp16=False)
            return {name: (Path(folder) / name).read_bytes() for name in names}
    except (OSError, RuntimeError) as error:
        raise BackendError(
            f"openvino cannot write stage {stage.name!r} into a temporary folder ({error}); TMPDIR names another"
        ) from error


def _torch(stage: Stage) -> dict[str, bytes]:
    import torch

    from hwnas.supernets.errors import BackendError

    content = io.BytesIO()  # on a full disk its own writer of files ends the process
    try:
        with torch.no_grad():
            program = torch.export.export(stage.module, stage.inputs)
        torch.export.save(program, content)
    except (RuntimeError, ValueError) as error:
        raise BackendError(f"torch cannot export stage {stage.name!r}: {error}") from error
    return {f"{stage.name}.pt2": content.getvalue()}


_FORMS = {"onnx": _onnx, "openvino": _openvino, "torch": _torch}


def _digests(contents: Mapping[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
