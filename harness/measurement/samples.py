"""The raw samples of one network, as the timing loop took them. They never change; all statistics derive from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import numpy as np

from hwnas.supernets.errors import MeasurementError
from hwnas.supernets.space import BoolArray, FloatArray, IntArray

UNKNOWN = -1  # CPU time or switches of a sample that was taken by a device's own clock

_OF_SAMPLES = ("at_ns", "wall_ns", "cpu_ns", "switches", "group", "visit", "stage_ns")


@dataclass(frozen=True, eq=False)
class Samples:
    """Samples and visits of one network, in the order in which they were taken.

    Attributes:
        at_ns: (n,) when each sample began, since the batch's first warm-up.
        wall_ns: (n,) how long its group of runs took.
        cpu_ns: (n,) CPU time of the whole process meanwhile, ``UNKNOWN`` by a device's clock.
        switches: (n,) involuntary context switches meanwhile, likewise.
        group: (n,) runs in the sample.
        visit: (n,) the visit it belongs to, an index into the following.
        round: (v,) the round of each visit.
        waiting_ns: (v,) time that the process's threads were runnable and had no CPU.
        steal_ns: (v,) time that the hypervisor gave the machine's CPUs to others.
        throttled_ns: (v,) time throttled by the control group's quota.
        stage_ns: (n, s) wall time of each stage, of inferences of several stages; (n, 0) otherwise.
    """

    at_ns: IntArray
    wall_ns: IntArray
    cpu_ns: IntArray
    switches: IntArray
    group: IntArray
    visit: IntArray
    round: IntArray
    waiting_ns: IntArray
    steal_ns: IntArray
    throttled_ns: IntArray
    stage_ns: IntArray

    @property
    def n(self) -> int:
        """The number of samples."""
        return len(self.wall_ns)

    @property
    def seconds(self) -> FloatArray:
        """Seconds of one inference, ``(n,)``."""
        return self.wall_ns / self.group / 1e9

    @property
    def rounds(self) -> IntArray:
        """The round of each sample, ``(n,)``."""
        return self.round[self.visit]

    def cores(self) -> float:
        """Return how many CPUs the inference keeps busy: CPU time over wall time where nothing disturbs it.

        Disturbances lower the ratio, so a high quantile of it is taken; nan by a device's clock.
        """
        known = self.cpu_ns >= 0
        return float(np.quantile(self.cpu_ns[known] / self.wall_ns[known], 0.9)) if known.any() else float("nan")

    def disturbed(self, ratio: float, threads: int) -> BoolArray:
        """Return which samples took over ``ratio`` times the wall time that their CPU time explains, ``(n,)``.

        One thread explains its CPU time; several explain it divided by the CPUs that the inference keeps busy.
        """
        cores = 1.0 if threads == 1 else self.cores()
        return np.asarray((self.cpu_ns >= 0) & (self.wall_ns * min(cores, threads) > ratio * self.cpu_ns))

    def to_record(self) -> dict[str, Any]:
        """Return the samples as JSON-able lists."""
        return {name: np.asarray(getattr(self, name)).tolist() for name in self.__dataclass_fields__}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Samples:
        """Read what ``to_record`` wrote; raises ``LookupError``, ``TypeError`` or ``ValueError`` of others."""
        arrays = {name: np.asarray(record[name], dtype=np.int64) for name in cls.__dataclass_fields__}
        n, visits = len(arrays["wall_ns"]), len(arrays["round"])
        arrays["stage_ns"] = arrays["stage_ns"].reshape(n, -1 if n else 0)
        for name, array in arrays.items():
            shape = (n, *array.shape[1:]) if name in _OF_SAMPLES else (visits,)
            if array.shape != shape or array.ndim != (2 if name == "stage_ns" else 1):
                raise ValueError(f"{name}: expected shape {shape}, got {array.shape}")
        if n and min(arrays["wall_ns"].min(), arrays["group"].min()) < 1:
            raise ValueError("wall_ns, group: expected numbers above 0")
        if n and not 0 <= arrays["visit"].min() <= arrays["visit"].max() < visits:
            raise ValueError(f"visit: expected numbers from 0 to below {visits}")
        return cls(**arrays)

    @classmethod
    def none(cls) -> Samples:
        """Return no samples."""
        return cls.from_record(dict.fromkeys(cls.__dataclass_fields__, ()))


class SampleLog:
    """Collects one network's samples while they are taken."""

    def __init__(self, n_stages: int = 0) -> None:
        self._n_stages = n_stages
        self._samples: list[tuple[int, ...]] = []
        self._visits: list[tuple[int, ...]] = []

    def sample(self, at: int, wall: int, cpu: int, switches: int, group: int, stages: tuple[int, ...] = ()) -> None:
        """Add a sample of the visit under way."""
        self._samples.append((at, wall, cpu, switches, group, len(self._visits), *stages))

    def end_visit(self, number: int, waiting: int, steal: int, throttled: int) -> None:
        """End the visit of round ``number``.

        Raises:
            MeasurementError: a sample took no time; the visit is discarded.
        """
        under_way = takewhile(lambda sample: sample[5] == len(self._visits), reversed(self._samples))
        odd = next((sample for sample in under_way if sample[1] < 1), None)
        if odd is not None:
            raise MeasurementError(f"{odd[4]} runs took {odd[1]} ns by the clock, expected at least 1 ns")
        self._visits.append((number, waiting, steal, throttled))

    def __len__(self) -> int:
        return len(self._samples)

    def samples(self) -> Samples:
        """Return what has been collected so far, up to the last visit that ended."""
        ended = [sample for sample in self._samples if sample[5] < len(self._visits)]
        columns = np.array(ended, dtype=np.int64).reshape(len(ended), 6 + self._n_stages)
        visits = np.array(self._visits, dtype=np.int64).reshape(len(self._visits), 4)
        names = list(Samples.__dataclass_fields__)
        arrays = dict(zip(names, [*columns[:, :6].T, *visits.T, columns[:, 6:]], strict=True))
        return Samples(**arrays)
