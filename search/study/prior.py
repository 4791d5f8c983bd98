"""What is known when a search on B begins: of latencies on A by a study, a table, or measurements; by a study, of more.

A study has evaluated accuracy as well, which is the same whatever the platform: what A's search found of it is true on
B. Latencies on A are only what B's may be like.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hwnas import backends
from hwnas.backends.backend import known_latency
from hwnas.harness.measurement.record import LOAD
from hwnas.harness.pinned import pinned
from hwnas.harness.platform import Platform, parse
from hwnas.harness.store import decoded
from hwnas.search.objectives import Objective, Repeatable
from hwnas.search.predictors.adapt import Prior, learned, together
from hwnas.search.study.archive import Evaluation
from hwnas.search.study.stored import load
from hwnas.supernets.contents import Content, combined
from hwnas.supernets.errors import ConfigError, PlatformError, UsageError
from hwnas.supernets.space import FloatArray, IntArray
from hwnas.supernets.supernet import SuperNetwork
from hwnas.supernets.values import fault, is_time

if TYPE_CHECKING:
    from hwnas.harness.store import Store
    from hwnas.latency_luts.lookup import Lookup

# Values that a study's search had, as opposed to those of its final front.
SEARCHED = "as searched"
# Fewer values than this say nothing of other sub-networks; more than that say little more and take long to learn.
LEAST, MOST = 8, 400


def carries_over(objective: Objective) -> bool:
    """Tell whether values of an objective that are found on A are true on B: what is measured of the device is not."""
    return not objective.exact and not is_time(objective.unit) and not isinstance(objective, Repeatable)


def platform_of(source: str, store: Store | None) -> Platform | None:
    """Return the platform that ``source`` of ``observed`` names; ``None``: it names a study in the store.

    Raises:
        UsageError: there is neither such a study nor such a platform.
    """
    if store is not None and store.study(source) is not None:
        return None
    try:
        return pinned(parse(source))
    except PlatformError as error:
        raise UsageError(f"transfer from {source!r}: neither a study in the store nor a platform: {error}") from error


@dataclass(frozen=True)
class Value:
    """A latency that was observed.

    Attributes:
        vector: the sub-network.
        seconds: its latency, in any unit; nan where it failed.
        host: the fingerprint of the environment that it was measured in; "": one for all.
    """

    vector: npt.ArrayLike
    seconds: float
    host: str = ""


@dataclass(frozen=True, eq=False)
class Observed:
    """Latencies on A that a study found, or that were measured there, in the order in which they came.

    Attributes:
        source: the study, or the platform A.
        kind: "study" or "measurements".
        until: where they end in the store, which may have more by the time that a search is resumed: of measurements
            number and time, of a study number and ``SEARCHED``.
        known: by key of the sub-network; of measurements by host and key.
        evaluations: of the study, whose other objectives may be those of the search on B.
        sources: what the study's objectives come from, by name; see ``hwnas.search.objectives.Objective.source``.
    """

    source: str
    kind: str
    until: tuple[int, str]
    known: Mapping[Any, Value]
    evaluations: Sequence[Evaluation] = ()
    sources: Mapping[str, str] = field(default_factory=dict)

    @property
    def content(self) -> Content:
        """What a search that starts from them knows them by."""
        said = {_key(key): float(value.seconds) for key, value in self.known.items()}
        lines = [f"{key} {seconds!r}" for key, seconds in said.items()]
        return Content(self.source, combined(lines or [f"{one.key} {one.objectives}" for one in self.evaluations]))

    @property
    def hosts(self) -> dict[str, list[Value]]:
        """The latencies that there are, by host; those that know enough sub-networks to say something."""
        found: dict[str, list[Value]] = {}
        for value in self.known.values():
            if np.isfinite(value.seconds):
                found.setdefault(value.host, []).append(value)
        return {host: values for host, values in found.items() if len(values) >= LEAST}

    def of(self, objective: Objective) -> dict[str, tuple[npt.ArrayLike, float]]:
        """Return the vectors and values, by key, of an objective of B that the study had too; none of a latency."""
        if not carries_over(objective) or self.sources.get(objective.name) != objective.source:
            return {}
        found = ((one, one.objectives.get(objective.name, np.nan)) for one in self.evaluations)
        return {one.key: (one.vector, value) for one, value in found if np.isfinite(value)}

    def prior(self, net: SuperNetwork) -> Prior:
        """Return what they say of all sub-networks, each host for itself; raises ``UsageError`` if they are too few."""
        if not self.hosts:
            n = sum(bool(np.isfinite(value.seconds)) for value in self.known.values())
            raise _too_few(self.source, n)
        each = [_learned(net, values) for values in self.hosts.values()]
        return each[0] if len(each) == 1 else together(each)


def observed(
    net: SuperNetwork,
    source: str,
    store: Store | None,
    platform: Platform | None = None,
    until: Any = None,
) -> Observed | None:
    """Return what was observed of latencies on A; ``None``: A is a platform that knows them without.

    Args:
        net: the super-network.
        source: a study in the store, which searched it on A, or the platform A: one that knows latencies, or one that
            sub-networks were measured on.
        store: where the study, or the measurements, are kept.
        platform: the platform A, where ``platform_of`` has been asked for it already.
        until: where they ended for the search that is resumed, as its study has it, a number and a time; ``None``: all
            that there are.

    Raises:
        UsageError: there is neither such a study nor such a platform.
        StoreError: what the store has of them is damaged.
    """
    whence = platform or platform_of(source, store)
    if whence is None:
        return of_study(net, source, store, until)
    if not whence.runs:
        return None
    return of_measurements(net, source, whence.settings.contents, store, until, str(whence))


def of_table(net: SuperNetwork, source: str, platform: Platform) -> Prior:
    """Return the latencies that a platform knows; of what a table of measured sub-networks lacks, what they say of it.

    Raises:
        UsageError: the table has too few sub-networks to say anything of others.
    """
    backend = backends.get(platform.backend)
    if isinstance(backend, backends.Tabulated):
        return _completed(net, source, backend.lookup(net, platform.settings))
    assert isinstance(backend, backends.KnowingBackend)  # noqa: S101 - whoever asks has made sure
    return lambda X: known_latency(backend, net, X, platform.settings, source).values


def _completed(net: SuperNetwork, source: str, table: Lookup) -> Prior:
    there = np.isfinite(table.values)
    if there.sum() < LEAST:
        raise _too_few(source, int(there.sum()))
    known = [Value(vector, value) for vector, value in zip(table.vectors[there], table.values[there], strict=True)]

    @cache
    def others() -> Prior:
        return _learned(net, known)

    def said(X: IntArray) -> FloatArray:
        values = table(X)
        missing = ~np.isfinite(values)
        if missing.any():
            values[missing] = others()(X[missing])
        return values

    return said


def of_study(net: SuperNetwork, name: str, store: Store | None, until: Any = None, latency: bool = True) -> Observed:
    """Return what a study found; see ``observed``.

    Args:
        net: the super-network.
        name: the study's.
        store: has it.
        until: see ``observed``.
        latency: its latencies too, not its other objectives alone.
    """
    # Searches of earlier versions began from the values of the final front.
    searched = until is None or until[1] == SEARCHED
    if store is None:
        raise UsageError(f"transfer from {name!r}: expected a store that has the study")
    study = load(store, name, net)
    if study.supernet != net.name:
        raise UsageError(f"transfer from {name!r}: it searched {study.supernet}, this search is of {net.name}")
    # Evaluations are only ever added: those that a search began with are the first ones. Their values are those that
    # the study's own search had, for its final front may be measured, or measured again, after another search began.
    evaluations = [one.as_searched() for one in study.evaluations] if searched else study.evaluations
    counted = evaluations if until is None else evaluations[: int(until[0])]
    timed = counted if latency and any(one.name == "latency" for one in study.objectives) else ()
    known = {one.key: Value(one.vector, one.objectives["latency"]) for one in timed}
    until = len(counted), SEARCHED if searched else ""
    return Observed(name, "study", until, known, counted, study.settings.get("sources", {}))


def of_measurements(
    net: SuperNetwork,
    source: str,
    contents: Mapping[str, str],
    store: Store | None,
    until: Any = None,
    platform: str | None = None,
    without: str | None = None,
) -> Observed:
    """Return what was measured on a platform; see ``observed``.

    Args:
        net: the super-network.
        source: what messages call the platform.
        contents: what its files hold, by option.
        store: where the measurements are.
        until: see ``observed``.
        platform: the platform's canonical string; ``None``: ``source`` is.
        without: the fingerprint of the host whose measurements are left out; ``None``: none are.
    """
    wanted: dict[str, Any] = {"supernet": net.name, "platform": platform or source, "status": "ok"}
    if store is None:
        return Observed(source, "measurements", (0, ""), {})
    there = store.measurements(**wanted, samples=False)
    records = [one for one in there if without is None or one.get("fingerprint") != without]
    end = None if until is None else (int(until[0]), str(until[1]))
    with decoded(store.name, f"a measurement of {net.name} on {wanted['platform']}"):
        return Observed(source, "measurements", *_known(net, contents, records, end))


def _known(
    net: SuperNetwork, contents: Mapping[str, str], records: Sequence[dict[str, Any]], end: tuple[int, str] | None
) -> tuple[tuple[int, str], dict[tuple[str, str], Value]]:
    """Return where records of measurements end, and their latencies by key; raises one of ``MALFORMED``."""
    final = [record for record in records if (record.get("contents") or {}) == contents and serves(record)]
    if end is not None:
        final = [record for record in final if record["id"] <= end[0] and str(record["measured_at"]) <= end[1]]
    known = {}
    for record in final:
        host, key = str(record.get("fingerprint", "")), str(record["key"])
        known[host, key] = Value(_vector(net, record), _stored(record), host)
    last = max((record["id"] for record in final), default=0)
    return (last, max((str(one["measured_at"]) for one in final), default="")), known


def serves(record: Mapping[str, Any]) -> bool:
    """Tell whether a record is of a value that a search may start from; raises one of ``MALFORMED``."""
    context = record.get("context", {})
    # What takes the place of an interim value has its number and a later time; what was taken beside a heavy load says
    # how heavy that was.
    return not context.get("interim", False) and LOAD not in context


def _key(key: Any) -> str:
    """Return a sub-network's key, by which studies know the measurements that they began from, whatever host's."""
    return str(key[1] if isinstance(key, tuple) else key)


def _vector(net: SuperNetwork, record: Mapping[str, Any]) -> npt.ArrayLike:
    try:
        found: npt.ArrayLike = net.space.encode(record["config"])[0]
    except ConfigError as error:
        raise ValueError(f"number {record['id']}: {error}") from None
    return found


def _stored(record: Mapping[str, Any]) -> float:
    """Return the latency in a stored measurement; raises ``ValueError`` where it can be none."""
    reason = fault(record["latency_s"], time=True)
    if reason is not None:
        raise ValueError(f"number {record['id']}: latency_s: {reason}")
    return float(record["latency_s"])


def _too_few(source: str, n: int) -> UsageError:
    return UsageError(f"transfer from {source!r}: expected at least {LEAST} latencies there, got {n}")


def _learned(net: SuperNetwork, there: Sequence[Value]) -> Prior:
    rows = np.random.default_rng(0).permutation(len(there))[:MOST]
    X = net.space.canonical(np.array([there[row].vector for row in rows], dtype=np.int64))
    return learned(net.space, X, np.array([there[row].seconds for row in rows]))
