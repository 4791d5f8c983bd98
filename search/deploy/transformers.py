"""Export a sub-network of a language model as a folder that Hugging Face's transformers loads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from hwnas.search.deploy.readme import weights_noted
from hwnas.search.deploy.weights import weights_of
from hwnas.search.deploy.write import README, Deployed, of_front
from hwnas.search.study.result import Study
from hwnas.supernets.errors import UsageError
from hwnas.supernets.space import Config
from hwnas.supernets.supernet import SuperNetwork
from hwnas.supernets.writing import check_folder, write_folder

# The folder's config.json is transformers'.
SUBNETWORK = "subnetwork.json"


@runtime_checkable
class InTransformers(Protocol):
    """A super-network whose sub-networks can be written for transformers."""

    def transformers_files(self, config: Config | dict[str, Any], weights: str | None = None) -> dict[str, bytes]:
        """Return the files' contents, by name."""
        ...


def deploy_transformers(
    net: SuperNetwork, study: Study, position: int, folder: str | Path, weights: str | None = None
) -> Deployed:
    """Write one sub-network of a study's front.

    Args:
        net: the study's super-network.
        study: the study.
        position: which of the front; see ``hwnas.search.deploy.write.of_front``.
        folder: is made where it is not there; files of the same names are replaced, all of them or none.
        weights: the super-network's weights; ``None``: those with which the study measured quality, or else those of
            the model that it was made of.

    Raises:
        UsageError: ``net`` is not made of a Hugging Face folder, there is no such sub-network, or the study's weights
            are not there any more.
        OutputError: a file cannot be written; then there is none of them.
    """
    if not isinstance(net, InTransformers):
        raise UsageError(f"{net.name}: only sub-networks of causal-lm are written for transformers")
    check_folder(folder)
    chosen = of_front(study, position)
    weights = weights_of(study, weights)
    contents = net.transformers_files(chosen.config, weights)
    contents[SUBNETWORK] = f"{json.dumps(chosen.config)}\n".encode()
    values = [f"| {one.name} | {chosen.objectives[one.name]:.5g} {one.unit} |" for one in study.objectives]
    lines = [
        f"# A sub-network of {net.name}",
        "",
        f"Number {position} of the front of the study `{study.name}`.",
        "",
        "| | |",
        "| --- | --- |",
        *values,
        "",
        *(line for note in weights_noted(net, study, weights) for line in (note, "")),
        "`transformers.AutoModelForCausalLM.from_pretrained` loads this folder. All layers in it have the size of the",
        f"largest; those that are smaller in `{SUBNETWORK}` are filled up with zeros, which change no output.",
        "",
    ]
    contents[README] = "\n".join(lines).encode()
    write_folder(folder, contents)
    return Deployed(Path(folder), tuple(contents), weights)
