"""Put the worker's memory into huge pages, so that the choice of physical pages does not change a network's latency.

Which physical pages a session happens to get decides how often they share cache lines: the same network, prepared
twice, differs by a percent or two, and no number of samples takes that away. In huge pages the layout within two
megabytes is always the same. The kernel moves any allocator's memory when asked (``MADV_COLLAPSE``, Linux 6.1);
elsewhere nothing happens, and the measurement records that.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from hwnas.harness.host import cgroup

HUGE = 2 << 20
_MADV_HUGEPAGE, _MADV_COLLAPSE = 14, 25
_MPOL_DEFAULT = 0
# No library that is everywhere wraps mbind(2).
_MBIND = {"x86_64": 237, "aarch64": 235}
_MAPS, _SUMMARY = Path("/proc/self/maps"), Path("/proc/self/smaps_rollup")
_SIZES, _HOST = Path("/proc/self/statm"), Path("/proc/meminfo")


def collapse() -> float | None:
    """Put as much memory as possible into huge pages; return the share of anonymous memory there, or ``None``."""
    try:
        libc = ctypes.CDLL(None)
        madvise = libc.madvise
        _unbind(libc, _regions(_MAPS.read_text()))
        regions = _whole(_regions(_MAPS.read_text()))
    except (OSError, AttributeError):
        return None
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for start, end in regions:
        madvise(start, end - start, _MADV_HUGEPAGE)
        for page in range(start, end, HUGE):
            # A stretch with holes or pinned pages is refused and stays as it is.
            madvise(page, HUGE, _MADV_COLLAPSE)
    return share()


def share() -> float | None:
    """Return the share of the process's anonymous memory in huge pages, or ``None`` if the system does not say."""
    try:
        text = _SUMMARY.read_text()
    except OSError:
        return None
    anonymous, huge = (re.search(rf"^{name}:\s+(\d+)", text, re.MULTILINE) for name in ("Anonymous", "AnonHugePages"))
    if anonymous is None or huge is None or not int(anonymous[1]):
        return None
    return int(huge[1]) / int(anonymous[1])


def limits() -> Iterator[tuple[str, int, int]]:
    """Yield each limit on this process's memory: its name, the bytes left, and the limit in bytes."""
    yield ("the host's memory", *_host_memory())
    for left, limit in cgroup.memory():
        yield "the control group's memory", left, limit
    with contextlib.suppress(ImportError, OSError, ValueError, IndexError):
        import resource  # not on Windows

        pages = [int(field) for field in _SIZES.read_text().split()]
        # statm's first field is the address space, its sixth the part of it that is data.
        for name, number, used in (("ulimit -v", resource.RLIMIT_AS, 0), ("ulimit -d", resource.RLIMIT_DATA, 5)):
            limit = resource.getrlimit(number)[0]
            if limit != resource.RLIM_INFINITY:
                yield name, max(0, limit - pages[used] * resource.getpagesize()), limit


def _host_memory() -> tuple[int, int]:
    """Return the bytes of the host's memory that are left, and all of them."""
    try:
        host = dict(line.split(":") for line in _HOST.read_text().splitlines())
        left, total = (1024 * int(host[name].split()[0]) for name in ("MemAvailable", "MemTotal"))
    except (OSError, ValueError, KeyError):
        import psutil

        memory = psutil.virtual_memory()
        left, total = int(memory.available), int(memory.total)
    return left, total


def _unbind(libc: ctypes.CDLL, regions: Iterable[tuple[int, int]]) -> None:
    """Remove bindings to NUMA nodes; no page is moved.

    OpenVINO binds some of a network's weights to the node that they are on already. The kernel keeps bound and unbound
    memory apart, and no huge page can cross the border between them. Without bindings there is no border.
    """
    number = _MBIND.get(os.uname().machine)
    if number is None:
        return
    for start, end in regions:
        # No nodes, no flags. Where it is refused (a container that lacks the right) nothing was bound.
        libc.syscall(*map(ctypes.c_long, (number, start, end - start, _MPOL_DEFAULT, 0, 0, 0)))


def _whole(regions: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield the regions cut to whole huge pages; regions smaller than that are left out."""
    for start, end in regions:
        first, last = -(-start // HUGE) * HUGE, end // HUGE * HUGE
        if first < last:
            yield first, last


def _regions(maps: str) -> Iterator[tuple[int, int]]:
    """Yield the stretches of writable anonymous memory."""
    for line in maps.splitlines():
        addresses, permissions, _offset, _device, inode, *name = line.split(maxsplit=5)
        if not permissions.startswith("rw") or inode != "0" or (name and not name[0].startswith(("[heap]", "[anon"))):
            continue
        start, end = (int(address, 16) for address in addresses.split("-"))
        yield start, end
