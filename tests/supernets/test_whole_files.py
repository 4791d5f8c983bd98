"""Files that are written whole or not at all: what lies on the disk at each moment."""

from __future__ import annotations

import os

import pytest

from supernets.files import whole_file


def test_all_of_it_is_on_the_disk_before_it_takes_the_old_ones_place(tmp_path, monkeypatch):
    path, seen, fsync = tmp_path / "w.pth", [], os.fsync
    path.write_bytes(b"old")

    def watched(descriptor):
        seen.append((os.fstat(descriptor).st_size, path.read_bytes()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    with whole_file(path) as file:
        file.write(b"x" * 100_003)
        assert path.read_bytes() == b"old"
    assert (100_003, b"old") in seen
    assert path.read_bytes() == b"x" * 100_003
    assert [one.name for one in tmp_path.iterdir()] == ["w.pth"]


@pytest.mark.parametrize("error", [OSError("no space"), KeyboardInterrupt(), SystemExit(3)])
@pytest.mark.parametrize("before", [None, b"old"])
def test_whatever_happens_in_the_middle_nothing_is_left_of_it(tmp_path, error, before):
    path = tmp_path / "w.pth"
    if before is not None:
        path.write_bytes(before)

    def write():
        with whole_file(path) as file:
            file.write(b"new")
            raise error

    with pytest.raises(type(error)):
        write()
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == ({} if before is None else {"w.pth": before})


def test_a_disk_that_does_not_take_it_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "w.pth"
    path.write_bytes(b"old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    def write():
        with whole_file(path) as file:
            file.write(b"new")

    with pytest.raises(OSError, match="No space left"):
        write()
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == {"w.pth": b"old"}
