"""How measurements show themselves: one line in a shell, a table in a notebook."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from hwnas.supernets.shown import counted, html_table, short_key


class Shown(Protocol):
    """What is shown of a measurement; see ``hwnas.harness.measurement.measurement.Measurement``."""

    @property
    def supernet(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def platform(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def latency_s(self) -> float: ...
    @property
    def interval(self) -> tuple[float, float]: ...
    @property
    def macs(self) -> int: ...
    @property
    def params(self) -> int: ...


def in_words(measurement: Shown) -> str:
    """Return one line: the latency with its interval, where, of which sub-network, and how sure it is."""
    value = "no latency" if math.isnan(measurement.latency_s) else f"{1e3 * measurement.latency_s:.4g} ms"
    bounds = _bounds(measurement)
    interval = f" ({bounds})" if bounds else ""
    which = f"{measurement.supernet} {short_key(measurement.key)}"
    return f"{value}{interval} on {measurement.platform}, {measurement.status}: {which}"


def html_of(measurements: Sequence[Shown]) -> str:
    """Return a table for a notebook, one row per measurement."""
    columns = ("sub-network", "platform", "latency ms", "95 % interval", "MACs", "params", "status")
    rows = [
        (
            one.key,
            one.platform,
            "" if math.isnan(one.latency_s) else f"{1e3 * one.latency_s:.4g}",
            _bounds(one),
            f"{one.macs / 1e6:.1f}M",
            f"{one.params / 1e6:.2f}M",
            one.status,
        )
        for one in measurements
    ]
    return html_table(counted(len(measurements), "measurement"), columns, rows)


def _bounds(measurement: Shown) -> str:
    low, high = measurement.interval
    return "" if math.isnan(low) or low == high else f"{1e3 * low:.4g} to {1e3 * high:.4g}"
