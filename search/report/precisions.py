"""How much faster a reduced precision is on the platforms of a profile, and why where it is not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from hwnas.backends.quantise.instructions import int8_instructions
from hwnas.search.words import listed, number, percent
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
    """

    platform: str
    base: str
    precision: str
    factors: tuple[float, ...]
    error: float | None
    layers: str
    why: str

    def __str__(self) -> str:
        low, high = min(self.factors), max(self.factors)
        over = f" ({number(low, 3)} to {number(high, 3)} over {len(self.factors)} sub-networks)"
        speed = f"{self.base}: {self.precision} is {number(median(self.factors), 3)} times as fast as {_FULL}"
        parts = [speed + over * (len(self.factors) > 1)]
        if self.why:
            slower = sum(factor < 1 for factor in self.factors)
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
        why = _reason(precision, layers, environment) if min(factors) < 1 else ""
        yield Gain(platform, base, precision, factors, max(errors, default=None), layers, why)


def _in_full(platform: str) -> tuple[str, str]:
    """Return the same platform in fp32, and the precision that was taken out."""
    name, options = parse_spec(platform, f"platform {platform!r}")
    precision = options.pop("precision", _FULL)
    options.pop("calibration", None)
    rest = ",".join(f"{key}={value}" for key, value in options.items())
    return (f"{name}:{rest}" if rest else name), precision


def _ms(row: Mapping[str, Any]) -> float:
    return float(row["latency_ms"]["value"])


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
