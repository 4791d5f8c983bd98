"""Files are written whole or not at all, through links, and into what is no regular file; the check agrees."""

from __future__ import annotations

import errno
import os
import socket
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwnas.supernets import writing
from hwnas.supernets.errors import OutputError, UsageError
from hwnas.supernets.writing import check_file, check_folder, is_stream, write_file, write_files, write_folder

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="makes device nodes, mounts or other users, which needs root")
NEW = b"new content\n"


def left(folder):
    """What lies in a folder, hidden files too."""
    return sorted(one.name for one in folder.iterdir())


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], check=False).returncode:
        pytest.skip("may not mount here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def as_nobody(write):
    """Call ``write`` in a process of a user without rights; return what it raises, in words."""
    read, written = os.pipe()
    child = os.fork()  # no new interpreter: that user may not be able to start this one
    if child == 0:
        said = ""
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            write()
        except Exception as error:  # noqa: BLE001 - it is told to the parent
            said = f"{type(error).__name__}: {error}"
        finally:
            os.write(written, said.encode())
            os._exit(0)
    os.close(written)
    with os.fdopen(read) as words:
        said = words.read()
    os.waitpid(child, 0)
    return said


def checked_and_written(path):
    check_file(path)
    write_file(path, NEW)


# --- regular files ---------------------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(st.binary(max_size=300).filter(lambda old: not old.startswith(b"SQLite format 3")), st.binary(max_size=300))
def test_what_is_written_is_read_back(tmp_path_factory, old, new):
    file = tmp_path_factory.mktemp("whole") / "file"
    for content in (old, new):
        write_file(file, content)
        assert file.read_bytes() == content
    assert left(file.parent) == ["file"]


@pytest.mark.parametrize(
    "name", ["n" * 255, "\N{GREEK SMALL LETTER PI}" * 127, os.fsdecode(b"\xff\xfe.json"), "-x", " "]
)
def test_any_name_that_a_file_can_have(tmp_path, name):
    check_file(tmp_path / name)
    write_file(tmp_path / name, NEW)
    assert left(tmp_path) == [name]


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o000])
def test_a_new_file_has_the_mode_that_the_umask_leaves_and_an_old_one_keeps_its_own(tmp_path, mask):
    old = tmp_path / "old"
    old.write_text("old")
    old.chmod(0o640)
    before = os.umask(mask)
    try:
        for name in ("new", "old"):
            write_file(tmp_path / name, NEW)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o666 & ~mask
    assert stat.S_IMODE(old.stat().st_mode) == 0o640


@AS_ROOT
def test_a_file_keeps_its_owner(tmp_path):
    file = tmp_path / "theirs"
    file.write_text("old")
    os.chown(file, 65534, 65534)
    write_file(file, NEW)
    assert (file.stat().st_uid, file.stat().st_gid) == (65534, 65534)


def test_files_that_belong_together_are_all_written_or_none(tmp_path):
    (tmp_path / "a").write_text("old")
    with pytest.raises(OutputError, match="No such file"):
        write_files({tmp_path / "a": NEW, tmp_path / "b": NEW, tmp_path / "nowhere" / "c": NEW})
    assert left(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "old"


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt(), SystemExit(3)]
)
@pytest.mark.parametrize("before", [None, b"old"])
def test_whatever_happens_in_the_middle_nothing_is_left_of_it(tmp_path, monkeypatch, error, before):
    path = tmp_path / "w.pth"
    if before is not None:
        path.write_bytes(before)

    def ended(_handle):
        raise error

    monkeypatch.setattr(os, "fsync", ended)
    with pytest.raises(OutputError if isinstance(error, OSError) else type(error)):
        write_file(path, NEW)
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == ({} if before is None else {"w.pth": before})


def test_all_of_it_is_on_the_disk_before_it_takes_the_old_ones_place(tmp_path, monkeypatch):
    path, seen, fsync = tmp_path / "w.pth", [], os.fsync
    path.write_bytes(b"old")

    def watched(handle):
        seen.append((os.fstat(handle).st_size, path.read_bytes()))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", watched)
    write_file(path, b"x" * 100_003)
    assert seen == [(100_003, b"old")]
    assert path.read_bytes() == b"x" * 100_003
    assert left(tmp_path) == ["w.pth"]


# --- links -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("there", [True, False], ids=["there", "dangling"])
def test_links_are_followed_and_stay(tmp_path, there):
    (tmp_path / "data").mkdir()
    target = tmp_path / "data" / "file"
    if there:
        target.write_text("old")
    (tmp_path / "second").symlink_to("data/file")
    (tmp_path / "first").symlink_to(tmp_path / "second")
    check_file(tmp_path / "first")
    write_file(tmp_path / "first", NEW)
    assert (tmp_path / "first").is_symlink()
    assert (tmp_path / "second").is_symlink()
    assert target.read_bytes() == NEW
    assert left(tmp_path / "data") == ["file"]


@pytest.mark.parametrize("write", [check_file, lambda path: write_file(path, NEW)])
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("folder", "it is a directory"),
        ("new/", "it names a directory"),
        ("", "it is a directory"),
        ("none/file", "there is no directory|No such file"),
        ("file/below", "it is no directory|Not a directory"),
        ("loop", "Too many levels of symbolic links"),
        ("n" * 256, "File name too long"),
        ("a\0b", "no file can be called so"),
        ("socket", "it is a socket"),
        ("into-none", "there is no directory|No such file"),
    ],
)
def test_what_cannot_be_written_is_named_with_the_reason(tmp_path, monkeypatch, write, name, reason):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("old")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "into-none").symlink_to("none/file")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        with pytest.raises((OutputError, UsageError), match=f"cannot write .*: ({reason})") as caught:
            write(name)
    assert caught.type is (UsageError if write is check_file else OutputError)
    assert left(tmp_path) == ["file", "folder", "into-none", "loop", "socket"]


# --- no regular files ------------------------------------------------------------------------------------------------


@AS_ROOT
@pytest.mark.parametrize(("minor", "fails"), [(3, False), (7, True)], ids=["null", "full"])
def test_devices_are_written_through_and_stay(tmp_path, minor, fails):
    device = tmp_path / "device"
    os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, minor))
    (tmp_path / "link").symlink_to(device)
    for path in (device, tmp_path / "link"):
        check_file(path)
        if fails:
            with pytest.raises(OutputError, match="No space left on device"):
                write_file(path, NEW)
        else:
            write_file(path, NEW)
        assert is_stream(path)
    assert stat.S_ISCHR(device.stat().st_mode)
    assert left(tmp_path) == ["device", "link"]


def read_in_background(path, found):
    thread = threading.Thread(target=lambda: found.append(path.read_bytes()))
    thread.start()
    return thread


def test_the_reader_of_a_fifo_gets_all_of_it(tmp_path):
    fifo, content = tmp_path / "fifo", os.urandom(300_000)
    os.mkfifo(fifo)
    check_file(fifo)  # does not wait for the reader
    found = []
    reader = read_in_background(fifo, found)
    write_file(fifo, content)
    reader.join(10)
    assert found == [content]
    assert fifo.is_fifo()


def test_a_reader_that_has_seen_enough_is_no_failure(tmp_path):
    read, write = os.pipe()
    os.close(read)
    try:
        write_file(f"/dev/fd/{write}", b"x" * 200_000)
    finally:
        os.close(write)


@pytest.mark.parametrize("spelled", ["/dev/fd/{}", "/proc/self/fd/{}", "link"])
def test_open_files_of_this_process_are_written_where_they_are(tmp_path, spelled):
    log = tmp_path / "log"
    log.write_text("before\n")
    handle = os.open(log, os.O_WRONLY | os.O_APPEND)
    (tmp_path / "link").symlink_to(f"/dev/fd/{handle}")
    path = tmp_path / "link" if spelled == "link" else spelled.format(handle)
    check_file(path)
    write_file(path, NEW)
    os.close(handle)
    assert log.read_bytes() == b"before\n" + NEW
    assert left(tmp_path) == ["link", "log"]


def test_open_files_that_cannot_be_written_are_refused(tmp_path):
    (tmp_path / "log").write_text("")
    handle = os.open(tmp_path / "log", os.O_RDONLY)
    with pytest.raises(UsageError, match="open for reading only"):
        check_file(f"/dev/fd/{handle}")
    os.close(handle)
    with pytest.raises(UsageError, match=f"cannot write '/dev/fd/{handle}'"):
        check_file(f"/dev/fd/{handle}")


def test_process_substitution_of_a_shell(tmp_path):
    code = "import sys; from hwnas.supernets.writing import check_file, write_file; "
    code += "check_file(sys.argv[1]); write_file(sys.argv[1], b'through')"
    script = f'exec 3>&1; {sys.executable} -c "$1" >(cat > got); wait $!; cat got >&3'
    done = subprocess.run(["bash", "-c", script, "-", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("through", "")


# --- what cannot be replaced -----------------------------------------------------------------------------------------


@AS_ROOT
def test_a_file_that_is_mounted_by_itself(tmp_path):
    for name in ("file", "mounted"):
        (tmp_path / name).write_text("old content, longer than the new one")
    if subprocess.run(["mount", "--bind", tmp_path / "file", tmp_path / "mounted"], check=False).returncode:
        pytest.skip("may not mount here")
    try:
        check_file(tmp_path / "mounted")
        write_file(tmp_path / "mounted", NEW)
    finally:
        subprocess.run(["umount", tmp_path / "mounted"], check=True)
    assert (tmp_path / "file").read_bytes() == NEW
    assert left(tmp_path) == ["file", "mounted"]


@pytest.mark.parametrize("number", [errno.EBUSY, errno.EXDEV, errno.EPERM])
def test_a_place_that_refuses_to_be_taken_is_written_in_place(tmp_path, monkeypatch, number):
    file = tmp_path / "file"
    file.write_text("old content, longer than the new one")
    inode = file.stat().st_ino

    def refused(self, target):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(writing.Path, "replace", refused)
    write_file(file, NEW)
    assert file.read_bytes() == NEW
    assert file.stat().st_ino == inode
    assert left(tmp_path) == ["file"]


def let_in(folder):
    """Let everybody enter a test's folder: those above it are pytest's, and its owner's alone."""
    above = Path(tempfile.gettempdir())
    for one in (folder, *folder.parents):
        if one.is_relative_to(above) and one != above:
            one.chmod(0o755)


@AS_ROOT
def test_a_writable_file_in_a_folder_that_is_not(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").write_text("old content, longer than the new one")
    (folder / "file").chmod(0o666)
    (folder / "theirs").write_text("not to be touched")
    let_in(tmp_path)
    assert as_nobody(lambda: checked_and_written(folder / "file")) == ""
    assert (folder / "file").read_bytes() == NEW
    for name in ("theirs", "none"):
        refused = f"cannot write '{folder / name}': Permission denied"
        assert as_nobody(lambda: checked_and_written(folder / name)) == f"UsageError: {refused}"  # noqa: B023
        assert as_nobody(lambda: write_file(folder / name, NEW)) == f"OutputError: {refused}"  # noqa: B023
    assert left(folder) == ["file", "theirs"]


@AS_ROOT
def test_a_folder_that_may_not_be_entered(tmp_path):
    (tmp_path / "closed").mkdir(mode=0o700)
    let_in(tmp_path)
    file = tmp_path / "closed" / "file"
    assert as_nobody(lambda: checked_and_written(file)) == f"UsageError: cannot write '{file}': Permission denied"


# --- a full disk -----------------------------------------------------------------------------------------------------


@AS_ROOT
def test_a_full_disk_leaves_the_old_file_and_no_part_of_the_new_one(small_disk):
    (small_disk / "old").write_text("old")
    for name in ("old", "new"):
        with pytest.raises(OutputError, match=f"cannot write '{small_disk / name}': No space left on device"):
            write_file(small_disk / name, b"x" * 100_000)
    assert left(small_disk) == ["old"]
    assert (small_disk / "old").read_text() == "old"


@AS_ROOT
def test_a_full_disk_leaves_a_file_that_cannot_be_replaced_as_it_was(small_disk, monkeypatch):
    def refused(target):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    (small_disk / "old").write_text("old")
    monkeypatch.setattr(writing, "beside", refused)
    with pytest.raises(OutputError, match="No space left on device"):
        write_file(small_disk / "old", b"x" * 100_000)
    assert (small_disk / "old").read_text() == "old"
    write_file(small_disk / "old", NEW)
    assert (small_disk / "old").read_bytes() == NEW


@AS_ROOT
def test_a_folder_that_cannot_be_filled_is_not_made(small_disk):
    with pytest.raises(OutputError, match="No space left on device"):
        write_folder(small_disk / "a" / "b", {"small": NEW, "large": b"x" * 100_000})
    assert left(small_disk) == []


# --- folders ---------------------------------------------------------------------------------------------------------


def test_a_folder_is_made_with_what_is_in_it(tmp_path):
    (tmp_path / "link").symlink_to("target")  # dangling
    for folder in (tmp_path / "new" / "below", tmp_path / "link", tmp_path):
        check_folder(folder)
        write_folder(folder, {"file": NEW})
        assert (folder / "file").read_bytes() == NEW
    assert (tmp_path / "link").is_symlink()
    assert left(tmp_path / "target") == ["file"]


@pytest.mark.parametrize("name", ["file", "file/below", "loop", "n" * 256, "a\0b"])
def test_a_folder_that_cannot_be_is_refused_beforehand(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(UsageError, match="cannot write"):
        check_folder(name)
    with pytest.raises(OutputError, match="cannot write"):
        write_folder(name, {"x": NEW})
    assert left(tmp_path) == ["file", "loop"]


def test_a_store_is_never_written_over(tmp_path):
    file = tmp_path / "hwnas.db"
    with sqlite3.connect(file) as store:
        store.execute("create table measurements (key)")
    (tmp_path / "link.json").symlink_to(file)
    before = file.read_bytes()
    for name in ("hwnas.db", "link.json"):
        with pytest.raises(UsageError, match=f"{name}.*it is a database"):
            check_file(tmp_path / name)
        with pytest.raises(OutputError, match=f"{name}.*it is a database"):
            write_file(tmp_path / name, b"{}")
    assert file.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hwnas.db", "link.json"]
