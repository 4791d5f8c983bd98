"""Files are known by what they hold: whatever they are called, and however they were changed."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwnas.supernets import contents
from hwnas.supernets.contents import (
    Content,
    Stamp,
    combined,
    content_digest,
    content_digests,
    differences,
    holding,
    identified,
)
from hwnas.supernets.errors import ChangedError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def written(file, content):
    file.write_bytes(content)
    return file


def aged(file):
    """Let a file be one that was last changed long ago, as far as a stamp can tell."""
    old = Stamp.of(file)
    return old._replace(changed_ns=old.changed_ns - 10**11)


def test_the_digest_is_of_the_content_whatever_the_name(tmp_path, monkeypatch):
    file = written(tmp_path / "a", b"one")
    shutil.copy(file, tmp_path / "b")
    (tmp_path / "link").symlink_to("b")
    monkeypatch.chdir(tmp_path)
    names = [file, tmp_path / "b", tmp_path / "link", "a", "./b", tmp_path / ".." / tmp_path.name / "a"]
    assert {content_digest(name) for name in names} == {hashlib.sha256(b"one").hexdigest()}


def test_a_change_of_equal_size_and_time_is_seen(tmp_path):
    file = written(tmp_path / "a", b"one")
    before, times = content_digest(file), file.stat()
    written(file, b"two")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert content_digest(file) != before


def test_a_file_that_takes_another_ones_place_is_seen(tmp_path):
    file, other = written(tmp_path / "a", b"one"), written(tmp_path / "b", b"two")
    before = content_digest(file)
    os.utime(other, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
    other.replace(file)
    assert content_digest(file) != before


def test_a_file_that_was_changed_just_now_is_always_read_again(tmp_path, monkeypatch):
    """Within one tick of the disk's clock nothing but the content tells two files apart."""
    file = written(tmp_path / "a", b"one")
    same = Stamp.of(file)
    monkeypatch.setattr(Stamp, "of", classmethod(lambda *_: same))
    digests = set()
    for content in (b"one", b"two", b"six"):
        digests.add(content_digest(written(file, content)))
        digests.add(content_digests([file])[0])
    assert len(digests) == 3


@pytest.mark.parametrize("digest", [content_digest, lambda file: content_digests([file])[0]])
def test_a_file_that_lies_there_for_long_is_read_once(tmp_path, monkeypatch, digest):
    file = written(tmp_path / "a", b"one")
    old = aged(file)
    monkeypatch.setattr(Stamp, "of", classmethod(lambda *_: old))
    before = digest(file)
    monkeypatch.setattr(contents, "_read", lambda _: pytest.fail("it was read again"))
    assert digest(file) == before


def test_without_a_cache_files_are_read(tmp_path, cache, monkeypatch):
    file = written(tmp_path / "a", b"one")
    cache.write_bytes(b"no folder")
    assert content_digests([file]) == [content_digest(file)]
    cache.unlink()
    (cache / "hwnas" / "digests").mkdir(parents=True)
    written(cache / "hwnas" / "digests" / "digests.db", b"no database" * 1000)
    assert content_digests([file]) == [content_digest(file)]


def test_what_is_remembered_of_a_file_gives_way_when_it_changes(tmp_path, cache, monkeypatch):
    file = written(tmp_path / "a", b"one")
    later = time.time_ns() + 10**11
    monkeypatch.setattr(contents.time, "time_ns", lambda: later)
    first = content_digests([file])
    written(file, b"longer")
    assert content_digests([file]) != first
    with sqlite3.connect(cache / "hwnas" / "digests" / "digests.db") as database:
        assert database.execute("SELECT COUNT(*), MAX(content) FROM digest").fetchall() == [(1, content_digest(file))]


def test_what_is_read_is_what_the_digest_is_of(tmp_path):
    file = written(tmp_path / "a", b"one")
    digest = content_digest(file)
    with holding(file, digest):
        pass
    with pytest.raises(ChangedError, match=rf"a: was changed .* was {digest[:16]}, is "), holding(file, digest):
        written(file, b"two")
    with pytest.raises(ChangedError), holding(file, digest):
        pytest.fail("it was read")
    file.unlink()
    with pytest.raises(ChangedError, match="cannot be read any more"), holding(file, digest):
        pytest.fail("it was read")


def test_a_pipe_is_left_to_whoever_reads_it(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert content_digest(tmp_path / "pipe") == content_digest(tmp_path / "pipe")


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_lists_of_texts_have_one_digest_each(one, other):
    assert (combined(one) == combined(other)) == (one == other)


def test_names_give_way_to_digests_where_a_key_has_them():
    spec = "openvino:threads=2,calibration=threads=2/x,precision=int8"
    assert identified(spec, {"calibration": "f" * 64}) == f"openvino:threads=2,calibration={'f' * 16},precision=int8"
    assert identified("lut:file=/a/b.yaml", {"file": "0" * 64}) == identified("lut:file=b", {"file": "0" * 64})
    assert identified("lut:table=note10", {}) == "lut:table=note10"
    assert identified("lut:profile=x", {"file": "0" * 64}) == "lut:profile=x"


def test_differences_name_the_file_and_the_change():
    then, now = {"weights": Content("a.pt", "1" * 64)}, {"weights": Content("a.pt", "2" * 64)}
    (told,) = differences(then, now)
    assert told == f"weights a.pt: its content has changed, it was {'1' * 16}, is {'2' * 16}"
    (told,) = differences(then, {"weights": Content("b.pt", "2" * 64)})
    assert told == f"weights was a.pt of content {'1' * 16}, is b.pt of content {'2' * 16}"
    assert differences(then, {"weights": Content("b.pt", "1" * 64)}) == []
    assert differences({}, now) == []
