"""Build a latency table of this machine for an experiment: after that, searches need no measurements."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hwnas import supernets
from hwnas.experiments.bench import Workspace
from hwnas.experiments.files import platform_files
from hwnas.experiments.parts import digest
from hwnas.experiments.problem import ExperimentProblem

if TYPE_CHECKING:
    from hwnas.harness.platform import Platform


def tabulated(problem: ExperimentProblem, bench: Workspace) -> ExperimentProblem:
    """Return the problem with a table of its platform in place of the platform; without ``as_table`` as it is.

    The table is built once in a folder, whichever experiments use it.

    Raises:
        UsageError: the super-network does not build its blocks alone.
        MeasurementError: a block could not be measured.
    """
    from hwnas.harness.pinned import pinned
    from hwnas.harness.platform import parse

    if not problem.as_table or problem.platform is None:
        return problem
    where = pinned(parse(problem.platform))
    decisive = {"supernet": problem.supernet, "platform": problem.platform} | platform_files(where).decisive
    file = bench.shared / f"table-{digest(decisive)}.yaml"
    if not file.exists():
        _build(problem, where, bench, file)
    return replace(problem, platform=f"lut:file={file}", as_table=False)


def _build(problem: ExperimentProblem, where: Platform, bench: Workspace, file: Path) -> None:
    from hwnas.harness.luts.build import build_table
    from hwnas.harness.store import Store

    net = supernets.get(problem.supernet)
    with Store.open(bench.store) as store:
        built = build_table(
            net,
            where,
            store=store,
            progress=lambda event: bench.step(f"table of {where}: {event.message}", event.done, event.total),
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    built.write(file, net.name)
