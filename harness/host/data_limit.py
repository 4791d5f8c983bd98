"""Let an allocation fail that would use up memory, before the kernel ends the process for it.

A process that takes more than its control group allows is killed, with everything that it has prepared. With a limit on
its data (``RLIMIT_DATA``, Linux) set below that, the allocation fails instead, which libraries report as an error.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SIZES = Path("/proc/self/statm")
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
# To /proc/self/clear_refs: start the count of the peak again.
_PEAK = "5"


@contextmanager
def at_most(more: int | None) -> Iterator[None]:
    """Let the process's data grow by at most ``more`` bytes in this ``with`` block; ``None``: by any number.

    Does nothing where the system does not count a process's data.
    """
    used = None if more is None else _data_bytes()
    if more is None or used is None:
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    allowed = [one for one in (soft, hard, used + more) if one != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min(allowed), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def resident_bytes() -> int:
    """Return the process's resident memory."""
    pages = _pages(1)
    if pages is None:
        import psutil

        return int(psutil.Process().memory_info().rss)
    return pages


def restart_peak() -> None:
    """Count the peak of the resident memory from now on, where the system can."""
    with contextlib.suppress(OSError):
        _CLEAR.write_text(_PEAK)


def peak_bytes() -> int:
    """Return the peak of the resident memory since ``restart_peak``; without one, what is resident now."""
    with contextlib.suppress(OSError, ValueError, IndexError, StopIteration):
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return 1024 * int(line.split()[1])
    return resident_bytes()


def _data_bytes() -> int | None:
    return _pages(5)


def _pages(field: int) -> int | None:
    """Return the bytes of a field of statm: 1 is resident, 5 the private data; ``None``: the system does not say."""
    try:
        import resource

        return int(_SIZES.read_text().split()[field]) * resource.getpagesize()
    except (OSError, ImportError, ValueError, IndexError):
        return None
