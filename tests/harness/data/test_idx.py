"""IDX files: what is written comes back, and what is no such file is named."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hwnas.harness.data.idx import read_idx
from hwnas.supernets.errors import DataError


def idx(array, kind=8):
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, kind, array.ndim, *array.shape) + array.tobytes()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hnp.arrays(np.uint8, hnp.array_shapes(max_dims=4, min_side=0, max_side=5)), st.booleans())
def test_round_trip(tmp_path, array, packed):
    file = tmp_path / "x-idx-ubyte"
    file.write_bytes(gzip.compress(idx(array)) if packed else idx(array))
    back = read_idx(file)
    assert back.dtype == np.uint8
    assert np.array_equal(back, array)


@pytest.mark.parametrize("packed", [False, True])
def test_truncated_anywhere_is_an_error_that_names_the_file(tmp_path, packed):
    whole = idx(np.arange(60, dtype=np.uint8).reshape(5, 3, 4))
    whole = gzip.compress(whole) if packed else whole
    file = tmp_path / "cut-idx3-ubyte"
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        with pytest.raises(DataError, match="cut-idx3-ubyte"):
            read_idx(file)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"\x89PNG....", "is no IDX file: expected two zero bytes at its beginning, got 8950"),
        (idx(np.zeros(4, np.uint8), kind=0x0D), r"expected unsigned bytes \(IDX type 0x08\), got type 0x0d"),
        (idx(np.zeros(4, np.uint8)) + b"more", "goes on behind its end: expected 12 bytes"),
        (idx(np.zeros((2, 3), np.uint8))[:-1], r"is truncated: expected 18 bytes for shape \(2, 3\), got 17"),
        (gzip.compress(idx(np.zeros(99, np.uint8)), mtime=0)[:-4], "is truncated: its compressed data ends early"),
        (b"\x1f\x8b\x08 rubbish rubbish rubbish", "cannot be read"),
    ],
)
def test_what_is_no_such_file(tmp_path, content, match):
    file = tmp_path / "x"
    file.write_bytes(content)
    with pytest.raises(DataError, match=match):
        read_idx(file)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match=r"none: cannot be read \(No such file"):
        read_idx(tmp_path / "none")
