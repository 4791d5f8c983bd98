"""The parameters of the timing protocol, stored with every measurement: two profiles, each at three levels of effort.

The profile follows from the host's noise: "quiet" or "noisy". The effort follows from the decision: "quick" is enough
to tell a search where to look, "thorough" is what is reported. ``docs/measurement.md`` says what each parameter is for,
and by which experiments it was chosen.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Self

from hwnas.supernets.errors import UsageError, suggestion
from hwnas.supernets.values import fault

# 1: first form. 2: slow networks are visited twice as often, for one sample at a time; what is known to within
# `interval` either way when its time is up is ok. 3: every network is prepared in memory of its own, 4: several times,
# 5: by a worker that has not prepared many others before. 6: the 15th percentile, by the mean of the
# fastest 30 %, took the place of the 10th; undisturbed samples count alone down to a fifth of all, not a half. 7: the
# pace of the host is divided out where the networks of a batch show one; intervals know what sessions differ by.
VERSION = 7

STATISTICS = ("min", "p10", "p15", "median")
EFFORTS = QUICK, NORMAL, THOROUGH = ("quick", "normal", "thorough")
# No count of the protocol is meant to be larger, and what is stored has to fit 64 bits.
_LARGEST_COUNT = 10**9


@dataclass(frozen=True)
class TimingProtocol:
    """How a batch of networks is timed. Times are seconds, ratios and targets are fractions.

    Attributes:
        profile: the named profile it started from.
        effort: the named level of effort, "quick", "normal" or "thorough", that it started from.
        statistic: the value of a network: "min", "p10", "p15" or "median" of its undisturbed samples.
        confidence: of the intervals.
        interval: a network is visited until its interval, relative to its value, is at most this wide.
        accept: when its time is up before that, it is ok if its interval is at most this many times as wide: it is
            then known to within ``interval`` either way.
        steady: it also has to agree within this fraction between its early and late rounds, relative to the batch.
        tau: a batch has converged when Kendall's tau between the two halves of its samples is at least this,
        tau_times: at this many checks in a row.
        resolution: two networks closer than this fraction are tied where rankings are compared.
        warmup_runs: the least number of runs before the first sample.
        warmup_s: the least time of the warm-up.
        warmup_agree: warm-up ends when the minima of two blocks in a row agree within this fraction.
        warmup_cap_s: the most time of the warm-up.
        visit_runs: the least number of runs of one visit.
        visit_s: the least time of one visit.
        visit_drop: the first runs of a visit are not samples: the caches still hold another network.
        slow_run_s: a network is slow from this run time on.
        slow_runs: the least number of runs of one visit to a slow network.
        slow_drop: the dropped runs of a visit to a slow network.
        undropped_s: of a network that runs this long no run is dropped: what it adds to the first is little; 0: never.
        stage_runs: of a stage that runs more often in an inference (a language model's step), only so many runs are
            done, and the others count with their mean; 2 at least, or 0: all.
        group_s: shorter runs are timed in groups of at least this.
        rounds: the least number of rounds.
        anchor_every: anchors are visited in one of so many rounds.
        check_every: the least number of rounds between two checks of the stopping rules.
        samples: the least number of samples of a network, whatever the cap says.
        cap_s: the most time spent on one network, warm-up included.
        disturbed: a sample is disturbed when its wall time is over this multiple of what its CPU time explains.
        anchor_agree: stored values are used if the anchors agree within this fraction.
        huge_pages: put the worker's memory into huge pages if the system can (1), or leave it as it is (0).
        own_memory: prepare every network in a memory stretch of its own if the allocator is glibc's (1), or wherever
            there is room (0).
        sessions: how many sessions of every network are prepared, a power of 2; visits take turns, so that even and
            odd rounds use different sessions.
        sessions_cap_s: the number of sessions is halved until all but the first take at most this long to prepare.
        batch: networks measured side by side, beside the anchors.
        fresh: a worker is replaced before it has prepared more networks than this; 0: never.
        calibration_s: how long the host's noise is measured to choose a profile.
        quiet_disturbed: a host is quiet if at most this share of samples is disturbed,
        quiet_spread: and their 90th percentile is at most this fraction above their minimum.
    """

    profile: str
    statistic: str
    interval: float
    steady: float
    tau: float
    effort: str = THOROUGH
    accept: float = 2.0
    confidence: float = 0.95
    tau_times: int = 2
    resolution: float = 0.001
    warmup_runs: int = 5
    warmup_s: float = 0.05
    warmup_agree: float = 0.03
    warmup_cap_s: float = 1.0
    visit_runs: int = 6
    visit_s: float = 0.005
    visit_drop: int = 2
    slow_run_s: float = 0.004
    slow_runs: int = 2
    slow_drop: int = 1
    undropped_s: float = 0.0
    stage_runs: int = 0
    group_s: float = 200e-6
    rounds: int = 16
    anchor_every: int = 1
    check_every: int = 2
    samples: int = 10
    cap_s: float = 2.0
    disturbed: float = 1.05
    anchor_agree: float = 0.03
    huge_pages: int = 1
    own_memory: int = 1
    sessions: int = 4
    sessions_cap_s: float = 2.0
    batch: int = 48
    fresh: int = 48
    calibration_s: float = 0.5
    quiet_disturbed: float = 0.01
    quiet_spread: float = 0.02

    def __post_init__(self) -> None:
        if self.statistic not in STATISTICS:
            raise UsageError(f"protocol: unknown statistic {self.statistic!r}{suggestion(self.statistic, STATISTICS)}")
        if self.effort not in EFFORTS:
            raise UsageError(f"protocol: unknown effort {self.effort!r}{suggestion(self.effort, EFFORTS)}")
        for name, value in asdict(self).items():
            least = -1 if name == "tau" else 0
            if not isinstance(value, str) and (isinstance(value, bool) or not value >= least):
                raise UsageError(f"protocol: {name}: expected a number of at least {least}, got {value!r}")
        counts = ("visit_runs", "slow_runs", "rounds", "check_every", "anchor_every", "samples", "sessions", "batch")
        for name in counts:
            if getattr(self, name) < 1:
                raise UsageError(f"protocol: {name}: expected at least 1, got {getattr(self, name)}")
        if self.stage_runs == 1:
            raise UsageError("protocol: stage_runs: expected 0 or at least 2, got 1")
        if self.sessions.bit_count() != 1:
            raise UsageError(f"protocol: sessions: expected a power of 2 (1, 2, 4), got {self.sessions}")

    @property
    def name(self) -> str:
        """The name under which values are stored: profile, version, effort, and a digest of the overridden numbers."""
        changed = self._changed()
        digest = hashlib.sha256(json.dumps(changed, sort_keys=True).encode()).hexdigest()[:8]
        effort = "" if self.effort == THOROUGH else f"-{self.effort}"
        return f"{self.profile}/{VERSION}{effort}" + (f"+{digest}" if changed else "")

    def serving(self) -> list[str]:
        """Return the names of the protocols whose values serve in place of this one's: of more effort, and stricter."""
        if self._changed():
            return [self.name]
        profiles = dict.fromkeys((self.profile, "quiet"))
        return [PROFILES[one].at(effort).name for one in profiles for effort in EFFORTS[EFFORTS.index(self.effort) :]]

    def at(self, effort: str) -> TimingProtocol:
        """Return this profile's protocol at another level of effort."""
        if effort not in _AT_EFFORT:
            raise UsageError(f"unknown effort {effort!r}{suggestion(effort, EFFORTS)}")
        return replace(PROFILES[self.profile], effort=effort, **_AT_EFFORT[effort])

    def _changed(self) -> dict[str, Any]:
        """Return the numbers that differ from those of its profile and effort."""
        base = PROFILES[self.profile].at(self.effort) if self.profile in PROFILES else None
        return {
            one.name: getattr(self, one.name)
            for one in fields(self)
            if base is None or getattr(self, one.name) != getattr(base, one.name)
        }

    def to_record(self) -> dict[str, Any]:
        """Return every number, JSON-able."""
        return {"version": VERSION, **asdict(self)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> TimingProtocol:
        """Read what ``to_record`` wrote."""
        return cls(**{key: value for key, value in record.items() if key != "version"})


# What a level of effort changes of a profile. In a search, three of four sub-networks are dominated at once, and the
# predictor pools what all values say: a value that is known to two percent serves it nearly as well.
_AT_EFFORT: dict[str, dict[str, Any]] = {
    QUICK: {
        "interval": 0.04,
        "steady": 0.05,
        "tau": 0.9,
        "rounds": 6,
        "anchor_every": 2,
        "samples": 6,
        "cap_s": 0.15,
        "sessions": 1,
        "fresh": 0,
        "undropped_s": 0.025,
        "stage_runs": 4,
        "warmup_runs": 2,
        "warmup_s": 0.005,
        "warmup_agree": 0.2,
        "warmup_cap_s": 0.1,
        "calibration_s": 0.2,
    },
    NORMAL: {"interval": 0.02, "steady": 0.03, "tau": 0.95, "cap_s": 1.0, "sessions": 2},
    THOROUGH: {},
}

PROFILES = {
    "noisy": TimingProtocol("noisy", statistic="p15", interval=0.015, steady=0.03, tau=0.95),
    "quiet": TimingProtocol("quiet", statistic="median", interval=0.005, steady=0.01, tau=0.98),
}


def profile(name: str, *, effort: str = THOROUGH, **overrides: Any) -> TimingProtocol:
    """Return the named profile at a level of effort, with some of its numbers replaced.

    Raises:
        UsageError: no such profile, effort or number; says what there is.
    """
    if name not in PROFILES:
        raise UsageError(f"unknown timing protocol {name!r}{suggestion(name, PROFILES)}")
    return replace(PROFILES[name].at(effort), **checked(overrides))


def checked(numbers: Mapping[str, Any]) -> dict[str, Any]:
    """Return numbers of the protocol, each of its kind.

    Raises:
        UsageError: there is no number of that name, or it cannot have that value; says which.
    """
    known = {one.name: one.type for one in fields(TimingProtocol) if one.name not in ("profile", "effort")}
    for name in numbers:
        if name not in known:
            raise UsageError(f"protocol: unknown number {name!r}{suggestion(name, known)}")
    found = {name: _of_kind(name, known[name], value) for name, value in numbers.items()}
    if not 0 < float(found.get("confidence", 0.5)) < 1:
        raise UsageError(f"protocol: confidence: expected a number between 0 and 1, got {found['confidence']!r}")
    return found


def _of_kind(name: str, kind: Any, value: object) -> str | int | float:
    """Return a value of the kind that a number has ("int"); raises ``UsageError`` where it is another."""
    if kind == "str":
        if not isinstance(value, str):
            raise UsageError(f"protocol: {name}: expected a name, got {value!r}")
        return value
    reason = fault(value)
    if reason is not None:
        raise UsageError(f"protocol: {name}: {reason}")
    number = float(value)  # type: ignore[arg-type]  # fault() lets only numbers pass
    if kind == "float":
        return number
    if not number.is_integer() or abs(number) > _LARGEST_COUNT:
        raise UsageError(f"protocol: {name}: expected a whole number up to {_LARGEST_COUNT:,}, got {value!r}")
    return int(number)


@dataclass(frozen=True)
class ProtocolChoice:
    """Which protocol to follow, where the profile may be left to the host's noise.

    Attributes:
        profile: "noisy" or "quiet"; ``None``: the one that a short calibration chooses.
        effort: "quick", "normal" or "thorough".
        numbers: those that replace the profile's.

    Raises:
        UsageError: there is no such profile, effort or number, or a number is impossible.
    """

    profile: str | None = None
    effort: str = THOROUGH
    numbers: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in PROFILES if self.profile is None else (self.profile,):
            self.of(name)

    @classmethod
    def exactly(cls, protocol: TimingProtocol) -> Self:
        """Return the choice of a protocol as it is, whatever the host's noise."""
        named = protocol.profile in PROFILES
        base = profile(protocol.profile if named else "noisy", effort=protocol.effort)
        numbers = {key: value for key, value in asdict(protocol).items() if value != getattr(base, key)}
        return cls(base.profile, protocol.effort, numbers)

    @classmethod
    def wanted(
        cls, protocol: TimingProtocol | ProtocolChoice | str | None, effort: str | None = None
    ) -> ProtocolChoice:
        """Return the choice that a caller's options mean.

        Args:
            protocol: a profile's name, a protocol, a choice, or ``None``.
            effort: of a profile; ``None``: thorough.
        """
        if isinstance(protocol, TimingProtocol):
            return cls.exactly(protocol)
        if isinstance(protocol, ProtocolChoice):
            return protocol
        return cls(protocol, THOROUGH if effort is None else effort)

    def of(self, watched: str) -> TimingProtocol:
        """Return the protocol on a host whose noise says the profile ``watched``."""
        numbers = dict(self.numbers)
        # A protocol that started from no profile brings a name of its own.
        name = numbers.pop("profile", None)
        made = profile(self.profile or watched, effort=self.effort, **checked(numbers))
        return made if name is None else replace(made, profile=name)

    def allows(self, protocol: TimingProtocol) -> bool:
        """Return whether a protocol is one that this choice may lead to."""
        return protocol in [self.of(name) for name in PROFILES]

    def to_record(self) -> dict[str, Any]:
        """Return the choice, JSON-able."""
        return {"profile": self.profile, "effort": self.effort, "numbers": dict(self.numbers)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Read what ``to_record`` wrote."""
        return cls(record["profile"], record["effort"], record["numbers"])
