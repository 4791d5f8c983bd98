"""Results as pandas data frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hwnas.supernets.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from hwnas.harness.measurement.measurement import Measurement
    from hwnas.search.study.result import Study
    from hwnas.search.transfer import TransferResult

Columns = Mapping[str, Sequence[Any]]


def frame(columns: Columns) -> pd.DataFrame:
    """Return columns as a data frame; raises ``UsageError`` where pandas is not installed."""
    try:
        import pandas as pd
    except ImportError as error:
        raise UsageError("to_pandas: pandas is not installed: pip install pandas") from error
    return pd.DataFrame(dict(columns))


def of_study(study: Study) -> Columns:
    """Return one row per evaluation: its values with their units and intervals, and whether it is on the front."""
    from hwnas.search.deploy.table import column_name, in_column

    rows, front = study.evaluations, {one.index for one in study.front}
    columns: dict[str, list[Any]] = {
        name: [getattr(one, name) for one in rows] for name in ("index", "iteration", "key", "config")
    }
    for label in study.objectives:
        name = column_name(label)
        columns[name] = [in_column(label, one.objectives[label.name]) for one in rows]
        bounds = [one.intervals.get(label.name) for one in rows]
        if any(bounds):
            columns[f"{name}_low"] = [None if one is None else in_column(label, one[0]) for one in bounds]
            columns[f"{name}_high"] = [None if one is None else in_column(label, one[1]) for one in bounds]
    columns |= {name: [getattr(one, name) for one in rows] for name in ("status", "reason")}
    return {**columns, "on_front": [one.index in front for one in rows]}


def of_measurements(measurements: Sequence[Measurement]) -> Columns:
    """Return one row per measurement: the latency with its interval, counts, and how sure it is."""
    bounds = [one.interval for one in measurements]
    plain = ("supernet", "key", "config", "platform")
    return {
        **{name: [getattr(one, name) for one in measurements] for name in plain},
        "latency_ms": [one.latency_ms for one in measurements],
        "latency_ms_low": [1e3 * low for low, _ in bounds],
        "latency_ms_high": [1e3 * high for _, high in bounds],
        **{name: [getattr(one, name) for one in measurements] for name in ("macs", "params", "status", "reason")},
    }


def of_transfer(result: TransferResult) -> Columns:
    """Return one row per pair of platforms: searched on the first, deployed on the second."""
    platforms = result.rows.platforms
    pairs = [(i, j) for i in range(len(platforms)) for j in range(len(platforms))]
    matrices = {
        "kendall_tau": result.correlations.kendall_tau,
        "spearman": result.correlations.spearman,
        "hypervolume_ratio": result.hypervolume_ratio,
        "front_overlap": result.front_overlap,
    }
    return {
        "searched_on": [platforms[i] for i, _ in pairs],
        "deployed_on": [platforms[j] for _, j in pairs],
        **{name: [float(matrix[i, j]) for i, j in pairs] for name, matrix in matrices.items()},
    }
