"""Examples to fit predictors to: sub-networks with a known value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwnas.search.sampling import unseen_rows
from hwnas.supernets.errors import UsageError
from hwnas.supernets.space import FloatArray, IntArray
from hwnas.supernets.supernet import SuperNetwork


@dataclass(frozen=True, eq=False)
class Examples:
    """Distinct sub-networks and one value each.

    Attributes:
        X: canonical vectors, ``(n, n_var)``.
        y: the values, ``(n,)``, finite.
        name: what they are, with the unit ("top1 (%)").
        source: where they come from.
    """

    X: IntArray
    y: FloatArray
    name: str
    source: str


def measured_examples(net: SuperNetwork, files: Sequence[str], column: str) -> Examples:
    """Read measured tables; a sub-network that was measured more than once counts once, by its mean.

    Raises:
        TableError: a file cannot be read, or has no such column.
        UsageError: the column has another unit in another file.
    """
    from hwnas.latency_luts.lookup import Lookup
    from hwnas.latency_luts.measured import MeasuredTable

    tables = [MeasuredTable.read(file) for file in files]
    metrics = [table.metric(column) for table in tables]
    units = {metric.unit: (file, metric.column) for file, metric in zip(files, metrics, strict=True)}
    if len(units) > 1:
        named = ", ".join(f"{column!r} in {file}" for file, column in units.values())
        raise UsageError(f"column {column!r}: has several units: {named}; expected one")
    X = np.concatenate([table.vectors(net.space) for table in tables])
    y = np.concatenate([table.measured(metric) for table, metric in zip(tables, metrics, strict=True)])
    known = Lookup.averaged(net.space, X, y)
    unit = f" ({metrics[0].unit})" if metrics[0].unit else ""
    return Examples(known.vectors, known.values, f"{metrics[0].stem}{unit}", ", ".join(files))


def quality_examples(net: SuperNetwork, spec: str | None, n: int, seed: int) -> Examples:
    """Ask a quality source about ``n`` random sub-networks.

    Raises:
        UsageError: the source has to measure.
    """
    from hwnas.harness import quality

    source = quality.get(spec, net)
    if not source.costs_nothing:
        raise UsageError(f"quality {source.name}: has to be measured; write what was measured to a CSV and use that")
    X = _drawn(net, n, seed)
    return _known(X, quality.qualities(source, X), f"{source.metric} ({source.unit})", source.name)


def latency_examples(net: SuperNetwork, platform: str, n: int, seed: int) -> Examples:
    """Look up the latency in ms of ``n`` random sub-networks on a platform that knows it; of a table, all its rows.

    Raises:
        UsageError: the platform has to measure.
    """
    from hwnas import backends
    from hwnas.harness.platform import parse

    where = parse(platform)
    backend = backends.get(where.backend)
    if not isinstance(backend, backends.KnowingBackend):
        raise UsageError(f"platform {platform!r}: has to be measured; write what was measured to a CSV and use that")
    if isinstance(backend, backends.Tabulated):
        table = backend.lookup(net, where.settings)  # random sub-networks would hardly ever be among its rows
        return Examples(table.vectors, 1e3 * table.values, "latency (ms)", str(where))
    X = _drawn(net, n, seed)
    known = backends.backend.known_latency(backend, net, X, where.settings, str(where))
    return _known(X, known.times(1e3).values, "latency (ms)", str(where))


def _drawn(net: SuperNetwork, n: int, seed: int) -> IntArray:
    X = net.space.canonical(net.space.sample(n, seed))
    return X[unseen_rows(X, ())]


def _known(X: IntArray, y: FloatArray, name: str, source: str) -> Examples:
    there = np.isfinite(y)
    return Examples(X[there], y[there], name, source)
