"""Build a latency lookup table for your own device by measuring every block of a super-network alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from hwnas.harness.measure import Measurer, MeasuringProgress
from hwnas.harness.measurement.measurement import Measurement
from hwnas.harness.measurement.protocol import profile
from hwnas.harness.measurement.request import Given
from hwnas.harness.pinned import contents
from hwnas.harness.platform import Platform
from hwnas.harness.project_file import chosen
from hwnas.harness.store import Store
from hwnas.latency_luts import Entry, key, write_table
from hwnas.supernets.contents import Contents, to_records
from hwnas.supernets.errors import MeasurementError
from hwnas.supernets.single_blocks import SingleBlocks
from hwnas.supernets.space import IntArray
from hwnas.supernets.supernet import SuperNetwork

# Blocks that are measured side by side. Progress is reported once per batch.
_BATCH = 24
# Blocks are few, and an error in one is an error in every network that has it: they are visited until their intervals
# are a third as wide as those of networks, or for a second; what is then known as well as a network has to be is ok.
PROTOCOL = profile("noisy", interval=0.005, accept=6.0, cap_s=1.0)
# The anchors are to be measured well, so they are no small blocks: where in the order of their MACs they are taken.
_ANCHORS = (0.5, 0.75, 1.0)


@dataclass(frozen=True)
class BuiltTable:
    """The measured blocks of a new lookup table, and how they were measured.

    Attributes:
        entries: by key, in the order of the network.
        platform: the canonical platform string.
        environment: of the machine.
        protocol: the numbers it was measured with.
        seconds: the time it took, preparation included; blocks that were in the store already take none.
        cached: the number of blocks that were in the store already.
        unconverged: by key, why blocks did not converge; their values are in the table all the same.
        contents: digests of the files that the platform names.
        loads: of every block, see ``hwnas.harness.measurement.measurement.Measurement.load``.
    """

    entries: Mapping[str, Entry]
    platform: str
    environment: Mapping[str, Any]
    protocol: Mapping[str, Any]
    seconds: float
    cached: int = 0
    unconverged: Mapping[str, str] = field(default_factory=dict)
    contents: Contents = field(default_factory=dict)
    loads: tuple[Mapping[str, Any] | None, ...] = ()

    def write(self, file: str | Path, supernet: str) -> None:
        """Write it as a file that ``lut:file=`` and once-for-all's tools read; see ``write_table``."""
        write_table(
            file,
            self.entries,
            supernet=supernet,
            platform=self.platform,
            environment=self.environment,
            protocol=self.protocol,
            built=self.facts(),
        )

    def facts(self) -> dict[str, Any]:
        """Return how it was built, as plain data for the table's header."""
        now = datetime.now(tz=UTC).isoformat(timespec="seconds")
        held = {"contents": to_records(self.contents)} if self.contents else {}
        return {
            **held,
            "at": now,
            "seconds": round(self.seconds, 1),
            "blocks": len(self.entries),
            "unsettled": list(self.unconverged),
        }


def build_table(
    net: SuperNetwork,
    platform: Platform | str,
    *,
    store: Store | None = None,
    protocol: Given = None,
    wait_s: float | None = 0.0,
    progress: Callable[[MeasuringProgress], None] | None = None,
    fresh: bool = False,
    check: bool = True,
) -> BuiltTable:
    """Measure each distinct block of the whole space alone, side by side and along with anchors.

    Args:
        net: the super-network; it has to build its blocks alone.
        platform: where to measure them.
        store: every block is stored as soon as it has converged, and the others when their batch ends, so that an
            interrupted build can be continued. Blocks that did not converge are not measured again either, as long as
            the anchors agree.
        protocol: see ``hwnas.harness.measure.Measurer``; numbers without a profile are changed in ``PROTOCOL``.
        wait_s: see ``Measurer``.
        progress: see ``Measurer``; it counts blocks here.
        fresh: see ``Measurer.measure``.
        check: see ``Measurer``.

    Raises:
        UsageError: the super-network does not build its blocks alone.
        MeasurementError: a block could not be measured; names it. The others are in the store.
    """
    blocks = SingleBlocks(net)
    numbers = _one_per_key(blocks)
    names = list(numbers)
    X = blocks.vectors(list(numbers.values()))
    start = time.perf_counter()
    measured: list[Measurement] = []
    counted = _Counted(len(names), progress)
    with Measurer(
        blocks,
        platform,
        store=store,
        protocol=chosen(protocol, base=PROTOCOL),
        wait_s=wait_s,
        progress=counted,
        check=check,
        anchors=_anchors(blocks),
        unconverged=True,
    ) as measurer:
        for first in range(0, len(names), _BATCH):
            measured += measurer.measure(X[first : first + _BATCH], fresh=fresh)
            counted.done = len(measured)
        numbers_used, environment = measurer.protocol, measurer.environment
    _check(names, measured)
    return BuiltTable(
        entries={name: entry(one) for name, one in zip(names, measured, strict=True)},
        platform=str(measurer.platform),
        environment=environment,
        protocol={} if numbers_used is None else numbers_used.to_record(),
        seconds=time.perf_counter() - start,
        cached=sum(one.cached for one in measured),
        unconverged={name: one.reason for name, one in zip(names, measured, strict=True) if one.status != "ok"},
        contents=contents(measurer.platform),
        loads=tuple(one.load for one in measured),
    )


def entry(measurement: Measurement) -> Entry:
    """Return a measurement as a table entry: its statistic, the variance of undisturbed samples, and the runs."""
    samples, protocol = measurement.samples, measurement.protocol
    if protocol is None or not samples.n:
        return Entry(measurement.latency_s)
    clean = ~samples.disturbed(protocol.disturbed, measurement.threads)
    # A sample of n runs is their mean, whose variance is 1/n of the variance of single runs.
    single = samples.seconds[clean] if clean.any() else samples.seconds
    group = float(np.median(samples.group))
    return Entry(measurement.latency_s, float(single.var() * group), int(samples.group.sum()))


class _Counted:
    """Forwards progress, counted in blocks of the whole table."""

    def __init__(self, total: int, on_progress: Callable[[MeasuringProgress], None] | None) -> None:
        self.done = 0
        self._total = total
        self._on_progress = on_progress

    def __call__(self, event: MeasuringProgress) -> None:
        if self._on_progress is not None:
            message = f"blocks {self.done + 1} to {min(self.done + _BATCH, self._total)}: {event.message}"
            self._on_progress(MeasuringProgress(event.phase, self.done, self._total, message))


def _one_per_key(blocks: SingleBlocks) -> dict[str, int]:
    """Return the index of one block per key; blocks of equal cost have equal keys."""
    found: dict[str, int] = {}
    for number, block in enumerate(blocks.blocks):
        found.setdefault(key(block), number)
    return found


def _anchors(blocks: SingleBlocks) -> IntArray:
    order = np.argsort([block.macs for block in blocks.blocks], kind="stable")
    places = [round(share * (len(order) - 1)) for share in _ANCHORS]
    return blocks.vectors(order[sorted(set(places))])


def _check(names: list[str], measured: list[Measurement]) -> None:
    failed = [(name, one.reason) for name, one in zip(names, measured, strict=True) if one.status == "failed"]
    if failed:
        name, reason = failed[0]
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        raise MeasurementError(f"block {name}{more} could not be measured: {reason}; the others are kept in the store")
