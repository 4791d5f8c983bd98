"""The main program of a farm's worker, which offers this machine's platforms to a scheduler.

``hwnas.harness.farm.supervisor`` starts ``python -m hwnas.harness.farm.worker``, passes a ``JoinOrder`` to its standard
input, and restarts it. The process ends when the scheduler or its parent is gone.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from hwnas.harness.farm.engine import NO_PAGES, differences, distributed, versions
from hwnas.harness.farm.offer import Offer, offer_here
from hwnas.harness.farm.security import Tls, checked, loopback
from hwnas.harness.farm.service import WorkerService
from hwnas.harness.host.child import joined
from hwnas.harness.host.variables import set_aside
from hwnas.supernets.errors import HwnasError, PlatformError, UsageError

# The exit code of a worker that was refused; it is not restarted.
REFUSED = 2
# The key of the versions of the first worker that joined; all others must have the same.
CHARTER = "hwnas-versions"
# Seconds between two heartbeats, at rest and while it measures.
_HEARTBEAT_S, _CALM_S = 1.0, 5.0
_RELEASE_S = 10.0


async def join(order: Mapping[str, Any]) -> None:
    """Offer this machine's platforms to a scheduler until it is gone.

    Args:
        order: ``scheduler``, ``tls`` and what ``offer_here`` takes.

    Raises:
        UsageError: this worker's versions or devices conflict with those that joined before, or the address is wrong.
        PlatformError: a platform does not work here.
    """
    package = distributed()
    tls = Tls(**order["tls"])
    address = checked(order["scheduler"], tls)
    offer = offer_here(
        order["platforms"],
        name=order["name"],
        unit=order["unit"],
        accuracy=order["accuracy"],
        measure=order["measure"],
    )
    security = tls.security()
    await _admitted(address, security, offer)
    service = WorkerService(offer)
    here = loopback(urlsplit(address).hostname or "")
    worker = _class(package)(
        address,
        service=service,
        name=f"{offer.name}:{os.getpid()}",
        nthreads=len(offer.devices) + offer.accuracy + 1,  # one for short tasks, such as parsing a platform
        resources=offer.resources(),
        security=security,
        host="127.0.0.1" if here else None,
        dashboard=False,
        dashboard_address=NO_PAGES,
        memory_limit=0,
        startup_information={"offer": lambda _: offer.to_record()},
        metrics={"hwnas": lambda _: service.facts()},
    )
    async with worker:
        stop = asyncio.get_running_loop().create_task(_released(service))
        signalled = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, signalled.set)
        ended = asyncio.ensure_future(worker.finished())
        await asyncio.wait({ended, asyncio.ensure_future(signalled.wait())}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
    service.release(idle_s=0.0)


async def _released(service: WorkerService) -> None:
    while True:
        await asyncio.sleep(_RELEASE_S)
        await asyncio.to_thread(service.release)


async def _admitted(address: str, security: Any, offer: Offer) -> None:
    """Compare this worker with those that joined before; raises ``UsageError`` that says what conflicts."""
    package = distributed()
    async with package.rpc(address, connection_args=security.get_connection_args("worker")) as scheduler:
        charter = await scheduler.get_metadata(keys=[CHARTER], default=None)
        if charter is None:
            await scheduler.set_metadata(keys=[CHARTER], value=versions())
        else:
            other = differences(versions(), charter)
            if other:
                raise UsageError(
                    f"scheduler {address}: this worker does not go together with those that joined before: {other}; "
                    "install the same versions, or restart the scheduler when all are updated"
                )
        known = (await scheduler.identity(n_workers=-1))["workers"]
    for facts in known.values():
        if "offer" not in facts:
            continue
        there = Offer.from_record(facts["offer"])
        shared = sorted(set(there.devices) & set(offer.devices))
        if there.host == offer.host and there.unit == offer.unit and shared:
            raise UsageError(
                f"worker {there.name} offers {shared[0]} of this machine already: two measurements would run on it at "
                "once; where there are several equal ones, give each worker its own --unit"
            )


def _class(package: Any) -> Any:
    class MeasuringWorker(package.Worker):  # type: ignore[misc]
        """A Dask worker with a ``WorkerService``; it sends fewer heartbeats while it measures."""

        def __init__(self, *args: Any, service: WorkerService, **settings: Any) -> None:
            self.service = service
            super().__init__(*args, **settings)

        async def heartbeat(self) -> None:
            await super().heartbeat()
            seconds = _CALM_S if self.service.busy else _HEARTBEAT_S
            self.periodic_callbacks["heartbeat"].callback_time = 1e3 * seconds

    return MeasuringWorker


def main() -> int:
    """Join a farm as the first line of standard input says."""
    joined()
    set_aside(os.environ)
    order = json.loads(sys.stdin.buffer.readline())
    try:
        asyncio.run(join(order))
    except (UsageError, PlatformError) as error:
        sys.stderr.write(f"{error}\n")
        return REFUSED
    except (HwnasError, OSError, ValueError) as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
