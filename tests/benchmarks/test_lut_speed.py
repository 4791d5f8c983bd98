"""How many sub-networks a second tables, counts and predictors answer on one core."""

from __future__ import annotations

import pytest

from hwnas import supernets
from hwnas.harness import quality
from hwnas.latency_luts import published


def rate(benchmark, function, X) -> float:
    """Return rows per second of the best round: on a shared machine the others tell of the neighbours."""
    benchmark.pedantic(function, args=(X,), rounds=5, warmup_rounds=1)
    if benchmark.stats is None:  # run with --benchmark-disable
        pytest.skip("not timed")
    benchmark.extra_info["rows_per_s"] = len(X) / benchmark.stats.stats.min
    return float(benchmark.extra_info["rows_per_s"])


def test_lookup_table(benchmark, assets):
    net = supernets.get("ofa-mbv3-w1.2")
    table = published.get("note10").open().bind(net)
    assert rate(benchmark, table.latency, net.space.sample(500_000, 0)) >= 1_000_000


def test_macs(benchmark):
    net = supernets.get("ofa-mbv3-w1.2")
    assert rate(benchmark, net.macs, net.space.sample(500_000, 0)) >= 1_000_000


def test_surrogate(benchmark):
    net = supernets.get("ofa-mbv3-w1.0")
    assert rate(benchmark, quality.get("surrogate", net).evaluate, net.space.sample(50_000, 0)) >= 20_000


def test_ofa_predictor(benchmark, assets):
    net = supernets.get("ofa-mbv3-w1.2")
    # Its products bound it: 0.74 million operations a sub-network.
    assert rate(benchmark, quality.get("ofa-predictor", net).evaluate, net.space.sample(20_000, 0)) >= 20_000
