"""What is known of latency on A when a search on B begins: by a study, a table, or measurements in the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

import backends
from backends.backend import known_latency
from harness.pinned import pinned
from harness.platform import Platform, parse
from search.adapt import Guess, learned
from search.stored import load
from supernets.errors import PlatformError, StoreError, UsageError
from supernets.supernet import SuperNetwork
from supernets.values import fault

if TYPE_CHECKING:
    from harness.store import Store

# Fewer latencies on A than this say nothing about the others; more than that say little more and take long to learn.
_LEAST, _MOST = 8, 400


def platform_of(source: str, store: Store | None) -> Platform | None:
    """Return the platform that ``source`` of ``guess_of`` names; ``None``: it names a study in the store.

    Raises:
        UsageError: there is neither such a study nor such a platform.
    """
    if store is not None and store.study(source) is not None:
        return None
    try:
        return pinned(parse(source))
    except PlatformError as error:
        raise UsageError(f"transfer from {source!r}: neither a study in the store nor a platform: {error}") from error


def guess_of(net: SuperNetwork, source: str, store: Store | None, platform: Platform | None = None) -> Guess:
    """Return latencies on A, from whatever is known of them.

    Args:
        net: the super-network.
        source: a study in the store, which searched it on A, or the platform A: one that knows latencies, or one that
            sub-networks were measured on.
        store: where the study, or the measurements, are kept.
        platform: the platform A, where ``platform_of`` has been asked for it already.

    Raises:
        UsageError: there is neither such a study nor such a platform, or too little is known there.
    """
    whence = platform or platform_of(source, store)
    if whence is None:
        return _from_study(net, source, store)
    return _from_platform(net, source, whence, store)


def _from_study(net: SuperNetwork, name: str, store: Store | None) -> Guess:
    if store is None:
        raise UsageError(f"transfer from {name!r}: expected a store that has the study")
    study = load(store, name)
    if study.supernet != net.name:
        raise UsageError(f"transfer from {name!r}: it searched {study.supernet}, this search is of {net.name}")
    known = {one.key: (one.vector, one.objectives.get("latency", np.nan)) for one in study.archive}
    return _learned(net, name, list(known.values()))


def _from_platform(net: SuperNetwork, source: str, platform: Platform, store: Store | None) -> Guess:
    backend = backends.get(platform.backend)
    if isinstance(backend, backends.Tabulated):
        table = backend.lookup(net, platform.settings)
        return _learned(net, source, list(zip(table.vectors, table.values, strict=True)))
    if isinstance(backend, backends.KnowingBackend):
        return lambda X: known_latency(backend, net, X, platform.settings, source).values
    wanted: dict[str, Any] = {"supernet": net.name, "platform": str(platform), "status": "ok"}
    records = [] if store is None else store.measurements(**wanted, samples=False)
    meant = [record for record in records if (record.get("contents") or {}) == platform.settings.contents]
    known = {record["key"]: (net.space.encode(record["config"])[0], _stored(record)) for record in meant}
    return _learned(net, source, list(known.values()))


def _stored(record: Mapping[str, Any]) -> float:
    """Return the latency in a stored measurement; raises ``StoreError`` where it can be none."""
    reason = fault(record["latency_s"], time=True)
    if reason is not None:
        raise StoreError(f"the record of a measurement ({record['id']}) is damaged: latency_s: {reason}")
    return float(record["latency_s"])


def _learned(net: SuperNetwork, source: str, known: Sequence[tuple[npt.ArrayLike, float]]) -> Guess:
    there = [(vector, value) for vector, value in known if np.isfinite(value)]
    if len(there) < _LEAST:
        raise UsageError(f"transfer from {source!r}: expected at least {_LEAST} latencies there, got {len(there)}")
    rows = np.random.default_rng(0).permutation(len(there))[:_MOST]
    X = net.space.canonical(np.array([there[row][0] for row in rows], dtype=np.int64))
    return learned(net.space, X, np.array([there[row][1] for row in rows]))
