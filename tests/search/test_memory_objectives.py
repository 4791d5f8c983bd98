"""The objectives of memory, in MB, at the platform's batch size and precision."""

from __future__ import annotations

import numpy as np
import pytest

from hwnas import supernets
from hwnas.harness.platform import parse as parse_platform
from hwnas.search.objectives import Sources, make
from hwnas.search.study.constraints import parse
from hwnas.supernets.errors import UsageError
from hwnas.supernets.memory import model_size, peak_memory

NET = supernets.get("ofa-resnet50")
X = NET.space.canonical(NET.space.sample(5, 0))


def test_without_a_platform_they_are_of_one_sample_in_fp32():
    size, peak = make(["model-size", "peak-memory"], Sources(NET, quality_spec="none"))
    np.testing.assert_allclose(size.evaluate(X).values * 1e6, 4 * _stored(X), rtol=1e-12)
    np.testing.assert_allclose(peak.evaluate(X).values * 1e6, peak_memory(NET, "fp32", 1)(X), rtol=1e-12)
    assert (size.unit, size.maximise, size.costs_nothing, size.exact) == ("MB", False, True, True)
    assert peak.evaluate(X).status == ("ok",) * 5


def _stored(X):
    return model_size(NET, "fp32")(X) / 4


def test_they_are_of_the_platform():
    platform = parse_platform("torch:batch=8")
    size, peak = make(["model-size", "peak-memory"], Sources(NET, platform))
    np.testing.assert_allclose(peak.evaluate(X).values * 1e6, 8 * peak_memory(NET, "fp32", 1)(X), rtol=1e-12)
    # Values of different settings must never mix in one study.
    assert (size.source, peak.source) == ("counted at fp32", "counted at fp32, batch 8")


def test_constraints_may_name_other_units():
    objectives = make(["model-size"], Sources(NET))
    assert parse("model-size<=0.02GB", objectives).limit == pytest.approx(20)
    assert parse("model-size<=20MB", objectives).limit == 20
    with pytest.raises(UsageError, match="unknown unit 'ms' of model-size"):
        parse("model-size<=20ms", objectives)


def test_a_network_without_activation_sizes_is_refused():
    class Silent:
        name, space = "silent", NET.space
        slots = (supernets.blocks.Slot("all", (), (supernets.blocks.Block("all", (1,), (1,), params=1),)),)

    with pytest.raises(UsageError, match="peak-memory: silent does not say"):
        make(["peak-memory"], Sources(Silent()))
