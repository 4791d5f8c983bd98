"""Import and configure Dask: late, and without its periodic work, which would disturb timings on the same machine."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
from importlib.metadata import version
from typing import Any

from hwnas.supernets.errors import UsageError

# 1: first form of the orders and answers. 2: weights go along where a worker lacks them. 3: they say which they
# are, and have no other fields than both sides know. 4: an order says how much effort a measurement is worth.
VERSION = 4

# Dask always starts a web server; it is bound to an address that only this machine reaches.
NO_PAGES = "127.0.0.1:0"

_CALM: dict[str, Any] = {
    # Dask samples every thread's stack ten times a second and ticks fifty times, which is for debugging only.
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.tick.limit": "1h",
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.admin.system-monitor.gil.enabled": False,
    "distributed.diagnostics.nvml": False,
    # A worker must not be paused or killed for the memory that it uses.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
    # A machine that cannot be reached is given up after a minute, a closed connection sooner.
    "distributed.scheduler.worker-ttl": "60s",
    "distributed.comm.timeouts.tcp": "20s",
    "distributed.comm.timeouts.connect": "10s",
    "distributed.scheduler.work-stealing": True,
    # No web pages: ``hwnas farm status`` shows the farm's state, over the same encrypted connections as all else.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
}


def check_installed() -> None:
    """Look for the package without importing it, which takes a second.

    Raises:
        UsageError: it is not installed; names the command.
    """
    for name in ("dask", "distributed"):
        if importlib.util.find_spec(name) is None:
            raise _missing(f"No module named {name!r}")


def _missing(why: str) -> UsageError:
    return UsageError(f"a farm needs dask.distributed, which is not installed ({why}): pip install 'hwnas[farm]'")


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
        raise _missing(f"{error}") from None
    if not known:
        dask.config.set(_CALM)
        # hwnas reports errors itself, once and in one line.
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        logging.getLogger("tornado").setLevel(logging.CRITICAL)
    return package


def versions() -> dict[str, str]:
    """Return the versions that must be the same in a whole farm: hwnas, its orders and protocol, Python and Dask."""
    from hwnas.harness.measurement import protocol

    return {
        "hwnas": version("hwnas"),
        "orders": str(VERSION),
        "protocol": str(protocol.VERSION),
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "distributed": version("distributed"),
    }


def differences(ours: dict[str, str], theirs: dict[str, str]) -> str:
    """Return a text that says which versions differ; "" if none do."""
    names = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
    return ", ".join(f"{name} {ours.get(name, 'none')} here, {theirs.get(name, 'none')} there" for name in names)
