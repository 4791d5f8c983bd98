"""Making a network ready, several times."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest

from hwnas import backends, supernets
from hwnas.backends.backend import Settings
from hwnas.harness.measurement.samples import SampleLog
from hwnas.harness.worker import sessions
from hwnas.harness.worker.sampling import sample
from hwnas.supernets.errors import BackendError

NET = supernets.get("ofa-mbv3-w1.0:scale=0.25")
SMALLEST = NET.space.decode(NET.space.smallest())[0]


class Counting:
    """ONNX Runtime, but it counts, and gives up when told so."""

    def __init__(self, fails_at=None):
        self._inner = backends.get("onnxruntime")
        self._fails_at = fails_at
        self.open, self.prepared = set(), 0

    def prepare(self, stage, settings):
        self.prepared += 1
        if self.prepared == self._fails_at:
            raise BackendError("gave up")
        session, close = self._inner.prepare(stage, settings), None
        close, number = session.close, self.prepared
        self.open.add(number)

        def closed():
            self.open.remove(number)
            close()

        session.close = closed
        return session


def making(backend, **options):
    return sessions.Preparation(NET, SMALLEST, backend, Settings(), **options)


@pytest.mark.slow
def test_each_time_is_a_session_of_its_own_in_a_room_of_its_own():
    backend, rooms = Counting(), []

    @contextmanager
    def room():
        rooms.append(backend.prepared)
        yield

    made = making(backend, room=room)
    for _ in range(4):
        assert made.once().error < sessions.TOLERANCES["fp32"]
    inference = made.inference()
    assert inference.n_sessions == len({id(one) for (one,) in inference.made}) == 4
    assert rooms == [0, 1, 2, 3]
    assert backend.open == {1, 2, 3, 4}
    inference.close()
    assert not backend.open


@pytest.mark.slow
def test_whose_turn_it_is_runs():
    made = making(Counting())
    for _ in range(2):
        made.once()
    inference, ran = made.inference(), []
    for number, (session,) in enumerate(inference.made):
        session.run = lambda number=number: ran.append(number)
    for turn in (1, 0, 1):
        inference.turn(turn)
        inference.run()
    assert ran == [1, 0, 1]


class Ticking:
    """A session whose first run after another stage takes longer; it moves the clock."""

    def __init__(self, clock, first_ns, ns):
        self.clock, self.first_ns, self.ns, self.runs = clock, first_ns, ns, 0

    def run(self):
        fresh = self.clock.last is not self
        self.clock.now += self.first_ns if fresh else self.ns
        self.clock.last, self.runs = self, self.runs + 1


@pytest.fixture
def clock(monkeypatch):
    made = SimpleNamespace(now=0, last=None)
    monkeypatch.setattr(sessions.time, "perf_counter_ns", lambda: made.now)
    return made


@pytest.mark.parametrize(("asked", "done"), [(0, 32), (2, 2), (4, 4), (40, 32)])
def test_what_is_left_out_of_a_stage_counts_with_the_mean_of_all_runs_but_the_first(clock, asked, done):
    prefill, decode = Ticking(clock, 1000, 1000), Ticking(clock, 50, 10)
    one = sessions.Inference(((prefill, decode),), (1, 32), asked)
    one.run()
    assert (prefill.runs, decode.runs) == (1, done)
    assert one.marks == [1000, 50 + 31 * 10]
    assert one.left_out == (32 - done) * 10
    one.run()
    assert one.marks == [2000, 2 * (50 + 31 * 10)]
    one.clear()
    assert (one.marks, one.left_out) == ([0, 0], 0)


def test_a_sample_is_of_the_whole_inference(clock):
    log = SampleLog(2)
    clocks = SimpleNamespace(wall=lambda: clock.now, cpu=lambda: 2 * clock.now, switches=lambda: 0)
    for asked in (0, 4):
        one = sessions.Inference(((Ticking(clock, 1000, 1000), Ticking(clock, 50, 10)),), (1, 32), asked)
        sample(one, log, clocks, 2, 0)
    log.end_visit(0, 0, 0, 0)
    taken = log.samples()
    whole = 2 * (1000 + 50 + 31 * 10)
    assert taken.wall_ns.tolist() == [whole, whole]
    assert taken.cpu_ns.tolist() == [2 * whole, 2 * whole]
    assert taken.stage_ns.tolist() == [[2000, 720]] * 2


def test_a_devices_clock_leaves_out_the_same():
    def device(first, others):
        return SimpleNamespace(run=None, time_runs=lambda n: [first if k % 4 == 0 else others for k in range(n)])

    one = sessions.Inference(((device(5e-3, 1e-3),),), (10,), 4)
    assert one.time_runs()(3) == pytest.approx([5e-3 + 9 * 1e-3] * 3)


@pytest.mark.parametrize(("cap_s", "times"), [(10.0, 8), (7.0, 8), (6.9, 4), (1.5, 2), (0.9, 1), (0.0, 1)])
def test_what_takes_long_to_prepare_is_prepared_less_often(cap_s, times):
    made = making(Counting())
    made._first_s = 1.0
    assert made.affordable(8, cap_s) == times


def test_a_failure_closes_what_was_prepared():
    backend = Counting(fails_at=3)
    made = making(backend)
    made.once()
    made.once()
    with pytest.raises(BackendError, match="gave up"):
        made.once()
    assert not backend.open


def test_every_session_is_compared_with_the_module():
    backend = Counting()
    inner = backend.prepare

    def off(stage, settings):
        session = inner(stage, settings)
        if backend.prepared == 2:
            outputs = session.outputs
            session.outputs = lambda: tuple(np.asarray(x) * 1.5 for x in outputs())
        return session

    backend.prepare = off
    made = making(backend)
    made.once()
    with pytest.raises(BackendError, match="differ from the torch module"):
        made.once()
    assert not backend.open


@pytest.mark.slow
def test_when_memory_runs_out_the_sessions_before_serve_and_their_number_is_a_power_of_two():
    backend = Counting(fails_at=4)
    prepare = backend.prepare

    def short(stage, settings):
        try:
            return prepare(stage, settings)
        except BackendError:
            raise BackendError("std::bad_alloc") from None

    backend.prepare = short
    made = making(backend, check=False)
    for _ in range(3):
        made.once()
    with pytest.raises(BackendError, match="bad_alloc"):
        made.once()
    assert backend.open == {1, 2, 3}
    inference = made.inference()
    assert inference.n_sessions == 2
    assert backend.open == {1, 2}
    inference.run()
    inference.close()
    assert not backend.open
