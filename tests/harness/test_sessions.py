"""Making a network ready, several times."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest

import backends
import supernets
from backends.backend import Settings
from harness import sessions
from supernets.errors import BackendError

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


def prepare(backend, **options):
    return sessions.prepare(NET, SMALLEST, backend, Settings(), **options)


def test_each_time_is_a_session_of_its_own_in_a_room_of_its_own():
    backend, rooms = Counting(), []

    @contextmanager
    def room():
        rooms.append(backend.prepared)
        yield

    prepared = prepare(backend, times=4, room=room)
    inference = prepared.inference
    assert inference.n_sessions == prepared.facts["sessions"] == len({id(one) for (one,) in inference.made}) == 4
    assert rooms == [0, 1, 2, 3]
    assert prepared.facts["error"] < sessions.TOLERANCES["fp32"]
    assert backend.open == {1, 2, 3, 4}
    inference.close()
    assert not backend.open


def test_whose_turn_it_is_runs():
    inference = prepare(Counting(), times=2).inference
    ran = []
    for number, (session,) in enumerate(inference.made):
        session.run = lambda number=number: ran.append(number)
    for turn in (1, 0, 1):
        inference.turn(turn)
        inference.run()
    assert ran == [1, 0, 1]


@pytest.mark.parametrize(("cap_s", "times"), [(10.0, 8), (7.0, 8), (6.9, 4), (1.5, 2), (0.9, 1), (0.0, 1)])
def test_what_takes_long_to_prepare_is_prepared_less_often(cap_s, times):
    assert sessions._affordable(8, cap_s, 1.0) == times


def test_it_is_prepared_once_at_least():
    assert prepare(Counting(), times=4, cap_s=0.0).inference.n_sessions == 1


def test_a_failure_closes_what_was_prepared():
    backend = Counting(fails_at=3)
    with pytest.raises(BackendError, match="gave up"):
        prepare(backend, times=4)
    assert not backend.open


def test_the_worst_session_is_what_is_said_of_the_outputs():
    backend = Counting()
    inner = backend.prepare

    def off(stage, settings):
        session = inner(stage, settings)
        if backend.prepared == 2:
            outputs = session.outputs
            session.outputs = lambda: tuple(np.asarray(x) * 1.5 for x in outputs())
        return session

    backend.prepare = off
    with pytest.raises(BackendError, match="differ from the torch module"):
        prepare(backend, times=2)
    assert not backend.open
