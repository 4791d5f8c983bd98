"""Connect a client to a scheduler, reconnect when it is lost, and repeat jobs until they are answered.

If a worker ends, the scheduler gives its job to another one. If the scheduler ends, all jobs are lost with it; the
client sends them again as soon as it is back. The client holds only texts for them, a few hundred bytes each.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import queue
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hwnas.harness.farm import pickles, tasks
from hwnas.harness.farm.engine import differences, distributed, versions
from hwnas.harness.farm.messages import (
    Answer,
    DescriptionUnknown,
    Died,
    PlatformRead,
    WeightsLacking,
    read_answer,
)
from hwnas.harness.farm.offer import Offer
from hwnas.harness.farm.reports import read_event
from hwnas.harness.farm.security import Tls, checked
from hwnas.harness.farm.worker import CHARTER
from hwnas.harness.validation import Count, Refusal, read, validating
from hwnas.supernets.errors import MeasurementError, UsageError

# How long a search waits for a scheduler, or a worker of its platform, that is gone.
PATIENCE_S = 600.0
# How long a connection may take.
_CONNECT_S = 10.0
# How often the connection and the offers are checked while nothing arrives.
_LOOK_S = 1.0
# How long a worker may take to parse a platform.
_ANSWER_S = 60.0
# How long sending a file to the workers may take.
_CARRY_S = 600.0
# A job is given up when this many workers died while it was under way,
_ATTEMPTS = 3
# or when it came back this many times without an answer for other reasons.
_RETURNS = 20


@dataclass
class Job:
    """A job for a worker.

    Attributes:
        description: JSON that many jobs share; it is sent to a worker once, and then named by its digest.
        order: JSON of this job alone.
        resources: the resources of a worker that it takes.
        what: the resources in words, for messages.
        begun: how often a worker has begun it, since the scheduler was last lost.
        returned: how often it came back without an answer.
        described: send the description along, because the last worker did not have it.
        file: a file that it needs and a worker may not have.
        carries: send the file along, because the last worker did not have it.
        task: the function that does it.
        on_interim: called with the record of each interim measurement.
        future: Dask's future of it.
    """

    description: str
    order: str
    resources: Mapping[str, float]
    what: str = ""
    begun: int = 0
    returned: int = 0
    described: bool = False
    file: Path | None = None
    carries: bool = False
    task: Callable[..., str] = tasks.measure
    on_interim: Callable[[Mapping[str, Any]], None] = field(default=lambda _: None, repr=False)
    future: Any = field(default=None, repr=False)


class Cluster:
    """A connection to a scheduler.

    Args:
        address: of the scheduler.
        tls: the files of TLS.
        patience_s: how long to wait for a scheduler, or a worker, that is gone.

    Raises:
        UsageError: there is no scheduler, or its workers have other versions; says which.
    """

    def __init__(self, address: str, tls: Tls | None = None, patience_s: float = PATIENCE_S) -> None:
        self._tls = tls or Tls()
        self.address = checked(address, self._tls)
        self.patience_s = patience_s
        self._topic = f"hwnas-{uuid.uuid4().hex}"
        # A job's number with its future when that is done, or a worker's report with ``None``.
        self._arrived: queue.SimpleQueue[tuple[Any, Any]] = queue.SimpleQueue()
        self._jobs: dict[int, Job] = {}
        self._files: dict[Path, Any] = {}
        self._numbers = itertools.count()
        self._looked = time.monotonic()
        self._served = time.monotonic()
        self._client = self._connected(_CONNECT_S)

    def another(self) -> Cluster:
        """Return a second connection to the same scheduler."""
        return Cluster(self.address, self._tls, self.patience_s)

    def close(self) -> None:
        """Give up the jobs under way and disconnect."""
        for number in list(self._jobs):
            self.forget(number)
        with contextlib.suppress(Exception):
            self._client.close(timeout=5)

    def offers(self) -> list[Offer]:
        """Return the offers of the connected workers."""
        return [Offer.from_record(facts["offer"]) for facts in self.workers().values()]

    def workers(self) -> dict[str, Any]:
        """Return the scheduler's information on hwnas's workers, by address."""
        try:
            known = self._client.sync(self._client.scheduler.identity, n_workers=-1)["workers"]
        except Exception:  # noqa: BLE001 - whatever a lost connection raises: it is looked after while we wait
            return {}
        return {address: facts for address, facts in known.items() if isinstance(facts, Mapping) and "offer" in facts}

    def parsed(self, text: str, resources: Mapping[str, float]) -> PlatformRead:
        """Let a worker that has ``resources`` parse a platform string; raises ``MeasurementError`` where none does."""
        try:
            said = self._client.submit(tasks.parsed, text, resources=dict(resources), pure=False).result(_ANSWER_S)
        except Exception as error:  # whatever a worker or a connection raises that is gone
            raise MeasurementError(
                f"platform {text!r}: no worker that offers it has said within {_ANSWER_S:g} s what it is "
                f"({type(error).__name__}); 'hwnas farm status' shows who is there"
            ) from error
        answer = read_answer(said)
        if isinstance(answer, Refusal):
            raise answer.raised()
        if not isinstance(answer, PlatformRead):
            raise MeasurementError(f"a worker's answer: expected a platform, got {type(answer).__name__}")
        return answer

    def queued(self) -> int:
        """Return how many networks wait in clients, according to their reports."""
        waiting = self._client.get_metadata(["hwnas-queue"], default={})
        with validating("what clients say of their queues"):
            return sum(read(Count, json.dumps(n)) for n in waiting.values() if n)

    def say_queued(self, name: str, n: int | None) -> None:
        """Report how many networks this client still has to send; ``hwnas farm status`` shows it."""
        with contextlib.suppress(Exception):
            self._client.set_metadata(["hwnas-queue", name], n)

    # --- jobs --------------------------------------------------------------------------------------------------------

    def send(self, job: Job) -> int:
        """Send a job and return its number."""
        number = next(self._numbers)
        self._jobs[number] = job
        self._submit(number, job)
        return number

    def forget(self, number: int) -> None:
        """Give up a job; a worker may still finish it, but its answer is ignored."""
        job = self._jobs.pop(number, None)
        if job is not None and job.future is not None:
            with contextlib.suppress(Exception):
                job.future.cancel()

    def next(self, timeout_s: float) -> tuple[int, Answer | Died] | None:
        """Return the number and the answer of a job that is done, or ``None`` after ``timeout_s``.

        Raises:
            HwnasError: a worker refused a job; with the worker's reason.
            MeasurementError: the scheduler, or every worker that could do it, has been gone for too long.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            left = max(0.0, deadline - time.monotonic())
            try:
                said, future = self._arrived.get(timeout=min(left, _LOOK_S))
            except queue.Empty:
                if not left:
                    return None
                self._look_after()
                continue
            number, record = read_event(said) if future is None else (said, None)
            job = self._jobs.get(number)
            if job is None or (future is not None and job.future is not future):
                continue
            self._served = time.monotonic()
            if record is not None:
                job.on_interim(record)
                continue
            answer = self._begun(number, job) if future is None else self._answer(number, job)
            if answer is not None:
                return number, answer

    def _begun(self, number: int, job: Job) -> Died | None:
        """Count how often a job was begun; give it up if too many workers died of it."""
        job.begun += 1
        if job.begun <= _ATTEMPTS:
            return None
        self.forget(number)
        return Died(f"each of the {_ATTEMPTS} workers that measured it died meanwhile")

    def _answer(self, number: int, job: Job) -> Answer | Died | None:
        """Return the worker's answer to a job; without one, send the job again and return ``None``."""
        status = job.future.status
        if status == "finished":
            try:
                said = job.future.result(timeout=60)
            except Exception:  # noqa: BLE001 - the worker is gone before it could hand over its result
                self._submit(number, job)
                return None
            answer = read_answer(said)
            if isinstance(answer, DescriptionUnknown):
                job.described = True
                self._submit(number, job)
                return None
            if isinstance(answer, WeightsLacking) and job.file is not None and not job.carries:
                job.carries = True
                self._submit(number, job)
                return None
            del self._jobs[number]
            return answer
        if status == "error":
            job.returned += 1
            if job.returned >= _RETURNS:
                del self._jobs[number]
                # What the worker says is not data, and so not read: what is, comes as an answer.
                return Died(f"it failed {_RETURNS} times on its workers, outside of what measures")
            self._submit(number, job)
        else:
            self._reconnect()
        return None

    def _submit(self, number: int, job: Job) -> None:
        client = self._client
        try:
            job.future = client.submit(
                job.task,
                hashlib.sha256(job.description.encode()).hexdigest(),
                job.order,
                job.description if job.described else "",
                self._topic,
                number,
                *([self._carried(job.file)] if job.carries and job.file else []),
                key=f"measure-{uuid.uuid4().hex}",
                resources=dict(job.resources),
                pure=False,
            )
        except UsageError:
            raise
        except Exception:  # noqa: BLE001 - a connection that is just being lost; looked after while we wait
            return
        job.future.add_done_callback(lambda future: self._arrived.put((number, future)))

    def _carried(self, file: Path) -> Any:
        """Return a future of a file's content, which is sent to one worker; the others get it from there."""
        known = self._files.get(file)
        # The worker that had it may have died before another got it.
        if known is None or known.status != "finished":
            evaluate = [address for address, facts in self.workers().items() if facts["offer"]["accuracy"]]
            try:
                content = file.read_bytes()
            except OSError as error:
                raise UsageError(f"{file}: a worker needs it, and it cannot be read ({error.strerror})") from error
            self._files[file] = self._client.scatter(content, workers=evaluate, timeout=_CARRY_S)
        return self._files[file]

    # --- the connection ----------------------------------------------------------------------------------------------

    def _look_after(self) -> None:
        """Reconnect if the connection is lost, and raise if no worker has been able to do a job for too long."""
        lost = any(job.future is None or job.future.status in {"cancelled", "lost"} for job in self._jobs.values())
        if lost or self._client.status != "running":
            self._reconnect()
        if time.monotonic() - self._looked < 5 * _LOOK_S:
            return
        self._looked = time.monotonic()
        offered = [offer.resources() for offer in self.offers()]
        lacking = [job for job in self._jobs.values() if not any(job.resources.keys() <= one.keys() for one in offered)]
        if not lacking:
            self._served = time.monotonic()
        elif time.monotonic() - self._served > self.patience_s:
            raise MeasurementError(
                f"no worker has offered {lacking[0].what} for {self.patience_s:g} s: it has ended, or comes back with "
                "another environment (hwnas farm status); what was measured is kept, resume when it is there"
            )

    def _reconnect(self) -> None:
        """Connect again and send every job again: a restarted scheduler has lost them."""
        # Dask's client would try by itself, but loses its topics.
        with contextlib.suppress(Exception):
            self._client.close(timeout=1)
        deadline = time.monotonic() + self.patience_s
        while time.monotonic() < deadline:
            try:
                self._client = self._connected(5.0)
            except UsageError:
                time.sleep(0.2)
                continue
            for number, job in self._jobs.items():
                job.begun, job.described = 0, False
                self._submit(number, job)
            return
        raise MeasurementError(
            f"the scheduler {self.address} has been gone for {self.patience_s:g} s; what was measured is kept"
        )

    def _connected(self, timeout_s: float) -> Any:
        package = distributed()
        pickles.read_only()
        try:
            client = package.Client(
                self.address, security=self._tls.security(), timeout=timeout_s, set_as_default=False, name="hwnas"
            )
        except (OSError, TimeoutError) as error:
            raise UsageError(
                f"scheduler {self.address}: nobody answers ({error}); start one by 'hwnas farm scheduler', "
                f"and workers by 'hwnas worker --scheduler {self.address}'"
            ) from None
        charter = client.get_metadata([CHARTER], default=None)
        other = "" if charter is None else differences(versions(), charter)
        if other:
            client.close()
            raise UsageError(f"scheduler {self.address}: its workers have other versions: {other}; install the same")
        self._files.clear()
        client.subscribe_topic(self._topic, lambda event: self._arrived.put((event[1], None)))
        return client
