"""What a transfer computes everything from: the sub-networks that were measured on every platform."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwnas.search.transfer.noise import Noise
from hwnas.search.transfer.stages import StageRows
from hwnas.supernets.space import BoolArray, Config, FloatArray


@dataclass(frozen=True)
class QualityLabel:
    """What the quality values are, as shown with the results.

    Attributes:
        source: the quality source's spec ("surrogate").
        metric: "top1".
        unit: "%".
        maximise: whether more is better.
        predicted: whether the values are predictions, not measurements.
        note: one line on where they come from.
    """

    source: str
    metric: str
    unit: str
    maximise: bool = True
    predicted: bool = False
    note: str = ""


@dataclass(frozen=True)
class SharedRows:
    """Sub-networks measured on every platform.

    Attributes:
        supernet: their super-network.
        platforms: platform strings, in the order of the columns.
        keys: one per row.
        configs: one per row.
        quality: ``(n_rows,)``, in ``label.unit``.
        label: what the quality is.
        latency_s: ``(n_rows, n_platforms)``; nan where the measurement failed.
        low_s: lower bounds of the latencies, likewise; nan where there are none.
        high_s: upper bounds, likewise.
        status: per row and platform "ok", "unstable" or "failed".
        reasons: why, where it is not "ok".
        fronts: ``(n_rows, n_platforms)``: the row is on the front that was found on that platform.
        noise: of the latencies; ``None``: what their bounds say.
        loaded: ``(n_rows, n_platforms)``: other programs kept the CPUs busy meanwhile; ``None``: never.
        effort: the least with which one was measured; ``None``: not known.
        stages: of inferences of several stages, what each takes.
    """

    supernet: str
    platforms: tuple[str, ...]
    keys: tuple[str, ...]
    configs: tuple[Config, ...]
    quality: FloatArray
    label: QualityLabel
    latency_s: FloatArray
    low_s: FloatArray
    high_s: FloatArray
    status: tuple[tuple[str, ...], ...]
    reasons: tuple[tuple[str, ...], ...]
    fronts: BoolArray
    noise: Noise | None = None
    loaded: BoolArray | None = None
    effort: str | None = None
    stages: tuple[StageRows, ...] = ()

    @property
    def known_noise(self) -> Noise:
        """The noise of the latencies; where none was given, what their bounds say."""
        return Noise.of_intervals(self.low_s, self.high_s) if self.noise is None else self.noise

    @property
    def counts(self) -> dict[str, list[int]]:
        """By status, how many of each platform's measurements have it."""
        columns = list(zip(*self.status, strict=True)) or [()] * len(self.platforms)
        return {status: [column.count(status) for column in columns] for status in ("ok", "unstable", "failed")}

    @property
    def settled(self) -> tuple[bool, ...]:
        """Of each platform, whether most of its measurements have converged, on a machine with little else to do."""
        status = np.array(self.status, dtype=object).reshape(len(self.keys), len(self.platforms))
        settled = (status == "ok") & ~(np.zeros(status.shape, dtype=bool) if self.loaded is None else self.loaded)
        return tuple((2 * settled.sum(axis=0) >= (status != "failed").sum(axis=0)).tolist())

    @property
    def loss(self) -> FloatArray:
        """The quality, minimised, ``(n_rows,)``."""
        return -self.quality if self.label.maximise else self.quality
