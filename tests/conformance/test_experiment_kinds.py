"""What every kind of experiment must hold, whoever wrote it."""

from __future__ import annotations

import pytest
from conforming import every_check, hold

from hwnas import experiments
from hwnas.conformance.experiments import SUITE
from hwnas.experiments import kinds

NAMES = kinds.registry.names()


@pytest.mark.parametrize(("name", "check"), every_check(SUITE, NAMES))
def test_every_kind_of_experiment(name, check):
    hold(check, kinds.registry.provider(name))


@pytest.mark.parametrize("name", NAMES)
def test_a_kind_is_used_by_a_shipped_experiment(name):
    assert any(experiments.shipped(one).head.kind == name for one in experiments.names())
