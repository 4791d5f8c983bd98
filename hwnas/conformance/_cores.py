"""Count from outside how many threads of a process do the work of a backend."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from hwnas.backends import RunningBackend, Settings
from hwnas.conformance.check import NotMetError, expect

# What runs in the watched process: a sub-network, as often as each line of standard input says.
_BURST = """
import json, sys
from hwnas import backends
from hwnas.backends import Settings
from hwnas.conformance import _networks
stage = _networks.mobile("ofa-mbv3-w1.0", 0, 4)
session = backends.get(sys.argv[1]).prepare(stage, Settings(**json.loads(sys.argv[2])))
for _ in range(2):
    session.run()
print(json.dumps(session.describe()), flush=True)
for line in sys.stdin:
    for _ in range(int(line)):
        session.run()
    print("done", flush=True)
"""
# A thread that does less than this share of a burst's work takes no part in it.
_SHARE = 0.1
_BURSTS, _RUNS = 6, 12


def cores_at_work(backend: RunningBackend, settings: Callable[..., Settings]) -> None:
    """Raise ``NotMetError`` where more or fewer threads do the work than the settings say, with one and with two."""
    for threads in (1, 2):
        if threads > _cpus():  # two that share one cannot be told from one
            continue
        asked = settings(threads=threads, batch=4)
        described, worked = _seen(backend, asked)
        said = described.get("threads")
        expect(said == threads, f"describe() says threads={said} in a session of threads={threads}")
        expect(worked == threads, f"with threads={threads}, {worked} threads do the work")


def _seen(backend: RunningBackend, settings: Settings) -> tuple[dict[str, Any], int]:
    import psutil

    environment = {**os.environ, **backend.environment(settings), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", _BURST, backend.name, json.dumps(settings.to_record())]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, env=environment, text=True) as process:  # type: ignore[call-overload]  # noqa: S603
        first = process.stdout.readline()
        if not first:
            raise NotMetError("it fails in a process of its own; its traceback is above")
        worked = _workers(psutil.Process(process.pid), process, settings.threads)
        process.stdin.close()
        process.stdout.read()
    return json.loads(first), worked


def _workers(watched: Any, process: Any, threads: int) -> int:
    """Return how many threads did a share of the work in a burst.

    A second thread that found its core taken by another program has little to show: then the burst is repeated. One
    thread too many is not excused by anything.
    """
    worked = 0
    for _ in range(_BURSTS):
        before = {thread.id: thread.user_time + thread.system_time for thread in watched.threads()}
        process.stdin.write(f"{_RUNS}\n")
        process.stdin.flush()
        if process.stdout.readline() != "done\n":
            raise NotMetError("it fails while it runs in a process of its own; its traceback is above")
        after = {thread.id: thread.user_time + thread.system_time for thread in watched.threads()}
        spent = [seconds - before.get(number, 0) for number, seconds in after.items()]
        worked = sum(each > _SHARE * sum(spent) for each in spent)
        if worked >= threads:
            break
    return worked


def _cpus() -> int:
    import psutil

    process = psutil.Process()
    return len(process.cpu_affinity()) if hasattr(process, "cpu_affinity") else psutil.cpu_count() or 1
