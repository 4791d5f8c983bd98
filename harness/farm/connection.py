"""Find the platforms that a user names, on this machine or in the farm that the options name."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hwnas.harness.farm.security import Tls
from hwnas.harness.platform import Platform, parse
from hwnas.supernets.errors import UsageError

if TYPE_CHECKING:
    from hwnas.harness.farm.cluster import Cluster


@dataclass(frozen=True)
class FarmOptions:
    """The user's options for a farm.

    Attributes:
        scheduler: its address, or ``None``.
        local_cluster: how many workers to start on this machine, or ``None``.
        tls: the files of TLS.
    """

    scheduler: str | None = None
    local_cluster: int | None = None
    tls: Tls = field(default_factory=Tls)

    def __post_init__(self) -> None:
        if self.scheduler is not None and self.local_cluster is not None:
            raise UsageError("expected --scheduler or --local-cluster, got both")


# Workers that have lost their scheduler, or died, are back within seconds.
_SOMEBODY_S = 30.0


@contextmanager
def platforms_of(options: FarmOptions, texts: Sequence[str]) -> Iterator[list[Platform]]:
    """Yield the platforms that strings and names stand for; Dask is imported only if there is a farm.

    Raises:
        PlatformError: neither this machine nor a worker can honour one of them.
        UsageError: there is no such farm.
    """
    if options.scheduler is None and options.local_cluster is None:
        yield [parse(text) for text in texts]
        return
    from hwnas.harness.farm.cluster import Cluster
    from hwnas.harness.farm.local import local_cluster
    from hwnas.harness.farm.platforms import find

    if options.local_cluster is not None:
        # Parsed here first, so that misspellings are reported before anything is started.
        running = [text for text in texts if parse(text).runs]
        with local_cluster(options.local_cluster, running) as cluster:
            yield [find(text, cluster) for text in texts]
        return
    cluster = Cluster(str(options.scheduler), options.tls)
    try:
        _wait_for_somebody(cluster)
        yield [find(text, cluster) for text in texts]
    finally:
        cluster.close()


def _wait_for_somebody(cluster: Cluster) -> None:
    deadline = time.monotonic() + _SOMEBODY_S
    while not cluster.workers():
        if time.monotonic() > deadline:
            raise UsageError(
                f"scheduler {cluster.address}: no worker has joined within {_SOMEBODY_S:g} s: "
                f"'hwnas worker --scheduler {cluster.address}' on the machine that measures"
            )
        time.sleep(0.2)
