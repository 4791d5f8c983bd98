"""A farm on loopback: a scheduler, and workers that are started again when they die, as users run them."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from hwnas.harness.farm.cluster import Cluster
from hwnas.harness.host.child import python_path


class Fleet:
    """Everything that it starts, it ends, each by its own process id."""

    def __init__(self, folder, port=0, tls=()):
        self.folder, self.tls = Path(folder), list(tls)
        self.port = port
        self.workers = []
        self.start_scheduler()

    def start_scheduler(self):
        self.scheduler = self.run("farm", "scheduler", "--port", self.port, *self.tls)
        line = next(line for line in self.scheduler.stderr if line.startswith("listening on "))
        self.address = line.split()[2].rstrip(";")
        self.port = int(self.address.rpartition(":")[2])

    def restart_scheduler(self):
        """Let the scheduler die at once, and start another at its address."""
        self.scheduler.kill()
        self.scheduler.communicate()
        self.start_scheduler()

    def add(self, *options, platform="scripted-device", environment=None):
        given = ["-p", platform] if platform else []
        worker = self.run(
            "worker", "--scheduler", self.address, *given, *self.tls, *options, environment=environment or {}
        )
        self.workers.append(worker)
        return worker

    def run(self, *arguments, environment=None):
        return subprocess.Popen(
            [sys.executable, "-m", "hwnas", *map(str, arguments)],
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "PYTHONPATH": python_path(),
                "COLUMNS": "1000",
                **{name: str(value) for name, value in (environment or {}).items()},
            },
            preexec_fn=end_with_parent,  # noqa: PLW1509 - it calls nothing that another thread could hold
        )

    def ready(self, n, cluster=None, within_s=60):
        """Wait until ``n`` workers have joined."""
        mine = cluster or Cluster(self.address)
        end = time.monotonic() + within_s
        try:
            while len(mine.workers()) != n:
                if time.monotonic() > end:
                    said = [worker.stderr.read() for worker in self.workers if worker.poll() is not None]
                    raise AssertionError(f"{len(mine.workers())} of {n} workers are there: {said}")
                time.sleep(0.05)
        finally:
            if cluster is None:
                mine.close()

    def joined(self):
        """Return the process ids of the processes that join, which a supervisor starts again."""
        return [child.pid for worker in self.workers if worker.poll() is None for child in children(worker.pid)]

    def kill(self, pid):
        """Let a process die at once, unasked."""
        psutil.Process(pid).kill()

    def close(self):
        for process in [*self.workers, self.scheduler]:
            process.terminate()
        for process in [*self.workers, self.scheduler]:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stderr.close()
            process.stdout.close()


def end_with_parent():
    """Leave nothing behind where the tests are killed."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def children(pid):
    try:
        return psutil.Process(pid).children()
    except psutil.NoSuchProcess:
        return []
