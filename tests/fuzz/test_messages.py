"""What other processes and machines say is understood, or refused by one of our errors."""

from __future__ import annotations

import json
import os
import struct
import time
from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
from fuzzing import fuzz, refused_or_read
from hypothesis import example, given
from hypothesis import strategies as st
from mutations import contents, documents, texts

from hwnas import supernets
from hwnas.backends.backend import Settings
from hwnas.harness.farm.bench import FarmBench, _Sent
from hwnas.harness.farm.cluster import Cluster, Job
from hwnas.harness.farm.engine import VERSION
from hwnas.harness.farm.messages import (
    DescriptionUnknown,
    EvaluateAnswer,
    EvaluateDescription,
    EvaluateOrder,
    MeasureAnswer,
    MeasureDescription,
    MeasureOrder,
    PlatformRead,
    SettingsRead,
    WeightsLacking,
    read_answer,
)
from hwnas.harness.farm.offer import Offer, OfferedBackend
from hwnas.harness.farm.platforms import FarmPlatform, find
from hwnas.harness.farm.quality import FarmQuality
from hwnas.harness.farm.service import WorkerService
from hwnas.harness.farm.status import status
from hwnas.harness.measurement.graph import digests
from hwnas.harness.measurement.measurement import Measurement
from hwnas.harness.measurement.pace import Pace
from hwnas.harness.measurement.protocol import profile
from hwnas.harness.measurement.samples import Samples
from hwnas.harness.platform import Platform
from hwnas.harness.quality.evaluated import Score
from hwnas.harness.validation import Refusal
from hwnas.harness.worker.channel import Channel, Closed, Garbled, Message, Silence
from hwnas.harness.worker.messages import SAID, Done, Progressed
from hwnas.harness.worker.timed import Tick
from hwnas.supernets.contents import content_digest

NCF = supernets.get("ncf")
X = NCF.space.canonical(NCF.space.sample(2, seed=0))
KEYS = NCF.space.keys(X)


# --- between a program and its worker ---------------------------------------------------------------------------------

FRAMES = [json.dumps(asdict(one)).encode() for one in (Progressed(Tick(1, 2, 3, 0.5)), Done())]


@fuzz
@given(content=contents([struct.pack(">I", len(frame)) + frame for frame in FRAMES]))
def test_frames_of_a_worker(content):
    read, write = os.pipe()
    try:
        os.write(write, content[:60_000])
        os.close(write)
        channel = Channel(read, -1)
        for _ in range(100):
            assert isinstance(channel.receive(SAID, 1.0), Message)
    except (Closed, Garbled, Silence):
        pass
    finally:
        os.close(read)


# --- what a worker of a farm offers and says it is at -----------------------------------------------------------------

OFFER = Offer(
    "alpha-0",
    "host",
    0,
    ("cpu",),
    {"torch": OfferedBackend("f", {"torch": "2"}, ("cpu",))},
    {"phone": "torch:threads=1"},
    1,
    {"hwnas": "0.1"},
    {"cpu": "x", "cpus": 2},
)
CURRENT = {"device": "cpu", "platform": "torch", "supernet": "ncf", "networks": 3, "since": time.time(), "message": ""}
NOW = {"current": [CURRENT], "done": 4, "error": ""}
WORKER = {"offer": OFFER.to_record(), "name": "alpha-0:12", "last_seen": time.time(), "metrics": {"hwnas": NOW}}
WORKER["offer"]["devices"] = list(OFFER.devices)  # as JSON has it
PARSED = PlatformRead("torch", SettingsRead("cpu", 1, 1, "fp32", {}), "f", {})


class Scheduler:
    """A connection whose other side says what it likes."""

    workers, offers, queued, _answer, parsed = (
        Cluster.workers,
        Cluster.offers,
        Cluster.queued,
        Cluster._answer,
        Cluster.parsed,
    )

    def __init__(self, workers=None, answer="", told=None):
        self.address = "tcp://127.0.0.1:1"
        self._jobs, self.sent = {0: Job("{}", "{}", {})}, 0
        identity = {"workers": workers or {}}
        self._client = SimpleNamespace(
            sync=lambda *_, **__: identity,
            scheduler=SimpleNamespace(identity=None),
            submit=lambda *_, **__: SimpleNamespace(result=lambda timeout: answer),
            get_metadata=lambda *_, **__: told,
        )
        self._jobs[0].future = SimpleNamespace(status="finished", result=lambda timeout: answer)

    def _submit(self, _number, _job):
        self.sent += 1


@fuzz
@given(record=documents([WORKER["offer"]]), text=st.sampled_from(["torch:threads=1", "phone", "phone@alpha", "alpha"]))
@example(record={**WORKER["offer"], "name": None}, text="phone@alpha")
@example(record={}, text="phone")
@example(record={**WORKER["offer"], "accuracy": 10**400}, text="phone")
def test_offers(record, text):
    def read():
        found = Offer.from_record(record)
        found.resources()
        found.serves("torch", "f", "cpu")
        json.dumps(found.to_record())
        find(text, Scheduler({"tcp://a": {"offer": record}}, PARSED.to_text()))

    refused_or_read(read)


@fuzz
@given(facts=documents([WORKER]), told=documents([{"a": 3, "b": None}]))
@example(facts=None, told={})
@example(facts=WORKER, told=None)
@example(facts={**WORKER, "metrics": {"hwnas": {"current": [{}]}}}, told={})
def test_what_workers_are_at(facts, told):
    refused_or_read(lambda: json.dumps(status(Scheduler({"tcp://a": facts}, told=told))))


@fuzz
@given(
    answer=documents([asdict(PARSED), asdict(Refusal("PlatformError", "no such platform"))]).map(json.dumps)
    | texts(["{}"])
)
@example(answer="{")
@example(answer="{}")
@example(answer="null")
def test_platforms_as_a_worker_reads_them(answer):
    refused_or_read(lambda: find("torch:threads=1", Scheduler({"tcp://a": WORKER}, answer)))


# --- orders and answers -----------------------------------------------------------------------------------------------

PROTOCOL = profile("quiet")
SAMPLES = {
    "at_ns": [0, 9],
    "wall_ns": [5, 6],
    "cpu_ns": [5, 6],
    "switches": [0, 0],
    "group": [1, 1],
    "visit": [0, 1],
    "round": [1, 2],
    "waiting_ns": [0, 0],
    "steal_ns": [0, 0],
    "throttled_ns": [0, 0],
    "stage_ns": [[], []],
}
PACE = {"slower_ppm": [100, -50], "statistic": "median", "error": 0.001}
MEASUREMENT = Measurement(
    supernet="ncf",
    config=NCF.space.decode(X)[0],
    key=KEYS[0],
    graph="g",
    platform="torch:threads=1",
    status="ok",
    reason="",
    statistic="median",
    latency_s=1e-3,
    macs=1,
    params=2,
    protocol=PROTOCOL,
    samples=Samples.from_record(SAMPLES),
    pace=Pace.from_record(PACE, 2),
    fingerprint="f",
    measured_at="2030-01-01T00:00:00+00:00",
)
ANSWER = asdict(
    MeasureAnswer(
        measurements=[MEASUREMENT.to_record()],
        anchors={KEYS[0]: 1e-3},
        protocol=PROTOCOL.to_record(),
        environment={"noise": None, "farm": {"worker": "a", "unit": None}},
        fingerprint="f",
        worker="a",
    )
)
SCORE = asdict(EvaluateAnswer(Score(75.0, 74.0, 76.0, 100, {"top5": 90.0}).record()))
REFUSED = asdict(Refusal("PlatformError", "no"))
UNKNOWN, LACKS = asdict(DescriptionUnknown()), asdict(WeightsLacking())
PLATFORM = FarmPlatform("torch", Settings(), spelled="torch:threads=1", host="host", fingerprint="f")


def spelled(seeds):
    return documents(seeds).map(json.dumps) | texts([json.dumps(seed) for seed in seeds])


@fuzz
@given(answer=spelled([ANSWER, ANSWER, SCORE, REFUSED]))
@example(answer=json.dumps(REFUSED | {"message": " "}))
@example(answer=json.dumps(ANSWER | {"measurements": [{}]}))
@example(answer="{}")
def test_answers_to_a_bench(answer):
    bench = FarmBench(SimpleNamespace(), PLATFORM, NCF, X)

    def read():
        for one in bench._read(_Sent(0, [(KEYS[0], X[0])], lambda _: None), read_answer(answer)):
            json.dumps(one.to_json(samples=True))

    refused_or_read(read)


@fuzz
@given(answer=spelled([SCORE, SCORE, REFUSED, ANSWER]))
@example(answer=json.dumps(SCORE | {"score": {}}))
def test_answers_to_a_quality(answer):
    quality = SimpleNamespace(put=lambda _key, score: json.dumps(score.record()))
    refused_or_read(lambda: FarmQuality._read(quality, KEYS[0], read_answer(answer)))


@fuzz
@given(answer=documents([ANSWER, UNKNOWN, LACKS]).map(json.dumps) | texts(["{}"]))
@example(answer="{")
@example(answer="null")
def test_answers_as_they_arrive(answer):
    scheduler = Scheduler(answer=answer)

    def read():
        # Another answer than an object must not be waited for again and again.
        assert scheduler._answer(0, scheduler._jobs[0]) is not None or scheduler.sent == 1

    refused_or_read(read)


class Measured(WorkerService):
    """A station whose benches measure nothing."""

    def _opened(self, what):
        bench = SimpleNamespace(
            begin=lambda: PROTOCOL,
            reseed=np.random.default_rng,
            take=lambda networks, _keep: {key: MEASUREMENT for key, _ in networks},
            anchors_now={},
            environment={},
            fingerprint="f",
            close=lambda: None,
        )
        return SimpleNamespace(bench=bench, platform=Platform("torch", Settings()), used=0.0, looked=time.monotonic())


DESCRIPTION = asdict(
    MeasureDescription(
        VERSION, "ncf", "torch:threads=1", "cpu", "f", X.tolist(), PROTOCOL.to_record(), check=True, silence_s=60.0
    )
)
NETWORKS = [(key, row.tolist(), graph) for key, row, graph in zip(KEYS, X, digests(NCF, X), strict=True)]
ORDER = asdict(MeasureOrder(NETWORKS, anchors=True, seed=7))
QUALITY = asdict(
    EvaluateDescription(VERSION, "ncf", "hit-rate:x", __file__, content_digest(__file__), 1, 1, "x", ["subwords"])
)
VECTOR = asdict(EvaluateOrder(X[0].tolist()))


def says(text, *expected):
    """What a worker answers is one of these, or a refusal with a reason."""
    answer = read_answer(text)
    assert isinstance(answer, expected) or (isinstance(answer, Refusal) and str(answer.raised()).strip())


@fuzz
@given(description=spelled([DESCRIPTION]), order=spelled([ORDER]))
@example(description="{", order=json.dumps(ORDER))
@example(description=json.dumps(DESCRIPTION), order="null")
def test_orders_to_measure(description, order):
    service = Measured(OFFER)
    says(service.measure("digest", order, description), MeasureAnswer, DescriptionUnknown)
    json.dumps(service.facts())


@fuzz
@given(description=spelled([QUALITY]), order=spelled([VECTOR]))
@example(description="{", order="{}")
def test_orders_to_evaluate(description, order):
    answer = WorkerService(OFFER).evaluate("digest", order, description)
    says(answer, EvaluateAnswer, WeightsLacking, DescriptionUnknown)


@fuzz
@given(text=texts(["torch:threads=1", "phone", "onnxruntime:threads=2,batch=8"]))
def test_platforms_that_a_worker_reads(text):
    says(WorkerService(OFFER).parsed(text), PlatformRead)
