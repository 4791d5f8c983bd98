"""How much faster a reduced precision is on the platforms of a profile, and why where it is not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import median
from typing import Any

from hwnas.backends.quantise.instructions import int8_instructions
from hwnas.search.words import listed, number, percent, quieter
from hwnas.supernets.spec import parse_spec

_FULL = "fp32"


@dataclass(frozen=True)
class Gain:
    """How a precision compares with fp32 on a platform that is otherwise the same.

    Attributes:
        platform: the reduced precision's.
        base: that of fp32.
        precision: the reduced one.
        factors: how many times as fast it is, one per sub-network that was measured on both, in order of measurement.
        error: the largest difference of its outputs from the torch module's, relative to the largest output; ``None``
            where they were not compared.
        layers: how many layers run in int8, of one sub-network, as the runtime says ("52 of 54"); empty where it does
            not.
        why: why it is not faster everywhere; empty where it is.
        bounds: of each factor, as far as the intervals of both latencies leave it open; empty: the same as the factors.
        effort: with which it was measured; ``None``: not known.
    """

    platform: str
    base: str
    precision: str
    factors: tuple[float, ...]
    error: float | None
    layers: str
    why: str
    bounds: tuple[tuple[float, float], ...] = ()
    effort: str | None = None

    @property
    def decided(self) -> bool:
        """Whether noise leaves no doubt that it is faster, or slower, for most sub-networks."""
        apart = [low > 1 or high < 1 for low, high in self.bounds]
        return 2 * sum(apart) >= len(apart)

    def __str__(self) -> str:
        if not self.decided:
            low, high = min(low for low, _ in self.bounds), max(high for _, high in self.bounds)
            between = f"{number(low, 3)} to {number(high, 3)}" if isfinite(high) else f"{number(low, 3)} or more"
            doubt = f"too noisy to tell whether {self.precision} is faster than {_FULL}"
            return f"{self.base}: {doubt}: {between} times as fast; {quieter(self.effort)}"
        low, high = min(self.factors), max(self.factors)
        over = f" ({number(low, 3)} to {number(high, 3)} over {len(self.factors)} sub-networks)"
        speed = f"{self.base}: {self.precision} is {number(median(self.factors), 3)} times as fast as {_FULL}"
        parts = [speed + over * (len(self.factors) > 1)]
        if self.why:
            slower = len(_slower(self.factors, self.bounds))
            some = f"slower for {slower} of {len(self.factors)}: " if slower < len(self.factors) else ""
            parts.append(some + self.why)
        if self.error is not None:
            parts.append(f"its outputs differ by up to {percent(self.error)} of the largest")
        return "; ".join(parts)


def gains(rows: Sequence[Mapping[str, Any]], environment: Mapping[str, Any]) -> list[Gain]:
    """Return what each reduced precision gained, in order of its platforms.

    Args:
        rows: the ``measurements`` of ``hwnas profile --json``.
        environment: of the same document; the CPU's flags are among it.
    """
    measured: dict[str, dict[str, Mapping[str, Any]]] = defaultdict(dict)
    for row in rows:
        if row["latency_ms"]["value"]:
            measured[row["platform"]][row["key"]] = row
    return list(_gains(measured, environment))


def _gains(measured: Mapping[str, Mapping[str, Mapping[str, Any]]], environment: Mapping[str, Any]) -> Iterator[Gain]:
    for platform, here in measured.items():
        base, precision = _in_full(platform)
        shared = [key for key in here if key in measured.get(base, {})]
        if precision == _FULL or not shared:
            continue
        factors = tuple(_ms(measured[base][key]) / _ms(here[key]) for key in shared)
        errors = [here[key]["error"] for key in shared if here[key].get("error") is not None]
        layers = _int8_layers(here[shared[0]])
        bounds = tuple(_between(measured[base][key], here[key]) for key in shared)
        why = _reason(precision, layers, environment) if _slower(factors, bounds) else ""
        effort = (here[shared[0]].get("protocol") or {}).get("effort")
        yield Gain(platform, base, precision, factors, max(errors, default=None), layers, why, bounds, effort)


def _in_full(platform: str) -> tuple[str, str]:
    """Return the same platform in fp32, and the precision that was taken out."""
    name, options = parse_spec(platform, f"platform {platform!r}")
    precision = options.pop("precision", _FULL)
    options.pop("calibration", None)
    rest = ",".join(f"{key}={value}" for key, value in options.items())
    return (f"{name}:{rest}" if rest else name), precision


def _ms(row: Mapping[str, Any]) -> float:
    return float(row["latency_ms"]["value"])


def _between(base: Mapping[str, Any], here: Mapping[str, Any]) -> tuple[float, float]:
    """Return how fast a precision is at least and at most, by the intervals of both latencies."""
    (base_low, base_high), (low, high) = _interval(base), _interval(here)
    return base_low / high, base_high / low if low > 0 else float("inf")


def _interval(row: Mapping[str, Any]) -> tuple[float, float]:
    latency = row["latency_ms"]
    if not latency.get("n"):  # a table's value
        return _ms(row), _ms(row)
    low, high = latency["ci_low"], latency["ci_high"]
    return 0.0 if low is None else float(low), float("inf") if high is None else float(high)


def _slower(factors: Sequence[float], bounds: Sequence[tuple[float, float]]) -> list[float]:
    """Return the factors of those that are slower beyond noise."""
    known = bounds or [(factor, factor) for factor in factors]
    return [factor for factor, (_, high) in zip(factors, known, strict=True) if high < 1]


def _int8_layers(row: Mapping[str, Any]) -> str:
    stated = [str(stage["int8_layers"]) for stage in row.get("read_back") or () if "int8_layers" in stage]
    return listed(stated) if stated else ""


def _reason(precision: str, layers: str, environment: Mapping[str, Any]) -> str:
    flags = environment.get("cpu_flags")
    if precision != "int8" or flags is None:
        return f"the conversions cost more than {precision} saves"
    has = int8_instructions(str(flags).split())
    if not has:
        return "the CPU has no instructions for 8-bit products (VNNI on x86, dot products on ARM)"
    running = f"{layers} layers run in int8, and " if layers else ""
    return f"the CPU has {has[0]}, but {running}the conversions around them cost more than they save"
