"""The scheduler's process: Dask's own, listening where it may."""

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

# A job that waits on a worker that dies counts as often as the one that killed it. The client, who knows which was
# under way, decides when it has had enough.
_ALLOWED_FAILURES = 10


async def serve(address: str, tls: Tls, ready: Callable[[str], None]) -> None:
    """Run a scheduler until the program is interrupted.

    Args:
        address: tcp://127.0.0.1:PORT, or tls://HOST:PORT; port 0: any that is free.
        tls: the files of TLS.
        ready: told the address when it listens.
    """
    package: Any = distributed()
    parts = urlsplit(address)
    # Dask leaves a folder of its own in the one for temporary files.
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
    """Return a plug-in that forgets each event when it is handed on.

    Dask keeps the last thousand of every topic as long as the scheduler lives, and ours hold samples.
    """

    class Forgetful(package.SchedulerPlugin):  # type: ignore[misc]
        def log_event(self, topic: str, _: Any) -> None:
            scheduler._broker.truncate(topic)  # noqa: SLF001 - the one way to have it forgotten

    return Forgetful()


def listening(host: str, port: int, tls: Tls) -> str:
    """Return the address to listen on; raises ``UsageError`` where it would be open to others without TLS."""
    scheme = "tls" if tls.on else "tcp"
    # Port 0 is none to connect to, but one to listen on.
    spelled = checked(f"{scheme}://{host}:{port or 1}", tls)
    return spelled if port else spelled.rpartition(":")[0] + ":0"


def main() -> int:
    """Listen on loopback; say the address on standard output, and end when the parent does.

    The first line of standard input is the files of TLS, or what is in them: a command line can be read by others.
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
