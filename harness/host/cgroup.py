"""Read a control group's limits: CPU quota, throttled time and memory (cgroup versions 1 and 2)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc/self/cgroup")
ROOT = Path("/sys/fs/cgroup")

_UNLIMITED = 1 << 62


def quota(proc: Path = PROC, root: Path = ROOT) -> float | None:
    """Return how many CPUs' worth of time the process may use, or ``None`` if there is no limit.

    Limits of parent groups count as well; the tightest one is returned.
    """
    limits = [limit for folder in _folders(proc, root) if (limit := _limit(folder)) is not None]
    return min(limits, default=None)


def used(proc: Path = PROC, root: Path = ROOT) -> tuple[float, float] | None:
    """Return the tightest quota, in CPUs, and the CPU time that its group has used, in seconds.

    ``None`` if there is no quota, or the time is not known.
    """
    limits = [(limit, folder) for folder in _folders(proc, root) if (limit := _limit(folder)) is not None]
    if not limits:
        return None
    limit, folder = min(limits, key=lambda one: one[0])
    seconds = _used_s(folder)
    return None if seconds is None else (limit, seconds)


def stat_files(proc: Path = PROC, root: Path = ROOT) -> list[Path]:
    """Return the ``cpu.stat`` files of the groups that have a quota: throttling is counted there."""
    return [folder / "cpu.stat" for folder in _folders(proc, root) if _limit(folder) and (folder / "cpu.stat").exists()]


def memory(proc: Path = PROC, root: Path = ROOT) -> list[tuple[int, int]]:
    """Return (bytes left, limit in bytes) of each group with a limit; page cache that can be dropped counts as left."""
    found = (_memory(folder) for folder in _folders(proc, root, "memory"))
    return [one for one in found if one is not None]


def throttled_ns(text: str) -> int:
    """Read the time throttled from a ``cpu.stat``: ``throttled_time`` in ns (1) or ``throttled_usec`` (2)."""
    values = dict(line.split() for line in text.splitlines() if len(line.split()) == 2)
    return int(values.get("throttled_time", 0)) or 1000 * int(values.get("throttled_usec", 0))


def _folders(proc: Path, root: Path, controller: str = "cpu") -> Iterator[Path]:
    """Yield a controller's folders, from the process's own group up to the root."""
    for mount, path in _groups(proc, root, controller):
        # Inside a container the path is often the host's, while the mount shows the container's group as its root.
        own = mount / path.lstrip("/")
        yield from (folder for folder in (own, *own.parents) if folder.is_relative_to(mount) and folder.is_dir())


def _groups(proc: Path, root: Path, controller: str) -> Iterator[tuple[Path, str]]:
    try:
        lines = proc.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            yield from (
                (root / name, path) for name in dict.fromkeys((controller, controllers)) if (root / name).is_dir()
            )
        elif number == "0":
            yield root / "unified" if (root / "unified").is_dir() else root, path


def _limit(folder: Path) -> float | None:
    try:
        if (folder / "cpu.max").exists():
            given, period = (folder / "cpu.max").read_text().split()
        else:
            given = (folder / "cpu.cfs_quota_us").read_text().strip()
            period = (folder / "cpu.cfs_period_us").read_text().strip()
    except OSError:
        return None
    return None if given in ("max", "-1") else int(given) / int(period)


def _used_s(folder: Path) -> float | None:
    """Return a group's CPU time: ``usage_usec`` in ``cpu.stat`` (2), or ``cpuacct.usage`` in ns (1)."""
    try:
        if (folder / "cpuacct.usage").exists():
            return int((folder / "cpuacct.usage").read_text()) / 1e9
        counts = dict(line.split() for line in (folder / "cpu.stat").read_text().splitlines())
        return int(counts["usage_usec"]) / 1e6
    except (OSError, ValueError, KeyError):
        return None


def _memory(folder: Path) -> tuple[int, int] | None:
    two = (folder / "memory.max").exists()
    names = ("memory.max", "memory.current") if two else ("memory.limit_in_bytes", "memory.usage_in_bytes")
    try:
        given, used = ((folder / name).read_text().strip() for name in names)
        counts = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        files = int(counts.get("inactive_file" if two else "total_inactive_file", 0))
        # Version 1 spells "no limit" as the largest number of pages that it can count.
        limit, taken = _UNLIMITED if given == "max" else int(given), int(used) - files
    except (OSError, ValueError):
        return None
    return None if limit >= _UNLIMITED else (max(0, limit - taken), limit)
