"""Start a scheduler and N workers on this machine for the time of one command (``--local-cluster N``)."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from hwnas.harness.farm.cluster import Cluster
from hwnas.harness.farm.security import Tls
from hwnas.harness.farm.supervisor import JoinedWorker, JoinOrder
from hwnas.harness.host.child import Child
from hwnas.supernets.errors import UsageError, WorkError

_UP_S = 60.0


@contextmanager
def scheduler(tls: Tls, port: int = 0) -> Iterator[str]:
    """Run a scheduler that only this machine reaches; yield its address."""
    child = Child("hwnas.harness.farm.scheduler", [str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        if child.process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                child.process.stdin.write(json.dumps(vars(tls)).encode() + b"\n")
                child.process.stdin.flush()
        line = child.process.stdout.readline().decode().strip() if child.process.stdout is not None else ""
        if not line:
            raise WorkError("the scheduler of the local cluster does not start")
        yield line
    finally:
        child.close()


@contextmanager
def local_cluster(n: int, platforms: Sequence[str] = ()) -> Iterator[Cluster]:
    """Run a scheduler and ``n`` workers on this machine; yield a connection when all have joined.

    The first worker has this machine's devices, since two measurements at once would disturb each other; the others
    evaluate sub-networks for their quality. Connections need a certificate that is made here, so that other users of
    this machine are refused.

    Raises:
        UsageError: a worker was refused; says why.
        WorkError: a worker does not start.
    """
    if n < 1:
        raise UsageError(f"local cluster: expected at least 1 worker, got {n}")
    with ExitStack() as opened:
        tls = Tls.temporary()
        address = opened.enter_context(scheduler(tls))
        workers = [
            opened.enter_context(
                JoinedWorker(
                    JoinOrder(
                        address,
                        tls,
                        platforms=tuple(platforms) if number == 0 else (),
                        name=None if number == 0 else f"local-{number}",
                        accuracy=int(number > 0 or n == 1),
                        measure=number == 0,
                    )
                )
            )
            for number in range(n)
        ]
        cluster = Cluster(address, tls)
        opened.callback(cluster.close)
        wait_for(cluster, workers)
        yield cluster


def wait_for(cluster: Cluster, workers: Sequence[JoinedWorker], within_s: float = _UP_S) -> None:
    """Wait until all workers have joined; raises the error of one that cannot."""
    deadline = time.monotonic() + within_s
    while len(cluster.workers()) < len(workers):
        ended = next((worker for worker in workers if worker.process.poll() is not None), None)
        if ended is not None:
            raise UsageError(f"a worker of the local cluster ended: {ended.words()}")
        if time.monotonic() > deadline:
            raise WorkError(f"the workers of the local cluster do not come up within {within_s:g} s")
        time.sleep(0.05)
