"""What a farm's clients and workers say to each other: JSON texts of dataclasses that both sides use.

A job is a description, which many jobs share and a worker gets once, and an order of its own. Its answer is one of
``ANSWER``. None of it is run where it is read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field

from hwnas.harness.validation import Count, Message, read, validating
from hwnas.supernets import errors
from hwnas.supernets.errors import HwnasError

M = TypeVar("M", bound=Message)


# --- from a client ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MeasureDescription(Message):
    """On what, and how, to measure.

    Attributes:
        version: of the form of orders and answers.
        supernet: its name.
        platform: as the worker reads it.
        device: of the platform.
        fingerprint: of the environment that the search is of.
        anchors: vectors, from fast to slow.
        protocol: as a record; ``None``: the profile that a short calibration chooses.
        check: compare every network's outputs with the torch module's.
        silence_s: a measuring process that says nothing for this long has hung.
        contents: digests of what the files hold that options of the platform name; ``None``: they are not compared.
    """

    version: int
    supernet: str
    platform: str
    device: str
    fingerprint: str
    anchors: list[list[int]]
    protocol: dict[str, Any] | None
    check: bool
    silence_s: float
    contents: dict[str, str] | None = None


@dataclass(frozen=True)
class MeasureOrder(Message):
    """What to measure.

    Attributes:
        networks: key, vector and digest of the graph of each.
        anchors: measure the anchors where there are no networks; otherwise only be ready.
        seed: of the order of the rounds.
    """

    networks: list[tuple[str, list[int], str]]
    anchors: bool
    seed: Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class EvaluateDescription(Message):
    """How to run sub-networks for their quality.

    Attributes:
        version: of the form of orders and answers.
        supernet: its name.
        quality: the source, as the worker makes it.
        weights: the client's name of the file of weights.
        content: its SHA-256.
        subset: of the data, as ``hwnas.harness.quality.QualityOptions`` has it.
        workers: likewise.
        source: what the client evaluates with.
        beside: what lies beside the weights, and does not travel with them.
    """

    version: int
    supernet: str
    quality: str
    weights: str
    content: str
    subset: int | None
    workers: int
    source: str
    beside: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class EvaluateOrder(Message):
    """Which sub-network to run.

    Attributes:
        vector: of it.
    """

    vector: list[int]


# --- a worker's answers ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MeasureAnswer(Message):
    """What was measured.

    Attributes:
        measurements: ``hwnas.harness.measurement.measurement.Measurement`` as records.
        anchors: the anchors' keys and latencies, seconds.
        protocol: that was followed, as a record.
        environment: of the worker.
        fingerprint: of the environment.
        worker: its name.
    """

    measurements: list[dict[str, Any]]
    anchors: dict[str, float]
    protocol: dict[str, Any]
    environment: dict[str, Any]
    fingerprint: str
    worker: str
    say: Literal["measured"] = "measured"


@dataclass(frozen=True)
class EvaluateAnswer(Message):
    """What a sub-network reached.

    Attributes:
        score: ``hwnas.harness.quality.evaluated.Score`` as a record.
    """

    score: dict[str, Any]
    say: Literal["evaluated"] = "evaluated"


@dataclass(frozen=True)
class SettingsRead(Message):
    """``hwnas.backends.backend.Settings``, as a worker reads them."""

    device: str
    threads: Count
    batch: Count
    precision: str
    options: dict[str, str]
    contents: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PlatformRead(Message):
    """A platform as a worker reads it.

    Attributes:
        backend: its name.
        settings: of the platform.
        fingerprint: of the worker's environment.
        environment: the same in full.
    """

    backend: str
    settings: SettingsRead
    fingerprint: str
    environment: dict[str, Any]
    say: Literal["platform"] = "platform"


@dataclass(frozen=True)
class DescriptionUnknown(Message):
    """The worker does not know the description; it has to go along."""

    say: Literal["description unknown"] = "description unknown"


@dataclass(frozen=True)
class WeightsLacking(Message):
    """The worker has no file of the weights' content; it has to go along."""

    say: Literal["weights lacking"] = "weights lacking"


@dataclass(frozen=True)
class Refusal(Message):
    """The worker cannot do it.

    Attributes:
        error: the class of ``hwnas.supernets.errors`` that says why.
        message: its message.
    """

    error: str
    message: str
    say: Literal["refused"] = "refused"

    def raised(self) -> HwnasError:
        """Return the error that it stands for."""
        said = self.message.strip()
        return errors.again(self.error, said or f"a worker refused, and does not say why ({self.error})")


@dataclass(frozen=True)
class Died:
    """Not said by any worker: those that were at a job died, or could not answer.

    Attributes:
        reason: in words.
    """

    reason: str


Answer = MeasureAnswer | EvaluateAnswer | PlatformRead | DescriptionUnknown | WeightsLacking | Refusal
_ANSWER: Any = Annotated[Answer, Field(discriminator="say")]


# --- what a worker says before it answers, and in between ------------------------------------------------------------


@dataclass(frozen=True)
class InterimValue(Message):
    """What is known of a network before its order is done.

    Attributes:
        number: of the order, with the client.
        measurement: as a record.
    """

    number: Count
    measurement: dict[str, Any]


@dataclass(frozen=True)
class OrderUnderWay(Message):
    """An order that a worker is at.

    Attributes:
        device: it measures on.
        platform: as it reads it.
        supernet: the super-network's name.
        networks: how many.
        since: seconds since the epoch.
        message: what it is at, in words.
    """

    device: str
    platform: str
    supernet: str
    networks: Count
    since: float
    message: str = ""


@dataclass(frozen=True)
class AtWork(Message):
    """What a worker is at; its heartbeats carry it to the scheduler.

    Attributes:
        current: orders under way.
        done: networks measured.
        error: what went wrong last, empty where nothing did.
    """

    current: list[OrderUnderWay] = field(default_factory=list)
    done: Count = 0
    error: str = ""


# --- reading ---------------------------------------------------------------------------------------------------------


def read_answer(text: Any) -> Answer:
    """Read a worker's answer; raises ``MeasurementError`` where it is none."""
    with validating("a worker's answer"):
        answer: Answer = read(_ANSWER, _text(text))
    return answer


def read_message(expected: type[M], text: Any, whose: str) -> M:
    """Read a message of one class; raises ``MeasurementError``, which begins with ``whose``, where it is none."""
    with validating(whose):
        message: M = read(expected, _text(text))
    return message


def read_record(expected: type[M], record: Mapping[str, Any], whose: str) -> M:
    """Read a message that came as JSON values; raises ``MeasurementError``, which begins with ``whose``."""
    with validating(whose):
        message: M = read(expected, json.dumps(record))
    return message


def _text(text: Any) -> str:
    if not isinstance(text, str):  # a pickled object, say, of somebody who is no worker of ours
        raise TypeError(f"expected a text, got {text!r:.40}")
    return text
