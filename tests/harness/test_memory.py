"""Huge pages: what is asked for, and that contents survive."""

from __future__ import annotations

import ctypes
import mmap
import os
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from hwnas.harness.host import huge_pages as memory

MAPS = """\
5500000000-5500900000 rw-p 00000000 00:00 0                              [heap]
7f0000000000-7f0000100000 rw-p 00000000 00:00 0
7f0000101000-7f0000801000 rw-p 00000000 00:00 0
7f0001000000-7f0002000000 r--p 00000000 00:00 0
7f0003000000-7f0004000000 rw-p 00000000 08:01 1234                       /usr/lib/libx.so
7f0005000000-7f0006000000 rw-s 00000000 00:05 77                         /dev/zero (deleted)
7f0006000000-7f0006400000 rw-p 00000000 00:00 0                          [anon:malloc]
7ffe00000000-7ffe00400000 rw-p 00000000 00:00 0                          [stack]
"""


def test_whole_huge_pages_of_private_writable_memory():
    assert [(hex(start), hex(end)) for start, end in memory._whole(memory._regions(MAPS))] == [
        ("0x5500000000", "0x5500800000"),
        ("0x7f0000200000", "0x7f0000800000"),
        ("0x7f0006000000", "0x7f0006400000"),
    ]


@pytest.mark.slow
def test_contents_survive(rng):
    data = rng.integers(0, 256, 16 * memory.HUGE, dtype=np.uint8)
    before = data.copy()
    memory.collapse()
    assert np.array_equal(data, before)


@pytest.mark.slow
def test_memory_gets_into_huge_pages():
    region = mmap.mmap(-1, 32 * memory.HUGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    region.write(b"x" * len(region))
    before = memory.share()
    after = memory.collapse()
    region.close()
    if after is None or after == before == 0:
        pytest.skip("this kernel has no MADV_COLLAPSE")
    assert after > 0.5


@pytest.mark.slow
def test_memory_that_a_library_has_bound_to_a_node_is_no_longer_kept_apart():
    libc = ctypes.CDLL(None)
    region = mmap.mmap(-1, 32 * memory.HUGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    region.write(b"x" * len(region))
    start = ctypes.addressof(ctypes.c_char.from_buffer(region))
    bound = start + 9 * memory.HUGE + mmap.PAGESIZE
    nodes = ctypes.c_ulong(1)  # node 0
    number, prefer = memory._MBIND.get(os.uname().machine, -1), 1
    refused = libc.syscall(
        ctypes.c_long(number),
        ctypes.c_void_p(bound),
        *map(ctypes.c_long, (3 * mmap.PAGESIZE, prefer)),
        ctypes.byref(nodes),
        *map(ctypes.c_long, (64, 0)),
    )
    if refused:
        pytest.skip("memory cannot be bound to a node here")
    assert any(one == bound for one, _ in memory._regions(memory._MAPS.read_text()))
    memory.collapse()
    assert not any(start < one < start + len(region) for one, _ in memory._regions(memory._MAPS.read_text()))


def test_a_system_without_it_is_left_alone(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "_MAPS", tmp_path / "none")
    monkeypatch.setattr(memory, "_SUMMARY", tmp_path / "none")
    assert memory.collapse() is None
    assert memory.share() is None


def test_every_limit_of_memory_counts(monkeypatch, tmp_path):
    import resource

    given = {resource.RLIMIT_AS: 900 << 20, resource.RLIMIT_DATA: resource.RLIM_INFINITY}
    monkeypatch.setattr(resource, "getrlimit", lambda which: (given[which], resource.RLIM_INFINITY))
    monkeypatch.setattr(memory.cgroup, "memory", lambda: [(70, 100)])
    for name, text in {
        "_HOST": "MemTotal: 8 kB\nMemFree: 1 kB\nMemAvailable: 4 kB\n",
        "_SIZES": "256 9 9 9 0 30 0",
    }.items():
        (tmp_path / name).write_text(text)
        monkeypatch.setattr(memory, name, tmp_path / name)
    page = resource.getpagesize()
    assert list(memory.limits()) == [
        ("the host's memory", 4096, 8192),
        ("the control group's memory", 70, 100),
        ("ulimit -v", (900 << 20) - 256 * page, 900 << 20),
    ]
    given[resource.RLIMIT_DATA] = 20 * page
    assert list(memory.limits())[-1] == ("ulimit -d", 0, 20 * page)


def test_where_there_is_no_proc_the_hosts_memory_is_known_all_the_same(monkeypatch, tmp_path):
    for name in ("_HOST", "_SIZES"):
        monkeypatch.setattr(memory, name, tmp_path / "none")
    monkeypatch.setattr(memory.cgroup, "memory", list)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=4096, total=8192))
    assert list(memory.limits()) == [("the host's memory", 4096, 8192)]
