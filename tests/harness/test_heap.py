"""A stretch of memory of its own: seen by where blocks lie, in a process with the worker's allocator."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys

import pytest

from harness import heap
from harness.memory import HUGE

# Leaves holes of many sizes behind, then allocates the same blocks twice, and says where they lie.
PROGRAM = """
import ctypes, json, random, sys
from contextlib import nullcontext
from harness import heap

libc = heap._glibc()
draw = random.Random(0)
session = [draw.choice((5000, 40_000, 300_000, 3_000_000)) for _ in range(60)]
within = heap.own_stretch if sys.argv[1] == "own" else nullcontext
before = [libc.malloc(draw.randrange(1000, 2_000_000)) for _ in range(300)]
for block in before[::2]:
    libc.free(block)
found = []
for _ in range(2):
    with within():
        found.append([libc.malloc(size) for size in session])
    for _ in range(50):  # what others allocate and free in between
        libc.free(libc.malloc(draw.randrange(1000, 500_000)))
print(json.dumps(found))
"""


needs_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator is not glibc's")


def blocks(how: str) -> list[list[int]]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, how],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **heap.ENVIRONMENT},
    )
    found: list[list[int]] = json.loads(done.stdout)
    return found


def layout(addresses: list[int]) -> list[int]:
    return [address - addresses[0] for address in addresses]


@needs_glibc
def test_the_same_session_lies_the_same_way_twice():
    first, second = blocks("own")
    assert layout(first) == layout(second)
    assert first != second
    assert all(addresses[0] % HUGE == 0 for addresses in (first, second))


@needs_glibc
def test_without_it_it_gets_the_holes_that_others_left():
    first, second = blocks("any")
    assert layout(first) != layout(second)


def test_a_process_with_another_allocator_is_left_alone():
    assert heap._glibc() is None
    with heap.own_stretch():
        pass
    heap.release()
