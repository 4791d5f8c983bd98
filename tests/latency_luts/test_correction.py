"""The correction of plain sums, against devices whose behaviour is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

import supernets
from latency_luts import Entry, LatencyTable, correction, key
from latency_luts.correction import PLAIN, QUANTITIES, Correction, fit, quantities, telling
from supernets.blocks import BlockSum, distinct_blocks
from supernets.errors import TableError

NET = supernets.get("ofa-mbv3-w1.0")
MEANS = {key(block): 2e-6 + 4e-12 * block.macs for block in distinct_blocks(NET.slots)}
TABLE = LatencyTable("t", {name: Entry(mean) for name, mean in MEANS.items()})
TRUE = Correction({"network": 3e-5, "table": 1.1, "block": -1e-6, "element": 2e-11, "parameter": 1e-12})


def device(X, noise=0.0, rng=None):
    """Latencies of a device that the correction describes exactly, apart from noise."""
    sums = BlockSum(NET.space, NET.slots, lambda block: TRUE.mean_s(block, TABLE.mean_s(block)))
    exact = sums(X) + TRUE.constant
    return exact if rng is None else exact * (1 + noise * rng.standard_normal(len(exact)))


def test_a_corrected_table_sums_what_the_correction_says():
    X = NET.space.sample(20, 0)
    corrected = LatencyTable("t", TABLE.entries, correction=TRUE)
    assert corrected.latency(NET, X) == pytest.approx(device(X))
    plain = LatencyTable("t", TABLE.entries, correction=Correction({}))
    assert plain.latency(NET, X) == pytest.approx(TABLE.latency(NET, X))


def test_without_noise_the_latencies_are_found_but_for_the_penalty():
    X = telling(NET, 20, np.random.default_rng(0))
    found = fit(NET, TABLE.mean_s, X, device(X))
    others = NET.space.sample(100, 1)
    predicted = LatencyTable("t", TABLE.entries, correction=found).latency(NET, others)
    assert np.abs(predicted / device(others) - 1).max() < 0.01


def test_with_noise_twenty_chosen_networks_leave_less_error_than_the_noise():
    rng = np.random.default_rng(3)
    others = NET.space.sample(300, 2)
    errors = []
    for _ in range(10):
        X = telling(NET, 20, rng)
        found = fit(NET, TABLE.mean_s, X, device(X, 0.01, rng))
        predicted = LatencyTable("t", TABLE.entries, correction=found).latency(NET, others)
        errors.append(np.abs(predicted / device(others) - 1).mean())
    assert np.mean(errors) < 0.008
    assert np.abs(TABLE.latency(NET, others) / device(others) - 1).mean() > 0.1


def test_chosen_networks_tell_more_than_random_ones():
    def uncertainty(X):
        F = quantities(NET, TABLE.mean_s, X)
        pool = quantities(NET, TABLE.mean_s, NET.space.sample(500, 9))
        center, scale = pool.mean(axis=0), pool.std(axis=0)
        A, B = (np.column_stack([np.ones(len(P)), (P - center) / scale]) for P in (F, pool))
        return np.einsum("ij,jk,ik->i", B, np.linalg.inv(A.T @ A + 1e-6 * np.eye(A.shape[1])), B).mean()

    random = np.mean([uncertainty(NET.space.sample(20, seed)) for seed in range(10)])
    assert uncertainty(telling(NET, 20, np.random.default_rng(0))) < random / 2


def test_chosen_networks_are_distinct_and_the_same_for_the_same_seed():
    first, again = (telling(NET, 30, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(first, again)
    assert len(set(NET.space.keys(first))) == 30
    assert np.array_equal(first, NET.space.canonical(first))


def test_too_few_measurements_and_unknown_terms_are_refused():
    X = NET.space.sample(correction.LEAST - 1, 0)
    with pytest.raises(TableError, match="needs at least 8 measured sub-networks, got 7"):
        fit(NET, TABLE.mean_s, X, device(X))
    with pytest.raises(TableError, match="unknown term 'chanel'"):
        Correction({"chanel": 1.0})


def test_terms_that_are_not_given_are_the_plain_sums():
    assert Correction({"block": 1e-6}).terms == {**PLAIN, "block": 1e-6}
    block = next(distinct_blocks(NET.slots))
    assert Correction({}).mean_s(block, 0.5) == 0.5
    assert set(PLAIN) == {"network", *QUANTITIES}


def test_a_missing_block_stays_an_error_under_a_correction():
    gap = {name: entry for name, entry in TABLE.entries.items() if not name.startswith("Logits")}
    assert math.isnan(LatencyTable("t", gap).mean_s(list(distinct_blocks(NET.slots))[-1]))
    with pytest.raises(TableError, match="has no block Logits"):
        LatencyTable("t", gap, correction=TRUE).latency(NET, NET.space.sample(2, 0))
