"""Run Dask's scheduler, listening on loopback, or on other addresses with TLS only."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from hwnas.harness.farm.engine import NO_PAGES, distributed
from hwnas.harness.farm.security import Tls, checked
from hwnas.harness.host.child import joined

# When a worker dies, Dask blames the jobs that waited there as much as the one that ran. So Dask never gives up a job:
# the client does, which knows what ran.
_ALLOWED_FAILURES = 10


async def serve(address: str, tls: Tls, ready: Callable[[str], None]) -> None:
    """Run a scheduler until the program is interrupted.

    Args:
        address: tcp://127.0.0.1:PORT, or tls://HOST:PORT; port 0: any that is free.
        tls: the files of TLS.
        ready: called with the address as soon as it listens.
    """
    package: Any = distributed()
    parts = urlsplit(address)
    # Dask leaves a folder behind among the temporary files.
    with tempfile.TemporaryDirectory(prefix="hwnas-") as folder:
        scheduler = package.Scheduler(
            protocol=f"{parts.scheme}://",
            host=parts.hostname,
            port=parts.port or 0,
            security=tls.security(),
            dashboard=False,
            dashboard_address=NO_PAGES,
            allowed_failures=_ALLOWED_FAILURES,
            local_directory=folder,
        )
        scheduler.add_plugin(_forgetful(package, scheduler))
        async with scheduler:
            ready(str(scheduler.address))
            await asyncio.Event().wait()


def _forgetful(package: Any, scheduler: Any) -> Any:
    """Return a plug-in that drops each event as soon as it has been delivered.

    Dask stores the last thousand events of every topic, and hwnas's events hold raw samples.
    """

    class Forgetful(package.SchedulerPlugin):  # type: ignore[misc]
        def log_event(self, topic: str, _: Any) -> None:
            scheduler._broker.truncate(topic)  # noqa: SLF001 - the one way to have it forgotten

    return Forgetful()


def listening(host: str, port: int, tls: Tls) -> str:
    """Return the address to listen on; raises ``UsageError`` if other machines could reach it without TLS."""
    scheme = "tls" if tls.on else "tcp"
    # Port 0 is invalid for connecting, and means any free port for listening.
    spelled = checked(f"{scheme}://{host}:{port or 1}", tls)
    return spelled if port else spelled.rpartition(":")[0] + ":0"


def main() -> int:
    """Listen on loopback, print the address to standard output, and end when the parent does.

    The files of TLS, or their contents, are the first line of standard input: others can read a command line.
    """
    arguments = joined()
    port = int(arguments[0])
    tls = Tls(**json.loads(sys.stdin.buffer.readline()))

    def ready(address: str) -> None:
        sys.stdout.write(address + "\n")
        sys.stdout.flush()

    asyncio.run(serve(listening("127.0.0.1", port, tls), tls, ready))
    return 0


if __name__ == "__main__":
    sys.exit(main())
