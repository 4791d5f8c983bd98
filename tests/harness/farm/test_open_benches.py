"""A worker's open benches: one that serves is used again, and any other is closed, so that its device is free."""

from __future__ import annotations

import pytest

from hwnas.harness.farm import open_benches
from hwnas.harness.farm.messages import MeasureDescription
from hwnas.harness.farm.offer import offer_here
from hwnas.harness.farm.open_benches import OpenBench, OpenBenches
from hwnas.harness.measurement.protocol import ProtocolChoice, profile
from hwnas.harness.platform import parse, surroundings
from hwnas.supernets.errors import MeasurementError

PLATFORM = parse("torch")
WHAT = MeasureDescription(
    version=1,
    supernet="ofa-mbv3-w1.0",
    platform="torch",
    device="cpu",
    fingerprint=surroundings(PLATFORM)[1],
    anchors=[],
    protocol=ProtocolChoice("quiet").to_record(),
    check=True,
    silence_s=1.0,
    contents={},
    wait_s=0.0,
)


class Bench:
    """One whose worker is ready, or does not come up."""

    def __init__(self, error=None):
        self.error, self.closed, self.on_progress = error, 0, None

    def begin(self):
        if self.error is not None:
            raise self.error
        return profile("quiet")

    def close(self):
        self.closed += 1


@pytest.fixture
def benches(monkeypatch):
    """Return a function that makes a worker's benches, with a bench in the place of each that is opened."""
    made = OpenBenches(offer_here(measure=False), lambda _: lambda _: None)
    opened = []

    def of(first, *others):
        opened[:] = [first, *others]
        monkeypatch.setattr(made, "_opened", lambda _: OpenBench(opened.pop(0), PLATFORM))
        assert made.get(WHAT).bench is first
        return made

    return of


def test_one_that_serves_is_used_again(benches):
    first = Bench()
    assert benches(first).get(WHAT).bench is first
    assert first.closed == 0


def test_one_of_another_protocol_is_closed_and_another_opened(benches):
    first, second = Bench(), Bench()
    other = ProtocolChoice("noisy").to_record()
    made = benches(first, second)
    assert made.get(MeasureDescription(**{**vars(WHAT), "protocol": other})).bench is second
    assert (first.closed, second.closed) == (1, 0)


def test_one_whose_worker_does_not_come_up_again_is_closed(benches):
    first, second = Bench(), Bench()
    made = benches(first, second)
    first.error = MeasurementError("no worker comes up")
    with pytest.raises(MeasurementError, match="no worker comes up"):
        made.get(WHAT)
    assert first.closed == 1
    assert made.get(WHAT).bench is second


def test_one_whose_environment_is_another_by_now_is_closed(benches, monkeypatch):
    first, second = Bench(), Bench()
    made = benches(first, second)
    monkeypatch.setattr(open_benches, "_LOOK_S", -1.0)
    monkeypatch.setattr(open_benches, "surroundings", lambda _: ({}, "another"))
    with pytest.raises(MeasurementError, match="its environment is another now"):
        made.get(WHAT)
    assert first.closed == 1
    monkeypatch.undo()
    assert made._open == {}


def test_one_that_is_idle_is_closed_unless_its_device_is_busy(benches):
    first = Bench()
    made = benches(first)
    made.release(-1.0, {"cpu"})
    assert first.closed == 0
    made.release(-1.0, ())
    assert first.closed == 1
