"""Where the time of measuring goes."""

from __future__ import annotations

import pytest

from hwnas import supernets
from hwnas.harness.bench.timings import PHASES, Timings
from hwnas.harness.measure import Measurer


def test_each_moment_belongs_to_one_phase_or_to_none():
    moments = iter([0.0, 1.0, 3.0, 10.0, 10.5, 12.0])
    timings = Timings(lambda: next(moments))
    timings.lap("starting")
    timings.lap("preparing")
    timings.begin()  # whatever there was in between was not measuring
    timings.lap("timing")
    timings.lap("preparing")
    assert timings.seconds == {"waiting": 0.0, "starting": 1.0, "preparing": 3.5, "timing": 0.5}


@pytest.mark.slow
@pytest.mark.usefixtures("scripted")
def test_a_measurer_says_where_its_time_went():
    net = supernets.get("toy")
    with Measurer(net, "scripted:threads=1", effort="quick") as measurer:
        assert set(measurer.timings) == set(PHASES)
        measurer.measure(net.space.sample(2, 0))
        assert min(measurer.timings[phase] for phase in ("starting", "preparing", "timing")) > 0
