"""Give every session a stretch of memory that nothing was in before.

Where a session's weights, activations and packed copies lie relative to each other decides which of them fall on the
same lines of a cache. In a process that has prepared forty networks, what a new one gets are the holes that the others
left, and the same network, prepared twice, differs by half a percent. In a process that prepares nothing else it would
always get the same stretch. So, while a session is prepared, the holes are taken, and it finds a large stretch only,
from the start of a huge page. Of glibc's allocator; elsewhere nothing happens.
"""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager

from harness.memory import HUGE

# One heap for all sizes and threads, which keeps what was freed: what lies where follows from the order of the calls.
ENVIRONMENT = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(1 << 34),
    "MALLOC_TOP_PAD_": str(32 * HUGE),
}
# A stretch is at least this long; a session that needs more gets the rest elsewhere.
_STRETCH = 256 << 20
# Holes smaller than a page move nothing that matters.
_LEAST = 4096
# What the allocator keeps in front of every block.
_HEADER = 8


@contextmanager
def own_stretch() -> Iterator[None]:
    """Let what is allocated meanwhile lie on a stretch of its own, as far as it is larger than a page.

    Only in a process that was started with ``ENVIRONMENT``.
    """
    libc = _glibc()
    if libc is None:
        yield
        return
    fillers = _fill(libc)
    try:
        yield
    finally:
        for block in fillers:
            libc.free(block)


def release() -> None:
    """Give freed memory back to the system."""
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


def _fill(libc: ctypes.CDLL) -> list[int]:
    """Take all holes but the one where the next large block goes, and this one's start up to a huge page's."""
    start = _next(libc, _STRETCH)
    taken = []
    size = _STRETCH // 2
    while size >= _LEAST:
        block = libc.malloc(size)
        if not block or start <= block < start + _STRETCH:
            libc.free(block)
            size //= 2
        else:
            taken.append(block)
    gap = -_next(libc, HUGE) % HUGE
    if gap > _HEADER:
        taken.append(libc.malloc(gap - _HEADER))
    return taken


def _next(libc: ctypes.CDLL, size: int) -> int:
    """Return where a block of ``size`` bytes would lie."""
    block = libc.malloc(size)
    libc.free(block)
    return int(block or 0)


@functools.cache
def _glibc() -> ctypes.CDLL | None:
    libc = ctypes.CDLL(None)
    # Where blocks come from mappings of their own there are no holes to take, and no end to taking them.
    alone = all(os.environ.get(name) == value for name, value in ENVIRONMENT.items())
    if not alone or not hasattr(libc, "gnu_get_libc_version"):
        return None
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
    libc.free.argtypes = (ctypes.c_void_p,)
    return libc
