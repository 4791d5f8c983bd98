"""Give each session its own contiguous stretch of heap memory, so that memory layout does not change its latency.

Where a session's weights, activations and packed copies lie relative to each other decides which of them share cache
lines. In a process that has prepared forty networks, a new one gets the holes that the others left, and the same
network, prepared twice, differs by half a percent. In a process that prepares nothing else it would always get the same
stretch. So all holes are filled while a session is prepared: it can only be placed in one large stretch, which begins
with a huge page.

This works with glibc's allocator, whose blocks are below the stretch or in it. It is not tried with another allocator
(jemalloc, mimalloc, tcmalloc, whether preloaded or linked in), whose holes cannot all be filled, nor when memory is
short. Measurements record which it was.
"""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hwnas.harness.host.huge_pages import HUGE, limits

# One heap for all sizes and threads, which keeps what was freed: what lies where follows from the order of the calls.
ENVIRONMENT = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(1 << 34),
    "MALLOC_TOP_PAD_": str(32 * HUGE),
}
# glibc (2.35 or later) asks for huge pages as the heap grows. To collapse small ones takes five times as long.
_TUNABLES, _HUGE_PAGES = "GLIBC_TUNABLES", "glibc.malloc.hugetlb"
# A stretch is at least this long; a session that needs more gets the rest elsewhere.
_STRETCH = 256 << 20
# So much has to be left of every limit: the stretch, as much again for the session, and the padding.
_ROOM = 2 * _STRETCH + 64 * HUGE
# Holes smaller than a page move nothing that matters.
_LEAST = 4096
# What the allocator keeps in front of every block.
_HEADER = 8
# What a replaced allocator replaces, all or some of it.
_FAMILY = ("malloc", "calloc", "realloc", "free", "posix_memalign", "aligned_alloc")


def environment(shell: Mapping[str, str], *, huge_pages: bool) -> dict[str, str]:
    """Return the allocator's settings for a worker process.

    Args:
        shell: the variables that the worker inherits; tunables that are set there stay.
        huge_pages: let the heap grow in huge pages.
    """
    tunables = shell.get(_TUNABLES, "")
    if not huge_pages or _HUGE_PAGES in tunables:
        return ENVIRONMENT
    return {**ENVIRONMENT, _TUNABLES: ":".join(filter(None, (tunables, f"{_HUGE_PAGES}=1")))}


@contextmanager
def own_stretch() -> Iterator[None]:
    """Place everything larger than a page that is allocated in this ``with`` block on a stretch of its own.

    Does nothing where ``why_not`` gives a reason.
    """
    libc = _libc() if why_not() is None else None
    fillers = [] if libc is None else _fill(libc)
    try:
        yield
    finally:
        for block in fillers:
            if libc is not None:
                libc.free(block)


def release() -> None:
    """Give freed memory back to the system."""
    libc = _libc()
    if libc is not None and _unsuitable() is None:
        libc.malloc_trim(0)


def why_not() -> str | None:
    """Return why sessions cannot get a stretch of their own in this process now, or ``None`` if they can."""
    reason = _unsuitable()
    if reason is not None:
        return reason
    left, what = min(((left, what) for what, left, _ in limits()), default=(_ROOM, ""))
    if left < _ROOM:
        return f"only {left >> 20} MiB are left of {what}"
    return "malloc takes large blocks from mappings of their own (GLIBC_TUNABLES?)" if _is_mapped() else None


def allocator() -> str | None:
    """Return the library that replaces ``malloc`` or a related function; ``None`` if glibc has them all."""
    libc = _libc()
    if libc is None:
        return None
    own = _file(libc, "gnu_get_libc_version")
    return next((file for name in _FAMILY if (file := _file(libc, name)) != own), None)


def _fill(libc: ctypes.CDLL) -> list[int]:
    """Fill all holes but the one where the next large block goes, and fill that one up to the next huge page.

    It never takes more than the bytes of all holes together.
    """
    start = _next(libc, _STRETCH)
    if not start:
        return []
    left, taken, size = _holes(libc), [], _STRETCH // 2
    while size >= _LEAST:
        block = libc.malloc(size) if size <= left else None
        # Holes are below the stretch. A block above it is from no hole: another thread has moved the stretch's start.
        if not block or block >= start:
            libc.free(block)
            size //= 2
        else:
            taken.append(block)
            left -= size
    gap = -_next(libc, HUGE) % HUGE
    if gap > _HEADER:
        taken.append(libc.malloc(gap - _HEADER))
    return taken


def _next(libc: ctypes.CDLL, size: int) -> int:
    """Return the address at which a block of ``size`` bytes would be placed; 0 if there is no room."""
    block = libc.malloc(size)
    libc.free(block)
    return int(block or 0)


@functools.cache
def _is_mapped() -> bool:
    """Return whether a large block gets a mapping of its own; tried out, for tunables override the environment."""
    libc = _libc()
    if libc is None:
        return True
    block = libc.malloc(_STRETCH)
    counts = _counts(libc)
    libc.free(block)
    return counts is not None and int(counts.mapped) >= _STRETCH


class _Counts(ctypes.Structure):
    """The result of mallinfo2(3)."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in ("arena", "ordblks", "smblks", "hblks", "mapped", "usmblks", "fsmblks", "used", "free", "top")
    )


def _holes(libc: ctypes.CDLL) -> int:
    """Return the bytes of free blocks below the top of the heap; before glibc 2.33, of all data of the process."""
    counts = _counts(libc)
    if counts is None:
        return int(Path("/proc/self/statm").read_text().split()[5]) * os.sysconf("SC_PAGE_SIZE")
    return max(0, int(counts.free) - int(counts.top))


def _counts(libc: ctypes.CDLL) -> Any:
    """Return ``_Counts``; ``None`` before glibc 2.33, whose counts end at 2 GiB."""
    try:
        count = libc.mallinfo2
    except AttributeError:
        return None
    count.restype = _Counts
    return count()


# dladdr1(3): the entry of the symbol table too.
_WITH_ENTRY = 1


class _Entry(ctypes.Structure):
    """The beginning of an entry of a symbol table of 64 bits; without a section, the function is in another file."""

    _fields_ = (("name", ctypes.c_uint32), ("kind", ctypes.c_uint16), ("section", ctypes.c_uint16))


class _Library(ctypes.Structure):
    """The first fields of the structure that dl_iterate_phdr(3) passes."""

    _fields_ = (("base", ctypes.c_void_p), ("name", ctypes.c_char_p))


_NOTE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_Library), ctypes.c_size_t, ctypes.c_void_p)


class _Symbol(ctypes.Structure):
    """The result of dladdr(3)."""

    _fields_ = (
        ("file", ctypes.c_char_p),
        ("base", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("address", ctypes.c_void_p),
    )


def _file(libc: ctypes.CDLL, name: str) -> str:
    """Return the file that holds the function which the process calls by ``name``."""
    file, defined = _holder(libc, libc, name)
    if defined:
        return file
    # Debian's Python is linked at a fixed address, where a name refers to a stub of Python's own, which jumps to the
    # first library that has the function.
    for path, other in _loaded(libc).items():
        found, defined = _holder(libc, other, name)
        if defined and found == path:
            return found
    return file


def _holder(libc: ctypes.CDLL, library: ctypes.CDLL, name: str) -> tuple[str, bool]:
    """Return the file that ``library`` resolves a function to, and whether it holds the function and not a stub."""
    symbol, entry = _Symbol(), ctypes.POINTER(_Entry)()
    # Before glibc 2.34 it is in a library of its own, which Python usually has loaded.
    look = getattr(libc, "dladdr1", None)
    function = getattr(library, name, None)
    if look is None or function is None:
        return "a file without a name", look is None
    address = ctypes.cast(function, ctypes.c_void_p)
    if not look(address, ctypes.byref(symbol), ctypes.byref(entry), _WITH_ENTRY) or not symbol.file:
        return "a file without a name", True
    return os.fsdecode(symbol.file), not entry or bool(entry.contents.section)


def _loaded(libc: ctypes.CDLL) -> dict[str, ctypes.CDLL]:
    """Return the libraries of this process by their paths, in the order in which names are looked up in them."""
    names: list[str] = []

    def note(info: Any, _size: int, _data: object) -> int:
        names.append(os.fsdecode(info.contents.name or b""))
        return 0

    libc.dl_iterate_phdr(_NOTE(note), None)
    found = {}
    for name in filter(os.path.isabs, names):
        with suppress(OSError):
            found[name] = ctypes.CDLL(name, mode=os.RTLD_NOLOAD | os.RTLD_LAZY)
    return found


@functools.cache
def _unsuitable() -> str | None:
    """Return why ``own_stretch`` does not work with this process's allocator, or ``None`` if it does."""
    if _libc() is None:
        return "the system's C library is not glibc"
    replaced = allocator()
    if replaced is not None:
        return f"malloc is not glibc's but that of {replaced}"
    # Where blocks come from mappings of their own there are no holes to take.
    if any(os.environ.get(name) != value for name, value in ENVIRONMENT.items()):
        return "the process was not started with the settings of malloc that it takes"
    return None


@functools.cache
def _libc() -> ctypes.CDLL | None:
    """Return the process's C library if it is glibc."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "gnu_get_libc_version"):
        return None
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
    libc.free.argtypes = (ctypes.c_void_p,)
    return libc
