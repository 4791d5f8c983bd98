from __future__ import annotations

import os

import numpy as np
import pytest

from hwnas import backends, supernets
from hwnas.backends import KnowingBackend, Settings
from hwnas.supernets.errors import PlatformError, TableError

NET = supernets.get("ofa-mbv3-w1.0")
TABLE = backends.get("table")
X = NET.space.sample(3, 0)


@pytest.fixture
def file(tmp_path):
    """Three sub-networks, the first of them measured twice, one column in ms and one in us."""
    lines = ["ks,e,d,latency_ms,gpu_us"]
    for config, (latency, gpu) in zip(
        NET.space.decode(X[[0, 1, 2, 0]]), [(2, 20), (3, 30), (4, 40), (6, 22)], strict=True
    ):
        cells = [" ".join(map(str, config[key])) for key in ("ks", "e", "d")]
        lines.append(",".join([*cells, str(latency), str(gpu)]))
    made = tmp_path / "measured.csv"
    made.write_text("\n".join(lines))
    return made


def latency(vectors, **options: object):
    return TABLE.latency(NET, vectors, Settings(options={key: str(value) for key, value in options.items()}))


def test_of_the_common_keys_it_has_the_batch_alone():
    assert isinstance(TABLE, KnowingBackend)
    assert TABLE.keys == {"batch"}
    assert [option.key for option in TABLE.options] == ["file", "column"]
    assert TABLE.why_not() is None


def test_seconds_with_duplicates_averaged(file):
    assert latency(X, file=file) == pytest.approx([4e-3, 3e-3, 4e-3])


@pytest.mark.parametrize("column", ["gpu", "gpu_us", "GPU (us)"])
def test_columns_by_name_with_or_without_the_unit(file, column):
    assert latency(X, file=file, column=column) == pytest.approx([21e-6, 30e-6, 40e-6])


def test_what_is_not_in_the_table_has_no_latency(file):
    other = NET.space.largest()
    found = latency(np.vstack([other, X[:1]]), file=file)
    assert np.isnan(found[0])
    assert found[1] == pytest.approx(4e-3)


def test_other_vectors_of_the_same_network_are_found(file):
    hidden = X.copy()
    hidden[~NET.space.active(X)] = 2
    assert np.array_equal(latency(hidden, file=file), latency(X, file=file))


def test_an_edited_file_is_read_anew(file):
    before = latency(X, file=file)
    file.write_text(file.read_text().replace("latency_ms", "latency_us"))
    os.utime(file, ns=(1, 1))
    assert latency(X, file=file) == pytest.approx(before / 1e3)


def test_a_missing_column_lists_those_there_are(file):
    with pytest.raises(TableError, match=r"expected a column 'tpu'; there are: ks, e, d, latency_ms, gpu_us"):
        latency(X, file=file, column="tpu")


def test_dynasts_latencies_were_not_measured(assets):
    with pytest.raises(TableError, match="'Latency \\(ms\\)' is 0 or empty throughout: it was not measured"):
        latency(X, file=assets / "dynast" / "mbnv3w10_evoga_acc.csv")


def test_no_file(tmp_path):
    with pytest.raises(PlatformError, match=r"say table:file=measured.csv,column=latency_ms"):
        latency(X)
    with pytest.raises(TableError, match="no such measured table"):
        latency(X, file=tmp_path / "none.csv")
