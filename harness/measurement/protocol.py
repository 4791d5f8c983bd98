"""The parameters of the timing protocol and its two profiles, "quiet" and "noisy"; stored with every measurement.

``docs/measurement.md`` says what each parameter is for, and by which experiments it was chosen.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from hwnas.supernets.errors import UsageError, suggestion

# 1: first form. 2: slow networks are visited twice as often, for one sample at a time; what is known to within
# `interval` either way when its time is up is ok. 3: every network is prepared in memory of its own, 4: several times,
# 5: by a worker that has not prepared many others before. 6: the 15th percentile, by the mean of the
# fastest 30 %, took the place of the 10th; undisturbed samples count alone down to a fifth of all, not a half.
VERSION = 6

STATISTICS = ("min", "p10", "p15", "median")


@dataclass(frozen=True)
class TimingProtocol:
    """How a batch of networks is timed. Times are seconds, ratios and targets are fractions.

    Attributes:
        profile: the named profile it started from.
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
        group_s: shorter runs are timed in groups of at least this.
        rounds: the least number of rounds.
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
    group_s: float = 200e-6
    rounds: int = 16
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
        for name, value in asdict(self).items():
            least = -1 if name == "tau" else 0
            if not isinstance(value, str) and (isinstance(value, bool) or not value >= least):
                raise UsageError(f"protocol: {name}: expected a number of at least {least}, got {value!r}")
        for name in ("visit_runs", "slow_runs", "rounds", "samples", "sessions", "batch", "check_every"):
            if getattr(self, name) < 1:
                raise UsageError(f"protocol: {name}: expected at least 1, got {getattr(self, name)}")
        if self.sessions.bit_count() != 1:
            raise UsageError(f"protocol: sessions: expected a power of 2 (1, 2, 4), got {self.sessions}")

    @property
    def name(self) -> str:
        """The name under which values are stored: profile, version, and a digest of the overridden numbers."""
        base = PROFILES.get(self.profile)
        changed = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if base is None or getattr(self, field.name) != getattr(base, field.name)
        }
        digest = hashlib.sha256(json.dumps(changed, sort_keys=True).encode()).hexdigest()[:8]
        return f"{self.profile}/{VERSION}" + (f"+{digest}" if changed else "")

    def to_record(self) -> dict[str, Any]:
        """Return every number, JSON-able."""
        return {"version": VERSION, **asdict(self)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> TimingProtocol:
        """Read what ``to_record`` wrote."""
        return cls(**{key: value for key, value in record.items() if key != "version"})


PROFILES = {
    "noisy": TimingProtocol("noisy", statistic="p15", interval=0.015, steady=0.03, tau=0.95),
    "quiet": TimingProtocol("quiet", statistic="median", interval=0.005, steady=0.01, tau=0.98),
}


def profile(name: str, **overrides: Any) -> TimingProtocol:
    """Return the named profile with some of its numbers replaced.

    Raises:
        UsageError: no such profile or number; says what there is.
    """
    if name not in PROFILES:
        raise UsageError(f"unknown measurement profile {name!r}{suggestion(name, PROFILES)}")
    known = [field.name for field in fields(TimingProtocol) if field.name != "profile"]
    for key in overrides:
        if key not in known:
            raise UsageError(f"protocol: unknown number {key!r}{suggestion(key, known)}")
    return replace(PROFILES[name], **overrides)
