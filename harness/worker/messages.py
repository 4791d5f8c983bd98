"""The messages between the program and its worker process, as dataclasses that both sides use.

The program sends an ``Order`` first, then ``Networks`` for each batch. All other messages come from the worker, which
waits for an ``Acknowledgement`` after each, so that the program does nothing while the worker times.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from hwnas.harness.host.threads import ThreadCheck
from hwnas.harness.measurement.convergence import Rules
from hwnas.harness.validation import Message, Refusal
from hwnas.harness.worker.noise import Noise
from hwnas.harness.worker.timed import Tick

# --- the program's --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Order(Message):
    """The first message to a worker: what it is to measure, and how.

    Attributes:
        supernet: the super-network's name.
        backend: the backend's name.
        settings: ``hwnas.backends.backend.Settings`` as a record.
        anchors: vectors, from fast to slow; the worker numbers them -1, -2, ...
        protocol: a ``ProtocolChoice`` as a record.
        check: compare every network's outputs with the torch module's.
        cores: the CPUs to run on.
        marker: the address of a file (``hwnas.harness.host.child.SharedFile``), into which the worker writes the number
            of the current network.
    """

    supernet: str
    backend: str
    settings: dict[str, Any]
    anchors: list[list[int]]
    protocol: dict[str, Any]
    check: bool
    cores: list[int]
    marker: int | str


@dataclass(frozen=True)
class Networks(Message):
    """A batch to measure; without networks, the anchors alone.

    Attributes:
        networks: their vectors, with the numbers that later messages call them by, from 0.
        seed: of the order of the rounds.
    """

    networks: list[tuple[int, list[int]]]
    seed: int


@dataclass(frozen=True)
class Acknowledgement(Message):
    """The program has handled the worker's message."""


# --- the worker's ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ready(Message):
    """The worker can measure: the anchors are prepared, and the protocol is chosen.

    Attributes:
        protocol: that it follows, as a record.
        noise: of the host.
        threads: whether as many threads run as were asked for; ``None``: it does not apply.
        pid: the worker's process id.
    """

    protocol: dict[str, Any]
    noise: Noise
    threads: ThreadCheck | None
    pid: int
    say: Literal["ready"] = "ready"


@dataclass(frozen=True)
class PreparationFacts(Message):
    """Times, memory and settings of a network's preparation.

    Attributes:
        prepare_s: export and compilation.
        first_inference_s: the first inference.
        memory_bytes: growth of the process's resident memory from before preparing to after the first inference.
        stages: the stages' names.
        read_back: the settings that each stage's session reports.
        error: the largest relative difference from torch's outputs; ``None``: it was not compared.
    """

    prepare_s: float
    first_inference_s: float
    memory_bytes: int
    stages: list[str]
    read_back: list[dict[str, Any]]
    error: float | None = None


@dataclass(frozen=True)
class Prepared(Message):
    """A network was prepared.

    Attributes:
        number: the network's.
        again: it had been prepared before.
        preparation: facts of this preparation.
    """

    number: int
    again: bool
    preparation: PreparationFacts
    say: Literal["prepared"] = "prepared"


@dataclass(frozen=True)
class Failed(Message):
    """A network could not be prepared.

    Attributes:
        number: the network's.
        reason: why.
    """

    number: int
    reason: str
    say: Literal["failed"] = "failed"


@dataclass(frozen=True)
class MemoryFacts(Message):
    """What memory has allowed where it was short.

    Attributes:
        limit: that was the tightest ("the control group's memory").
        left_bytes: what was left of it before any network of the batch was prepared.
        limit_bytes: the limit.
        networks: how many were prepared side by side,
        of_networks: of how many.
        sessions: how often each was prepared at most,
        of_sessions: and how often the protocol says.
    """

    limit: str
    left_bytes: int
    limit_bytes: int
    networks: int
    of_networks: int
    sessions: int
    of_sessions: int


@dataclass(frozen=True)
class BatchFacts(Message):
    """Facts of a batch that are needed to interpret its networks' samples.

    Attributes:
        rounds: how many rounds there were.
        tau_halves: Kendall's tau between the two halves of the samples; nan before there are any.
        overhead_s: the loop's own time per sample.
        seconds: the batch's time.
        huge_pages: the share of memory in huge pages; ``None``: the system does not say.
        own_memory: each session has a memory stretch of its own.
        own_memory_reason: why it has not; ``None`` if it has, or if that was not asked for.
        networks: how many were measured side by side, beside the anchors; ``None``: not known.
        memory: what memory has allowed; ``None``: it was not short.
    """

    rounds: int
    tau_halves: float
    overhead_s: float
    seconds: float
    huge_pages: float | None
    own_memory: bool
    own_memory_reason: str | None = None
    networks: int | None = None
    memory: MemoryFacts | None = None

    def to_record(self) -> dict[str, Any]:
        """Return the facts as they are stored; what is ``None`` of the last three is left out."""
        record = asdict(self)
        for name in ("own_memory_reason", "networks", "memory"):
            if record[name] is None:
                del record[name]
        return record


@dataclass(frozen=True)
class Measured(Message):
    """The samples of a network, at the end of its batch or before.

    Attributes:
        number: the network's.
        samples: ``hwnas.harness.measurement.samples.Samples`` as a record.
        spent_s: time spent on it, warm-up and dropped runs included.
        warmup_runs: how many runs the warm-up took.
        failure: why it could not be run, or ``None``.
        rules: the stopping rules that it meets.
        batch: facts of its batch.
        read_back: the settings that each stage's session reports after the work.
        sessions: how often it was prepared.
        pace: ``hwnas.harness.measurement.pace.Pace`` as a record; ``None``: the batch does not show it.
        interim: its batch goes on.
        converged: its value will not change any more: it has converged, or its batch has ended.
    """

    number: int
    samples: dict[str, Any]
    spent_s: float
    warmup_runs: int
    failure: str | None
    rules: Rules
    batch: BatchFacts
    read_back: list[dict[str, Any]]
    sessions: int
    pace: dict[str, Any] | None = None
    interim: bool = False
    converged: bool = True
    say: Literal["measured"] = "measured"


@dataclass(frozen=True)
class Progressed(Message):
    """A sign of life while networks are timed.

    Attributes:
        tick: of the timing loop.
    """

    tick: Tick
    say: Literal["progressed"] = "progressed"


@dataclass(frozen=True)
class Done(Message):
    """All networks of the batch are timed, or have failed."""

    say: Literal["done"] = "done"


Said = Refusal | Ready | Prepared | Failed | Measured | Progressed | Done
# ``say`` says which one a message is.
SAID: Any = Annotated[Said, Field(discriminator="say")]
