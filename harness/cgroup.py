"""What the control group allows: the CPU quota, and where throttling is counted (versions 1 and 2)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc/self/cgroup")
ROOT = Path("/sys/fs/cgroup")


def quota(proc: Path = PROC, root: Path = ROOT) -> float | None:
    """Return how many CPUs' worth of time the process may use, or ``None`` where nothing limits it.

    A limit of any group above counts as well; the tightest one holds.
    """
    limits = [limit for folder in _folders(proc, root) if (limit := _limit(folder)) is not None]
    return min(limits, default=None)


def stat_files(proc: Path = PROC, root: Path = ROOT) -> list[Path]:
    """Return the ``cpu.stat`` files of the groups that have a quota: throttling is counted there."""
    return [folder / "cpu.stat" for folder in _folders(proc, root) if _limit(folder) and (folder / "cpu.stat").exists()]


def throttled_ns(text: str) -> int:
    """Read the time throttled from a ``cpu.stat``: ``throttled_time`` in ns (1) or ``throttled_usec`` (2)."""
    values = dict(line.split() for line in text.splitlines() if len(line.split()) == 2)
    return int(values.get("throttled_time", 0)) or 1000 * int(values.get("throttled_usec", 0))


def _folders(proc: Path, root: Path) -> Iterator[Path]:
    """Yield the CPU controller's folders, from the process's own group up to the root."""
    for mount, path in _groups(proc, root):
        # Inside a container the path is often the host's, while the mount shows the container's group as its root.
        own = mount / path.lstrip("/")
        yield from (folder for folder in (own, *own.parents) if folder.is_relative_to(mount) and folder.is_dir())


def _groups(proc: Path, root: Path) -> Iterator[tuple[Path, str]]:
    try:
        lines = proc.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if "cpu" in controllers.split(","):
            yield from ((root / name, path) for name in ("cpu", controllers) if (root / name).is_dir())
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
