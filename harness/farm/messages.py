"""The messages between a farm's clients and workers: JSON texts of dataclasses that both sides use.

A job has a description, which many jobs share and a worker gets once, and an order of its own. Its answer is one of
``ANSWER``. Messages are data: nothing in them is executed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field

from hwnas.harness.validation import Count, Message, Refusal, read, validating

M = TypeVar("M", bound=Message)


# --- from a client ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MeasureDescription(Message):
    """Where and how to measure; shared by many orders.

    Attributes:
        version: of the format of orders and answers.
        supernet: the super-network's name.
        platform: the platform string for the worker.
        device: of the platform.
        fingerprint: of the environment that the search measures in.
        anchors: vectors, from fast to slow.
        protocol: a ``ProtocolChoice`` as a record.
        check: compare every network's outputs with the torch module's.
        silence_s: a measuring process that says nothing for this long has hung.
        contents: digests of the files that options of the platform name; ``None``: they are not compared.
        wait_s: how long to wait for calm before a worker starts there; see ``hwnas.harness.bench.local.LocalBench``.
    """

    version: int
    supernet: str
    platform: str
    device: str
    fingerprint: str
    anchors: list[list[int]]
    protocol: dict[str, Any]
    check: bool
    silence_s: float
    contents: dict[str, str] | None = None
    wait_s: float | None = 0.0


@dataclass(frozen=True)
class MeasureOrder(Message):
    """Which networks to measure.

    Attributes:
        networks: key, vector and digest of the graph of each.
        anchors: without networks, measure the anchors; if false, only get ready.
        seed: of the order of networks in each round.
    """

    networks: list[tuple[str, list[int], str]]
    anchors: bool
    seed: Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class EvaluateDescription(Message):
    """How to evaluate the quality of sub-networks; shared by many orders.

    Attributes:
        version: of the format of orders and answers.
        supernet: the super-network's name.
        quality: the string of the quality source.
        weights: the name of the weights' file on the client.
        content: the SHA-256 of that file.
        subset: see ``hwnas.harness.quality.QualityOptions``.
        workers: see ``hwnas.harness.quality.QualityOptions``.
        source: the client's name of the source with its data and weights; the worker's has to be the same.
        beside: roles of files that lie beside the weights and are not sent with them.
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
    """Which sub-network to evaluate.

    Attributes:
        vector: of it.
    """

    vector: list[int]


# --- a worker's answers ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MeasureAnswer(Message):
    """The measurements that a ``MeasureOrder`` asks for.

    Attributes:
        measurements: ``hwnas.harness.measurement.measurement.Measurement`` as records.
        anchors: the anchors' keys and latencies, seconds.
        protocol: the protocol that was followed, as a record.
        environment: of the worker.
        fingerprint: of the environment.
        worker: the worker's name.
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
    """The quality that an ``EvaluateOrder`` asks for.

    Attributes:
        score: ``hwnas.harness.quality.evaluated.Score`` as a record.
    """

    score: dict[str, Any]
    say: Literal["evaluated"] = "evaluated"


@dataclass(frozen=True)
class SettingsRead(Message):
    """The fields of ``hwnas.backends.backend.Settings``, as a worker has parsed them."""

    device: str
    threads: Count
    batch: Count
    precision: str
    options: dict[str, str]
    contents: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PlatformRead(Message):
    """A platform string as a worker has parsed it.

    Attributes:
        backend: the backend's name.
        settings: of the platform.
        fingerprint: of the worker's environment.
        environment: the worker's environment.
    """

    backend: str
    settings: SettingsRead
    fingerprint: str
    environment: dict[str, Any]
    say: Literal["platform"] = "platform"


@dataclass(frozen=True)
class DescriptionUnknown(Message):
    """The worker does not have the description; it has to be sent with the order."""

    say: Literal["description unknown"] = "description unknown"


@dataclass(frozen=True)
class WeightsLacking(Message):
    """The worker has no file with the content of the weights; it has to be sent with the order."""

    say: Literal["weights lacking"] = "weights lacking"


@dataclass(frozen=True)
class Died:
    """The workers that did a job died, or could not answer; the client makes this, no worker sends it.

    Attributes:
        reason: why, in words.
    """

    reason: str


Answer = MeasureAnswer | EvaluateAnswer | PlatformRead | DescriptionUnknown | WeightsLacking | Refusal
_ANSWER: Any = Annotated[Answer, Field(discriminator="say")]


# --- what a worker says before it answers, and in between ------------------------------------------------------------


@dataclass(frozen=True)
class InterimValue(Message):
    """An interim measurement of a network, sent before its order is done.

    Attributes:
        number: the client's number of the order.
        measurement: the measurement as a record.
    """

    number: Count
    measurement: dict[str, Any]


@dataclass(frozen=True)
class OrderUnderWay(Message):
    """An order that a worker is carrying out.

    Attributes:
        device: the device it measures on.
        platform: the platform string.
        supernet: the super-network's name.
        networks: how many there are.
        since: when it began, seconds since the epoch.
        message: its progress, in words.
    """

    device: str
    platform: str
    supernet: str
    networks: Count
    since: float
    message: str = ""


@dataclass(frozen=True)
class AtWork(Message):
    """The state of a worker; sent to the scheduler with its heartbeats.

    Attributes:
        current: orders under way.
        done: how many networks it has measured.
        error: the latest error, or "".
    """

    current: list[OrderUnderWay] = field(default_factory=list)
    done: Count = 0
    error: str = ""


# --- reading ---------------------------------------------------------------------------------------------------------


def read_answer(text: Any) -> Answer:
    """Read a worker's answer; raises ``MeasurementError`` if it is not valid."""
    with validating("a worker's answer"):
        answer: Answer = read(_ANSWER, _text(text))
    return answer


def read_message(expected: type[M], text: Any, whose: str) -> M:
    """Read a message of one class; raises ``MeasurementError``, which begins with ``whose``, if it is not valid."""
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
