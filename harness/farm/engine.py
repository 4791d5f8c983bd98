"""Dask, imported late and kept still: what it does by the clock would disturb what is timed beside it."""

from __future__ import annotations

import importlib
import logging
import sys
from importlib.metadata import version
from typing import Any

from hwnas.supernets.errors import UsageError

# 1: first form of the orders and answers. 2: weights go along where a worker lacks them. 3: they say which they
# are, and have no other fields than both sides know.
VERSION = 3

# The web server that Dask starts in any case is bound to where nobody else comes.
NO_PAGES = "127.0.0.1:0"

_CALM: dict[str, Any] = {
    # Ten looks a second at every thread's stack, and fifty ticks of the loop, are for debugging.
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.tick.limit": "1h",
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.admin.system-monitor.gil.enabled": False,
    "distributed.diagnostics.nvml": False,
    # A measuring process may use what it needs; it is not to be paused or killed for its memory.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
    # A machine that is cut off is given up after a minute; the other side of a dead connection sooner.
    "distributed.scheduler.worker-ttl": "60s",
    "distributed.comm.timeouts.tcp": "20s",
    "distributed.comm.timeouts.connect": "10s",
    "distributed.scheduler.work-stealing": True,
    # No pages: what a farm is at, hwnas farm status says, over the same encrypted connections as all else.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
}


def distributed() -> Any:
    """Return the package, configured.

    Raises:
        UsageError: it is not installed; names the command.
    """
    known = "distributed" in sys.modules
    try:
        dask = importlib.import_module("dask")
        # The configuration is read when parts of the package are imported.
        dask.config.set(_CALM)
        package = importlib.import_module("distributed")
    except ImportError as error:
        raise UsageError(
            f"a farm needs dask.distributed, which is not installed ({error}): pip install 'hwnas[farm]'"
        ) from None
    if not known:
        dask.config.set(_CALM)
        # What breaks is told by us, once and in one line.
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        logging.getLogger("tornado").setLevel(logging.CRITICAL)
    return package


def versions() -> dict[str, str]:
    """Return what has to be the same for all who join a farm: hwnas, its orders, its protocol, Python and Dask."""
    from hwnas.harness.measurement import protocol

    return {
        "hwnas": version("hwnas"),
        "orders": str(VERSION),
        "protocol": str(protocol.VERSION),
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "distributed": version("distributed"),
    }


def differences(ours: dict[str, str], theirs: dict[str, str]) -> str:
    """Return what differs, in words; empty where nothing does."""
    names = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
    return ", ".join(f"{name} {ours.get(name, 'none')} here, {theirs.get(name, 'none')} there" for name in names)
