"""The README that goes with a deployed sub-network: its figures, how to run it, and caveats."""

from __future__ import annotations

import json
import keyword
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hwnas.search.deploy.weights import other_weights
from hwnas.search.study.archive import Evaluation
from hwnas.search.study.result import Study
from hwnas.supernets.shown import counted
from hwnas.supernets.supernet import Stage, SuperNetwork, own_weights

if TYPE_CHECKING:
    import torch

# How each format is written down for a reader: a stage's file NAME, its inputs' names.
_SNIPPETS = {
    "onnx": """import onnxruntime
session = onnxruntime.InferenceSession("{file}")
outputs = session.run(None, {{{feeds}}})""",
    # Left alone, OpenVINO computes in BF16 on CPUs that have it.
    "openvino": """import openvino
network = openvino.compile_model("{file}", "CPU", {{"INFERENCE_PRECISION_HINT": "f32"}})
outputs = network({{{feeds}}})""",
    "torch": """import torch
network = torch.export.load("{file}").module()
outputs = network({arguments})""",
}


@dataclass(frozen=True)
class Export:
    """What is deployed, and how.

    Attributes:
        net: the super-network.
        study: that found it.
        chosen: the sub-network.
        position: its number on the study's front.
        form: "onnx", "openvino" or "torch".
        stages: what was written.
        weights: the file that its weights are from; ``None``: they are random.
        batch: samples per inference.
        statistics: what is to be known of its batch-norms' statistics.
    """

    net: SuperNetwork
    study: Study
    chosen: Evaluation
    position: int
    form: str
    stages: Sequence[Stage]
    weights: str | None
    batch: int
    statistics: str = ""


def readme(export: Export, digests: Mapping[str, str]) -> str:
    """Return the README, in Markdown.

    Args:
        export: what is deployed.
        digests: SHA-256 of each file, by name.
    """
    study = export.study
    found = f"{study.algorithm}, {counted(len(study.archive), 'evaluation')} on `{study.platform or 'no platform'}`"
    samples = "1 sample" if export.batch == 1 else f"{export.batch} samples"
    lines = [
        f"# A sub-network of {export.net.name}",
        "",
        f"Number {export.position} of the front of the study `{study.name}`: {found}.",
        "",
        "| | |",
        "| --- | --- |",
        *(f"| {name} | {value} |" for name, value in _figures(export).items()),
        "",
        *_notes(export),
        "## Running it",
        "",
        f"It is written for {samples} per inference.",
        "",
        *(line for stage in export.stages for line in _stage(stage, export.form)),
        "## Files",
        "",
        *(f"- `{name}`, SHA-256 `{digest}`" for name, digest in digests.items()),
    ]
    return "\n".join([*lines, ""])


def _figures(export: Export) -> dict[str, str]:
    study, chosen, vector = export.study, export.chosen, export.net.space.encode(export.chosen.config)
    predicted = study.facts["quality"]["metric"] if _is_predicted(study) else None
    figures = {}
    for label in study.objectives:
        value = f"{chosen.objectives[label.name]:.5g} {label.unit}".strip()
        bounds = chosen.intervals.get(label.name)
        if bounds is not None:
            value += f" ({bounds[0]:.4g} to {bounds[1]:.4g})"
        figures[label.name] = value + (" (predicted)" if label.name == predicted else "")
    figures.setdefault("macs", f"{int(export.net.macs(vector)[0]) / 1e6:.1f} M")
    figures.setdefault("params", f"{int(export.net.params(vector)[0]) / 1e6:.2f} M")
    cpu = (study.facts.get("environment") or {}).get("cpu")
    if isinstance(cpu, Mapping) and cpu.get("model"):
        figures["measured on"] = str(cpu["model"])
    return {**figures, "config": f"`{json.dumps(chosen.config)}`"}


def weights_noted(net: SuperNetwork, study: Study, weights: str | None) -> list[str]:
    """Say where a sub-network's weights are from, and whether its quality was measured with others."""
    if weights is None and own_weights(net) is not None:
        return ["Its weights are those of the model that the super-network is made of."]
    if weights is None:
        return [
            "**Its weights are random**: good for timing and for nothing else. `--weights FILE` takes trained ones."
        ]
    other = other_weights(study, weights)
    return [f"Its weights are those of `{Path(weights).name}`.", *([other] if other else [])]


def _notes(export: Export) -> list[str]:
    chosen = export.chosen
    notes = weights_noted(export.net, export.study, export.weights)
    if export.statistics:
        notes.append(export.statistics)
    if chosen.status != "ok":
        notes.append(f"Its measurement is {chosen.status}: {chosen.reason}.")
    if _is_predicted(export.study):
        notes.append(f"Of its quality: {export.study.facts['quality']['note']}.")
    return [line for note in notes for line in (note, "")]


def _is_predicted(study: Study) -> bool:
    quality = study.facts.get("quality")
    return bool(quality and quality["predicted"])


def _stage(stage: Stage, form: str) -> list[str]:
    often = f", which runs {stage.repeats} times per inference" if stage.repeats > 1 else ""
    shapes = ", ".join(f"`{name}` {_shape(x)}" for name, x in zip(stage.input_names, stage.inputs, strict=True))
    extension = {"onnx": "onnx", "openvino": "xml", "torch": "pt2"}[form]
    variables = [_variable(name, number) for number, name in enumerate(stage.input_names)]
    feeds = ", ".join(f"{json.dumps(name)}: {one}" for name, one in zip(stage.input_names, variables, strict=True))
    snippet = _SNIPPETS[form].format(file=f"{stage.name}.{extension}", feeds=feeds, arguments=", ".join(variables))
    return [f"Stage `{stage.name}`{often}; inputs: {shapes}.", "", "```python", snippet, "```", ""]


def _variable(name: str, number: int) -> str:
    """Return what an input is called in Python."""
    return name if name.isidentifier() and not keyword.iskeyword(name) else f"input{number}"


def _shape(x: torch.Tensor) -> str:
    return f"{'x'.join(map(str, x.shape)) or 'scalar'} {str(x.dtype).removeprefix('torch.')}"
