"""The search problems and algorithms of an experiment: the tables ``problems`` and ``algorithms`` of its file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from hwnas.experiments.original import filled, is_given, stand_in_notes
from hwnas.search.comparison.result import Contestant
from hwnas.supernets.errors import UsageError


@dataclass(frozen=True)
class Original:
    """What replaces a problem's stand-ins where the paper's own data are given: the same keys, all optional.

    Text may hold ``$NAME``, the value of an environment variable; it counts as given when all of them are set.
    """

    supernet: str | None = None
    platform: str | None = None
    quality: str | None = None
    weights: str | None = None
    subset: int | None = None
    objectives: tuple[str, ...] | None = None
    reference: Mapping[str, float] | None = None
    best: float | None = None
    # Of the paper's own data something may still be missing.
    stands_in: str | None = None


@dataclass(frozen=True)
class ExperimentProblem:
    """A super-network with its objectives.

    Attributes:
        supernet: as ``hwnas supernets`` lists them.
        platform: where latency is known or measured.
        as_table: latency on the platform is the sum over a table of its blocks, which is measured first.
        quality: the quality source; ``None``: the super-network's own.
        weights: for a source that runs sub-networks.
        subset: how many examples such a source tests on.
        objectives: empty: latency and the quality.
        constraints: like "latency<=20ms".
        reference: where hypervolume is measured from, by objective; empty: the default of ``search``.
        best: the hypervolume that counts as 1; ``None``: that of all searches together.
        known: other platforms, of which latencies are known; an algorithm says from how many of them it starts.
        title: on the page; empty: the name of its table.
        stands_in: what stands in for the paper's own data, a clause without a full stop; empty: nothing does.
        original: what to use instead of the stand-ins where it is given.
    """

    supernet: str
    platform: str | None = None
    as_table: bool = False
    quality: str | None = None
    weights: str | None = None
    subset: int | None = None
    objectives: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    reference: Mapping[str, float] = field(default_factory=dict)
    best: float | None = None
    known: tuple[str, ...] = ()
    title: str = ""
    stands_in: str = ""
    original: Original | None = None

    def resolved(self, environ: Mapping[str, str]) -> ExperimentProblem:
        """Return the problem with the paper's own data where they are given."""
        if not is_given(self.original, environ):
            return self
        given = {"stands_in": "", **filled(self.original, environ)}
        return replace(self, **given, as_table=False, original=None)

    def notes(self, name: str) -> Iterator[str]:
        """Say what stands in, and what would replace it."""
        yield from stand_in_notes(self.title or name, self.stands_in, self.original)

    def decisive(self) -> dict[str, Any]:
        """Return what decides which values are found, as JSON values but for files; see also ``files``."""
        return {
            name: value
            for name, value in asdict(self).items()
            if name not in {"title", "stands_in", "original", "best", "known"}
        }

    def options(self) -> dict[str, Any]:
        """Return the options of ``search`` that it stands for."""
        from hwnas.harness.quality import QualityOptions

        return {
            "platform": self.platform,
            "quality": self.quality,
            "quality_options": QualityOptions(self.weights, self.subset),
            "objectives": self.objectives or None,
            "constraints": self.constraints,
            "reference": dict(self.reference) or None,
        }


@dataclass(frozen=True)
class Use:
    """An algorithm as an experiment uses it; the name of its table is the name in figures.

    Attributes:
        algorithm: as ``hwnas algorithms`` lists them.
        preset: "paper" for the published settings.
        settings: the algorithm's own, on top of the preset.
        evals: evaluations of a search; ``None``: those of the experiment.
        seeds: searches; ``None``: those of the experiment.
        known: from how many of the problem's ``known`` platforms it starts, the first ones.
        searched: evaluations of a search on each of those by this algorithm, from which it starts instead of from the
            latencies that they know; ``None``: from these.
    """

    algorithm: str
    preset: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    evals: int | None = None
    seeds: int | None = None
    known: int = 0
    searched: int | None = None

    def decisive(self) -> dict[str, Any]:
        """Return what decides how it searches, as JSON values, but for what it starts from; see ``Search.study``."""
        return {name: value for name, value in asdict(self).items() if name not in {"known", "searched"}}

    def contestant(self, label: str) -> Contestant:
        """Return it as a comparison names it."""
        return Contestant(self.algorithm, self.preset, label)


def check_known(problems: Iterable[ExperimentProblem], uses: Iterable[Use], where: str) -> None:
    """Raise ``UsageError`` where an algorithm is to start from other platforms than a problem knows."""
    known = min((len(one.known) for one in problems), default=0)
    for one in uses:
        if not 0 <= one.known <= known:
            raise UsageError(f"{where}: known: expected 0 to {known} (the problem's known platforms), got {one.known}")
        if one.searched is not None and (one.searched < 1 or not one.known):
            raise UsageError(
                f"{where}: searched: expected at least 1 evaluation, on known platforms (known: 1 or more), got "
                f"{one.searched} on {one.known}"
            )
