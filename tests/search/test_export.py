"""A study as CSV reads back as a measured table."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from hwnas import supernets
from hwnas.latency_luts.measured import MeasuredTable
from hwnas.search.deploy.table import write_csv
from hwnas.search.objectives import Directions
from hwnas.search.study.archive import Archive, Evaluation
from hwnas.search.study.result import Study

NET = supernets.get("ofa-mbv3-w1.0")
LABELS = [("latency", "ms", False), ("top1", "%", True), ("macs", "M", False)]
REASON = 'crashed, said "no",\nand left'


@pytest.fixture
def study():
    X = NET.space.canonical(NET.space.sample(4, 0))
    archive = Archive([name for name, _, _ in LABELS], Directions([maximise for _, _, maximise in LABELS]))
    for index, (vector, config, key) in enumerate(zip(X, NET.space.decode(X), NET.space.keys(X), strict=True)):
        values = {"latency": 0.1 + index / 3, "top1": 70 + index / 7, "macs": NET.macs(vector[None])[0] / 1e6}
        failed = index == 2
        archive.add(
            [
                Evaluation(
                    index,
                    index // 2,
                    tuple(vector),
                    config,
                    key,
                    values | ({"latency": np.nan} if failed else {}),
                    "failed" if failed else "ok",
                    REASON if failed else "",
                )
            ]
        )
    labels = [{"name": name, "unit": unit, "maximise": maximise} for name, unit, maximise in LABELS]
    return Study("s", {"objectives": labels}, {}, archive, {})


def to_csv(study):
    stream = io.StringIO(newline="")
    write_csv(study, stream)
    return stream.getvalue()


def test_it_reads_back_as_a_measured_table(study, tmp_path):
    (tmp_path / "s.csv").write_text(to_csv(study))
    table = MeasuredTable.read(tmp_path / "s.csv")
    X = table.vectors(NET.space)
    assert NET.space.keys(X) == [one.key for one in study.evaluations]
    latency = table.seconds(table.metric("latency"))
    np.testing.assert_array_equal(latency, [one.objectives["latency"] / 1e3 for one in study.evaluations])
    np.testing.assert_array_equal(table.values(table.metric("macs")), NET.macs(X))
    top1 = table.metric("top1")
    assert top1.unit == "%"
    np.testing.assert_array_equal(table.values(top1), [one.objectives["top1"] for one in study.evaluations])


def test_columns_and_cells(study):
    header, *rows = csv.reader(io.StringIO(to_csv(study)))
    expected = ["index", "iteration", "key", "config", "latency_ms", "top1_%", "macs", "status", "reason", "on_front"]
    assert header == expected
    assert [row[-1] for row in rows] == [str(int(one in study.front)) for one in study.evaluations]
    assert rows[2][4] == ""
    assert rows[2][7:9] == ["failed", REASON]
