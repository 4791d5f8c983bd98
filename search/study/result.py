"""What a search has found: the study, its front, and its JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from hwnas.harness.measurement.beside_load import beside_load
from hwnas.harness.measurement.measurement import Measurement
from hwnas.harness.measurement.protocol import THOROUGH
from hwnas.search.objectives import Directions
from hwnas.search.study.archive import Archive, Evaluation
from hwnas.search.study.constraints import check_canonical
from hwnas.search.study.final import FinalFront
from hwnas.search.study.limits import met_by_all
from hwnas.search.study.stopping import Reference
from hwnas.search.words import troubled
from hwnas.supernets.contents import of_records
from hwnas.supernets.shown import counted, html_table
from hwnas.supernets.space import FloatArray
from hwnas.supernets.values import is_time, json_number, number, number_or_none, of_kind

# 1: first form.
SCHEMA = 1


@dataclass(frozen=True)
class ObjectiveLabel:
    """An objective as it is written down.

    Attributes:
        name: as in the evaluations.
        unit: of its values.
        maximise: more is better.
    """

    name: str
    unit: str
    maximise: bool


@dataclass(frozen=True)
class Study:
    """A search with a name, as far as it has come.

    Attributes:
        name: in the store.
        settings: what decides which sub-networks it evaluates; see ``hwnas.search.study.plan.Plan.settings``.
        facts: what is to be known about its values: "quality", "environment", "reference"; "remarks" where there are
            some on its constraints and how it was resumed; "measured_constraints"; "final" where its front
            was measured again, with what effort.
        archive: its evaluations.
        time_s: seconds, "measure", "search" and "total"; "final" where the front was measured again; of this call, how
            much of measuring was "waiting", "starting" workers, "preparing" and "timing".
        stopped: why it ended; "" where that is not known.
        models: fixed models that were measured beside its front; see ``hwnas.search.study.models``.
    """

    name: str
    settings: Mapping[str, Any]
    facts: Mapping[str, Any]
    archive: Archive
    time_s: Mapping[str, float]
    stopped: str = ""
    models: tuple[Measurement, ...] = ()
    _directions: Directions = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_directions", Directions([one.maximise for one in self.objectives]))

    def checked(self) -> Self:
        """Return it; raises ``LookupError``, ``OverflowError`` or ``TypeError`` where it is of another form."""
        wanted = {"supernet": str, "algorithm": str, "seed": int, "settings": Mapping, "constraints": list}
        for name, kind in wanted.items():
            of_kind(name, self.settings[name], kind)
        for name in ("platform", "preset", "warm_start"):
            of_kind(name, self.settings[name], str | None)
        if not self.objectives:
            raise LookupError("objectives: expected at least one")
        self._check_begun()
        for one in self.objectives:
            of_kind("name", one.name, str)
            of_kind("unit", one.unit, str)
            of_kind("maximise", one.maximise, bool)
            of_kind("reference", self.facts["reference"][one.name], float | int | None)
            number_or_none(self.facts["reference"][one.name])
            missing = next(
                (evaluation.index for evaluation in self.archive if one.name not in evaluation.objectives), None
            )
            if missing is not None:
                raise LookupError(f"evaluation {missing}: has no {one.name}")
            self._check_times(one)
        if _predicted(self.facts["quality"]):
            of_kind("note", self.facts["quality"]["note"], str)
        of_kind("environment", self.facts["environment"], Mapping)
        for text in (*self.facts.get("remarks", []), *self.facts.get("measured_constraints", [])):
            of_kind("remarks and constraints", text, str)
        check_canonical(self.facts.get("measured_constraints", []))
        return self

    def concluded(self, final: FinalFront) -> Self:
        """Return the study with the values of its final front."""
        facts = {**self.facts, "final": final.facts()}
        return replace(self, facts=facts, archive=self.archive.concluded(final.found))

    def _check_begun(self) -> None:
        """Check what a search that goes on compares; studies of earlier versions lack some of it."""
        kinds = {"initial": list, "parallel": int, "contents": dict, "sources": dict, "protocol": dict}
        for name, kind in kinds.items():
            of_kind(name, self.settings.get(name, kind()), kind)
        _check_transferred(self.settings)
        for text in (*self.constraints, *self.settings.get("initial", ())):
            of_kind("constraints and initial", text, str)
        of_records(self.settings.get("contents", {}))

    def _check_times(self, label: ObjectiveLabel) -> None:
        if not is_time(label.unit):
            return
        for evaluation in self.archive:
            value = evaluation.objectives[label.name]
            if not math.isnan(value):
                number(value, time=True)

    def __repr__(self) -> str:
        where = f" on {self.platform}" if self.platform else ""
        found = f"{counted(len(self.archive), 'evaluation')}, front of {len(self.archive.front)}"
        return f"<Study {self.name!r} of {self.supernet}{where}: {found}, hypervolume {self.hypervolume:.6g}>"

    def _repr_html_(self) -> str:
        labels = self.objectives
        columns = ["evaluation", "key", *(f"{one.name} {one.unit}".strip() for one in labels), "status"]
        rows = [
            [one.index, one.key, *(f"{one.objectives[o.name]:.6g}" for o in labels), one.status] for one in self.front
        ]
        return html_table(repr(self).strip("<>"), columns, rows)

    @property
    def supernet(self) -> str:
        """The super-network's name."""
        return str(self.settings["supernet"])

    @property
    def platform(self) -> str | None:
        """The platform's string; ``None`` where no latency was asked for."""
        return self.settings["platform"]  # type: ignore[no-any-return]

    @property
    def algorithm(self) -> str:
        """The algorithm's name."""
        return str(self.settings["algorithm"])

    @property
    def seed(self) -> int:
        """The seed of all its randomness."""
        return int(self.settings["seed"])

    @property
    def objectives(self) -> tuple[ObjectiveLabel, ...]:
        """The objectives in order."""
        return tuple(ObjectiveLabel(**label) for label in self.settings["objectives"])

    @property
    def constraints(self) -> tuple[str, ...]:
        """The constraints in their canonical spelling."""
        return tuple(self.settings["constraints"])

    @property
    def evaluations(self) -> list[Evaluation]:
        """The evaluations in order."""
        return list(self.archive)

    @property
    def front(self) -> list[Evaluation]:
        """The non-dominated evaluations that meet the constraints, in the order of the first objective, the best first.

        ``export`` counts in this order, from 1.
        """
        return [self.archive[index] for index in self.archive.ordered_front()]

    @property
    def nearest(self) -> int | None:
        """Where no evaluation meets the constraints: the index of the one that misses them least, else ``None``."""
        return self.archive.nearest

    @property
    def reference(self) -> FloatArray:
        """The minimised reference point, ``(m,)``; see ``hwnas.search.study.stopping``."""
        stored = self.facts["reference"]
        point = np.array([np.nan if stored[one.name] is None else stored[one.name] for one in self.objectives])
        return Reference(self._directions.minimised(point)).of(self.archive)

    @property
    def hypervolume(self) -> float:
        """What the front dominates within the reference, in the product of the objectives' units."""
        return self.archive.hypervolume(self.reference)

    def notes(self) -> list[str]:
        """Return what a reader should know beside the figures, a sentence each."""
        quality = self.facts["quality"]
        # The source's own words say where its values are from, and how good they are.
        notes = [str(quality["note"])] if _predicted(quality) else []
        notes += self.facts.get("remarks", [])
        units = {one.name: one.unit for one in self.objectives}
        notes += met_by_all(self.facts.get("measured_constraints", []), units, self.archive)
        notes += self._states("failed", list(self.archive), "evaluations")
        # Of those that were measured briefly, many are unstable by the measure of those that are reported.
        reported = self.front if "final" in self.facts else list(self.archive)
        called = "sub-networks of the front" if "final" in self.facts else "evaluations"
        notes += self._states("unstable", reported, called)
        marked = beside_load((one.load for one in self.archive), "evaluations")
        notes += [marked] if marked else []
        notes += self._left_out()
        if self.nearest is not None:
            notes.append(self._impossible(self.archive[self.nearest]))
        if self.stopped and not self.stopped.endswith("evaluations are done"):
            notes.append(f"stopped: {self.stopped}")
        return notes

    @staticmethod
    def _states(status: str, among: Sequence[Evaluation], called: str) -> list[str]:
        found = [one.reason for one in among if one.status == status]
        return [troubled(status, found, len(among), called)] if found else []

    def _left_out(self) -> list[str]:
        """Say where more may be on the front than was measured again."""
        if "final" not in self.facts:
            return []
        final = self.facts["final"]
        more, all_of_them = final["left_out"], final["left_out"] + final["sub_networks"]
        effort = self.settings.get("effort", THOROUGH)
        found = f"{more} more may be on the front, known by {effort} measurements only: --final-front {all_of_them}"
        return [f"{found} measures all of them in full"] if more else []

    def _impossible(self, nearest: Evaluation) -> str:
        limits = ", ".join(self.constraints)
        units = {one.name: one.unit for one in self.objectives}
        values = (f"{name} {value:.6g} {units.get(name, '')}".rstrip() for name, value in nearest.objectives.items())
        return (
            f"no sub-network that was evaluated meets {limits}; nearest is evaluation {nearest.index} "
            f"({', '.join(values)}), {nearest.violation:.1%} beyond"
        )

    def _protocol(self) -> dict[str, Any]:
        asked = self.settings.get("protocol")
        return {"protocol": asked} if asked else {}

    def to_json(self) -> dict[str, Any]:
        """Return the JSON of ``hwnas search``; beside its fixed fields it has the settings, the facts and the notes."""
        names, reference = [one.name for one in self.objectives], self._directions.shown(self.reference)
        return {
            "schema": SCHEMA,
            "study": self.name,
            "supernet": self.supernet,
            "platform": self.platform,
            "algorithm": self.algorithm,
            "seed": self.seed,
            "objectives": list(self.settings["objectives"]),
            "constraints": list(self.constraints),
            "evaluations": [evaluation.to_json() for evaluation in self.archive],
            "front": self.archive.front,
            **({"models": [one.to_json() for one in self.models]} if self.models else {}),
            "nearest": self.nearest,
            "hypervolume": {
                "value": self.hypervolume,
                "reference": {n: json_number(value) for n, value in zip(names, reference, strict=True)},
            },
            "time_s": dict(self.time_s),
            "stopped": self.stopped,
            "notes": self.notes(),
            "quality": self.facts["quality"],
            "environment": self.facts["environment"],
            **({"effort": self.settings["effort"]} if "effort" in self.settings else {}),
            **({"final": dict(self.facts["final"])} if "final" in self.facts else {}),
            "settings": {"preset": self.settings["preset"], **self.settings["settings"], **self._protocol()},
            "warm_start": self.settings["warm_start"],
        }


def times(archive: Archive) -> dict[str, float]:
    """Return where the time up to the last evaluation went, in seconds."""
    if not len(archive):
        return {"measure": 0.0, "search": 0.0, "total": 0.0}
    last = archive[len(archive) - 1]
    return {"measure": last.measure_s, "search": last.search_s, "total": last.total_s}


def _check_transferred(settings: Mapping[str, Any]) -> None:
    """Check what a search started from: a source, or several, and where each of them ended."""
    sources, until = settings.get("transfer_from"), settings.get("transfer_until")
    of_kind("transfer_from", sources, str | list | None)
    for source in sources if isinstance(sources, list) else ():
        of_kind("transfer_from", source, str)
    each = until if isinstance(until, list) and all(one is None or isinstance(one, list) for one in until) else [until]
    for end in each or [until]:
        if end is not None and (type(end) is not list or [type(one) for one in end] != [int, str]):
            raise TypeError(f"transfer_until: expected a number and a time, got {end!r}")
    for one in settings.get("transfer_known", []):
        of_kind("transfer_known", one.get("study", one.get("platform")), str)
        of_kind("transfer_known", one.get("contents", {}), dict)
        of_kind("transfer_known", one.get("without"), str | None)


def _predicted(quality: Mapping[str, Any] | None) -> bool:
    return quality is not None and bool(quality["predicted"])
