"""The result of a comparison of algorithms: hypervolume curves, thresholds, attainment surfaces, and their JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from hwnas.harness.measurement.beside_load import beside_load
from hwnas.search.comparison.attainment import attainment_surfaces
from hwnas.search.hypervolume import hypervolume
from hwnas.search.objectives import Directions
from hwnas.search.study.archive import Evaluation
from hwnas.search.study.result import Study, times
from hwnas.search.words import troubled
from hwnas.supernets.errors import UsageError
from hwnas.supernets.space import FloatArray
from hwnas.supernets.values import json_number

# 1: first form.
SCHEMA = 1

LEVELS = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class Contestant:
    """An algorithm with its preset.

    Attributes:
        algorithm: its name.
        preset: of its settings; ``None``: its own.
        label: its name where algorithm and preset alone would be ambiguous; ``None``: those two.
    """

    algorithm: str
    preset: str | None = None
    label: str | None = None

    @classmethod
    def parse(cls, text: str) -> Contestant:
        """Read ``NAME`` or ``NAME:PRESET``."""
        name, colon, preset = text.strip().partition(":")
        if not name or (colon and not preset):
            raise UsageError(f"algorithm {text!r}: expected NAME or NAME:PRESET, like linas or linas:paper")
        return cls(name, preset or None)

    @property
    def name(self) -> str:
        """How it is spelled."""
        if self.label is not None:
            return self.label
        return self.algorithm if self.preset is None else f"{self.algorithm}:{self.preset}"


@dataclass(frozen=True)
class Reached:
    """How soon one algorithm reached one threshold.

    Attributes:
        name: the contestant's.
        evaluations: until the mean over the seeds is there, which is what the papers count; ``None``: never.
        per_seed: the same for each seed by itself.
        time_s: mean seconds of the seeds up to ``evaluations``, measuring and searching; ``None``: never.
        search_s: the same of the algorithm's own work.
    """

    name: str
    evaluations: int | None
    per_seed: tuple[int | None, ...]
    time_s: float | None
    search_s: float | None


@dataclass(frozen=True, eq=False)
class Comparison:
    """Searches of one problem by several algorithms.

    Attributes:
        studies: per contestant, one per seed.
        evals: evaluations of each.
        reference: minimised, ``(m,)``; the same for all.
        best: the hypervolume that counts as 1.
        best_given: it was given; otherwise it is that of all fronts together.
        asked: the thresholds that were asked for; ``None``: none were.
        measured_together: how many sub-networks of their fronts were measured together in the end, see
            ``hwnas.search.comparison.together``; 0: nothing is measured.
    """

    studies: Mapping[Contestant, Sequence[Study]]
    evals: int
    reference: FloatArray
    best: float
    best_given: bool
    asked: tuple[float, ...] | None
    measured_together: int = 0

    @classmethod
    def of(
        cls,
        studies: Mapping[Contestant, Sequence[Study]],
        evals: int,
        best: float | None = None,
        thresholds: Sequence[float] | None = None,
        measured_together: int = 0,
    ) -> Comparison:
        """Compare studies of the same problem; see the attributes.

        Raises:
            UsageError: a threshold is not a positive number, or ``best`` is not.
        """
        check_marks(best, thresholds)
        every = [study for runs in studies.values() for study in runs]
        # Of what is measured, each study knows the worst value of its own only, and none where all of its own failed.
        reference = np.fmax.reduce([study.reference for study in every], axis=0)
        fronts = np.vstack([study.archive.front_points() for study in every])
        whole = 0.0 if np.isnan(reference).any() else hypervolume(fronts, reference)
        asked = None if thresholds is None else tuple(sorted(set(thresholds)))
        counts_as_1 = whole if best is None else best
        return cls(studies, evals, reference, counts_as_1, best is not None, asked, measured_together)

    # --- curves ------------------------------------------------------------------------------------------------------

    @cached_property
    def curves(self) -> dict[Contestant, FloatArray]:
        """Per contestant, the normalised hypervolume after each evaluation, ``(seeds, evals)``."""
        return {one: np.array([self._curve(study) for study in runs]) for one, runs in self.studies.items()}

    def _curve(self, study: Study) -> FloatArray:
        curve = np.zeros(self.evals)
        if np.isnan(self.reference).any() or not len(study.archive) or not self.best:
            return curve
        volumes = study.archive.hypervolumes(self.reference) / self.best
        curve[: len(volumes)] = volumes
        curve[len(volumes) :] = volumes[-1]  # a search that ended early stays at its last value
        return curve

    def mean(self, contestant: Contestant) -> FloatArray:
        """Return the mean over the seeds, ``(evals,)``."""
        return np.asarray(self.curves[contestant].mean(axis=0))

    def standard_error(self, contestant: Contestant) -> FloatArray:
        """Return the standard error of that mean, ``(evals,)``; nan for a single seed."""
        curves = self.curves[contestant]
        if len(curves) < 2:
            return np.full(self.evals, np.nan)
        return np.asarray(curves.std(axis=0, ddof=1) / math.sqrt(len(curves)))

    # --- thresholds --------------------------------------------------------------------------------------------------

    @property
    def thresholds(self) -> tuple[float, ...]:
        """The normalised hypervolumes to reach: those asked for, or what each contestant but the best one reached."""
        if self.asked is not None:
            return self.asked
        final = sorted(float(self.mean(one)[-1]) for one in self.studies)
        # Rounded down, so that the contestant that gave the figure has reached it.
        return tuple(sorted({math.floor(value * 1000) / 1000 for value in final[:-1]} - {0.0}))

    def reached(self, threshold: float) -> list[Reached]:
        """Return how soon each contestant reached a threshold (Table 3 of arXiv 2205.10358)."""
        return [self._reached(one, threshold) for one in self.studies]

    def _reached(self, contestant: Contestant, threshold: float) -> Reached:
        evaluations = _first(self.mean(contestant), threshold)
        per_seed = tuple(_first(curve, threshold) for curve in self.curves[contestant])
        if evaluations is None:
            return Reached(contestant.name, None, per_seed, None, None)
        last = [study.archive[min(evaluations, len(study.archive)) - 1] for study in self.studies[contestant]]
        time_s, search_s = (float(np.mean([getattr(one, name) for one in last])) for name in ("total_s", "search_s"))
        return Reached(contestant.name, evaluations, per_seed, time_s, search_s)

    # --- JSON --------------------------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """Return the JSON of ``hwnas compare``.

        ::

            {"schema": 1, "supernet", "platform", "quality", "objectives", "constraints", "evals", "seeds": [...],
             "reference": {objective: value}, "best": {"value", "given"},
             "measured_together": how many sub-networks of all fronts, where something is measured,
             "unstable": how many evaluations have not converged, and why; "" where all have,
             "beside_load": how many were measured beside other programs, where some were,
             "algorithms": [{"name", "algorithm", "preset",
                             "mean": [...], "standard_error": [...] or null,      normalised, after each evaluation
                             "final": {"mean", "standard_error"},
                             "time_s": {"measure", "search", "total"},            mean over the seeds
                             "runs": [{"seed", "evaluations", "hypervolume": [...], "front": [{objective: value}]}],
                             "attainment": [{"level", "points": [{objective: value}]}]}],
             "thresholds": [{"value", "reached": [{"name", "evaluations", "per_seed", "time_s", "search_s"}]}]}
        """
        first = next(iter(self.studies.values()))[0]
        seeds = [study.seed for study in next(iter(self.studies.values()))]
        return {
            "schema": SCHEMA,
            "supernet": first.supernet,
            "platform": first.platform,
            "quality": first.facts["quality"],
            "objectives": list(first.settings["objectives"]),
            "constraints": list(first.constraints),
            "evals": self.evals,
            "seeds": seeds,
            "reference": self._named(self.reference[None])[0],
            "best": {"value": self.best, "given": self.best_given},
            **({"measured_together": self.measured_together} if self.measured_together else {}),
            **self._remarks(),
            "unstable": self._unstable(),
            **self._beside_load(),
            "algorithms": [self._contestant_json(one) for one in self.studies],
            "thresholds": [
                {
                    "value": value,
                    "reached": [vars(one) | {"per_seed": list(one.per_seed)} for one in self.reached(value)],
                }
                for value in self.thresholds
            ],
        }

    def _remarks(self) -> dict[str, list[str]]:
        """Return what is to be said of the problem; it is the same of every search."""
        every = [study.facts.get("remarks", []) for runs in self.studies.values() for study in runs]
        said = [line for line in every[0] if all(line in other for other in every)]
        return {"remarks": said} if said else {}

    def _unstable(self) -> str:
        """Say how many evaluations have not converged, and why; empty where all have."""
        every = self._evaluations()
        reasons = [one.reason for one in every if one.status == "unstable"]
        return troubled("unstable", reasons, len(every), "evaluations") if reasons else ""

    def _beside_load(self) -> dict[str, str]:
        marked = beside_load((one.load for one in self._evaluations()), "evaluations")
        return {"beside_load": marked} if marked else {}

    def _evaluations(self) -> list[Evaluation]:
        """Return those whose values are compared: all, or the fronts alone where they were measured together."""
        every = [study for runs in self.studies.values() for study in runs]
        return [one for study in every for one in (study.front if self.measured_together else study.archive)]

    def _contestant_json(self, contestant: Contestant) -> dict[str, Any]:
        mean, error, runs = self.mean(contestant), self.standard_error(contestant), self.studies[contestant]
        known = not np.isnan(error).any()
        return {
            "name": contestant.name,
            "algorithm": contestant.algorithm,
            "preset": contestant.preset,
            "mean": mean.tolist(),
            "standard_error": error.tolist() if known else None,
            "final": {"mean": float(mean[-1]), "standard_error": float(error[-1]) if known else None},
            "time_s": _mean([times(run.archive) for run in runs]),
            "runs": [
                {
                    "seed": run.seed,
                    "evaluations": len(run.archive),
                    "hypervolume": curve[: len(run.archive)].tolist(),
                    "front": self._named(run.archive.front_points()),
                }
                for run, curve in zip(runs, self.curves[contestant], strict=True)
            ],
            "attainment": self._attainment(runs),
        }

    def _attainment(self, runs: Sequence[Study]) -> list[dict[str, Any]]:
        if len(self.reference) not in {2, 3}:
            return []
        surfaces = attainment_surfaces([run.archive.front_points() for run in runs], LEVELS)
        return [
            {"level": level, "points": self._named(surface)} for level, surface in zip(LEVELS, surfaces, strict=True)
        ]

    def _named(self, minimised: FloatArray) -> list[dict[str, float | None]]:
        """Spell minimised points ``(n, m)`` by objective, in the units that users read."""
        labels = next(iter(self.studies.values()))[0].objectives
        shown = Directions([one.maximise for one in labels]).shown(minimised)
        return [{one.name: json_number(value) for one, value in zip(labels, row, strict=True)} for row in shown]


def _mean(each: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {part: float(np.mean([one[part] for one in each])) for part in each[0]}


def check_marks(best: float | None, thresholds: Sequence[float] | None) -> None:
    """Raise ``UsageError`` where what counts as 1, or a hypervolume to reach, is not a positive number."""
    for name, value in [("best", best), *(("thresholds", threshold) for threshold in thresholds or ())]:
        if value is not None and not (math.isfinite(value) and value > 0):
            raise UsageError(f"{name}: expected positive numbers, got {value}")


def _first(curve: FloatArray, threshold: float) -> int | None:
    """Return after how many evaluations a curve has reached a threshold, or ``None``."""
    there = np.flatnonzero(curve >= threshold)
    return int(there[0]) + 1 if there.size else None
