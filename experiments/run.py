"""Run an experiment and return its result, from which the page, the CSV and the summary are made."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hwnas.experiments import kinds
from hwnas.experiments.bench import Step, Workspace
from hwnas.experiments.experiment import Experiment
from hwnas.experiments.parts import Parts

# 1: first form.
SCHEMA = 1

STORE = "hwnas.db"


@dataclass(frozen=True)
class Finished:
    """What an experiment has found.

    Attributes:
        experiment: what was run.
        result: JSON values: ``{"schema", "experiment", "scale", "title", "paper", "kind", "stands_in": [...],
            "claims": [...], "gist", "decided_by", "seconds", "processor_s", "finished_at", "environment",
            "data": {...}}``.
    """

    experiment: Experiment
    result: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What its files are called, without an ending."""
        return f"{self.experiment.name}-{self.experiment.scale}"


def run(
    experiment: Experiment,
    folder: str | Path,
    *,
    store: str | None = None,
    workers: int | None = None,
    environ: Mapping[str, str] | None = None,
    progress: Callable[[Step], None] = lambda _: None,
) -> Finished:
    """Run an experiment, or what is left of it.

    Args:
        experiment: see there.
        folder: of finished parts, and of the store where none is named; created where it is missing.
        store: path or URL of another store.
        workers: processes for searches that measure nothing; ``None``: as many as CPUs may be used.
        environ: where the variables of the original data are looked up; ``None``: the process's own.
        progress: is called with a ``Step`` as things get done.

    Raises:
        UsageError: the experiment asks for what cannot be.
        WorkError: something did not work; what was done is stored.
    """
    from hwnas.harness.host import environment

    name = f"{experiment.name}-{experiment.scale}"
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    parts = Parts(target / "parts" / name)
    given = os.environ if environ is None else environ
    bench = Workspace(store or str(target / STORE), parts, target.absolute() / "parts", name, workers, given, progress)
    kind, settings = experiment.kind, experiment.settings
    with kinds.registry.at_work(experiment.head.kind):
        data = kind.run(experiment, bench)
        found = {
            "stands_in": list(kind.stand_ins(settings, given)),
            "claims": [one.to_json() for one in kind.verdicts(settings, data)],
            "gist": kind.gist(data),
        }
    head, facts = experiment.head, environment.collect()
    parts.tick(force=True)
    result = {
        "schema": SCHEMA,
        "experiment": experiment.name,
        "scale": experiment.scale,
        "title": head.title,
        "paper": head.paper,
        "shows": head.shows,
        "kind": head.kind,
        **found,
        "decided_by": experiment.decided_by,
        "seconds": round(parts.spent.seconds, 1),
        "processor_s": round(parts.spent.processor_s, 1),
        "finished_at": datetime.now(tz=UTC).isoformat(timespec="seconds"),
        "environment": facts,
        "data": data,
    }
    return Finished(experiment, result)
