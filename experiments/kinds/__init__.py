"""Kinds of experiments: one file each, or an installed package's entry point in the group ``hwnas.experiments``.

``ExperimentKind`` says what a file offers. One whose figures draw networks by number offers ``networks(data)`` too:
what the hover shows of each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from hwnas.supernets.registry import Registry

if TYPE_CHECKING:
    from hwnas.experiments.bench import Workspace
    from hwnas.experiments.experiment import Experiment


class ExperimentKind(Protocol):
    """What a registered module offers; ``data`` are JSON values.

    Attributes:
        SUMMARY: one line.
        Settings: a frozen dataclass, whose fields are the keys of an experiment file.
    """

    SUMMARY: str
    Settings: type

    def check(self, settings: Any, where: str) -> None:
        """Raise ``UsageError`` for what the types alone do not exclude."""
        ...

    def run(self, experiment: Experiment, bench: Workspace) -> dict[str, Any]:
        """Do it, part by part, and return what was found."""
        ...

    def verdicts(self, settings: Any, data: Mapping[str, Any]) -> Sequence[Any]:
        """Return the paper's claims, tested on what was found."""
        ...

    def sections(self, experiment: Experiment, data: Mapping[str, Any], published: Any) -> Sequence[Any]:
        """Return what the page shows."""
        ...

    def table(self, data: Mapping[str, Any]) -> Any:
        """Return what the CSV holds."""
        ...

    def stand_ins(self, settings: Any, environ: Mapping[str, str]) -> Iterable[str]:
        """Return what stands in for the paper's data, in sentences."""
        ...

    def gist(self, data: Mapping[str, Any]) -> str:
        """Return the result in a few words, for the table of all experiments."""
        ...


registry = Registry("kind of experiment", "hwnas.experiments.kinds", "hwnas.experiments", offers=ExperimentKind)
