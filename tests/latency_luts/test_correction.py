"""The correction of plain sums, against devices whose behaviour is known."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from hwnas import supernets
from hwnas.latency_luts import Entry, LatencyTable, correction, key
from hwnas.latency_luts.correction import PLAIN, QUANTITIES, Correction, fit, informative, quantities
from hwnas.supernets.blocks import Block, BlockSum, Slot, distinct_blocks
from hwnas.supernets.errors import TableError
from hwnas.supernets.space import Choice, SearchSpace

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


@pytest.mark.parametrize(
    ("term", "bottleneck", "plain"),
    [
        ("table", 0.5, 0.5),
        ("block", 1.0, 1.0),
        ("element", 6 * 5 * 4 + 3 * 2 * 8, 6 * 5 * 4 + 3 * 2 * 8),
        ("inner", 6 * 5 * 12, 0.0),  # the wide image within, where there is one
        ("parameter", 7.0, 7.0),
        ("network", 0.0, 0.0),
    ],
)
def test_what_a_coefficient_multiplies(term, bottleneck, plain):
    one = Correction({"table": 0.0, term: 1.0})
    shapes = ((6, 5, 4), (3, 2, 8))
    assert one.mean_s(Block("mbconv", *shapes, (("mid", 12),), params=7), 0.5) == bottleneck
    assert one.mean_s(Block("first-conv", *shapes, params=7), 0.5) == plain


def test_without_noise_the_latencies_are_found_but_for_the_penalty():
    X = informative(NET, 20, np.random.default_rng(0))
    found = fit(NET, TABLE.mean_s, X, device(X))
    others = NET.space.sample(100, 1)
    predicted = LatencyTable("t", TABLE.entries, correction=found).latency(NET, others)
    assert np.abs(predicted / device(others) - 1).max() < 0.01


@pytest.mark.slow
def test_with_noise_twenty_chosen_networks_leave_less_error_than_the_noise():
    rng = np.random.default_rng(3)
    others = NET.space.sample(300, 2)
    errors = []
    for _ in range(10):
        X = informative(NET, 20, rng)
        found = fit(NET, TABLE.mean_s, X, device(X, 0.01, rng))
        predicted = LatencyTable("t", TABLE.entries, correction=found).latency(NET, others)
        errors.append(np.abs(predicted / device(others) - 1).mean())
    assert np.mean(errors) < 0.008
    assert np.abs(TABLE.latency(NET, others) / device(others) - 1).mean() > 0.1


@pytest.mark.slow
def test_chosen_networks_tell_more_than_random_ones():
    def uncertainty(X):
        F = quantities(NET, TABLE.mean_s, X)
        pool = quantities(NET, TABLE.mean_s, NET.space.sample(500, 9))
        center, scale = pool.mean(axis=0), pool.std(axis=0)
        A, B = (np.column_stack([np.ones(len(P)), (P - center) / scale]) for P in (F, pool))
        return np.einsum("ij,jk,ik->i", B, np.linalg.inv(A.T @ A + 1e-6 * np.eye(A.shape[1])), B).mean()

    random = np.mean([uncertainty(NET.space.sample(20, seed)) for seed in range(10)])
    assert uncertainty(informative(NET, 20, np.random.default_rng(0))) < random / 2


def test_chosen_networks_are_distinct_and_the_same_for_the_same_seed():
    first, again = (informative(NET, 30, np.random.default_rng(5)) for _ in range(2))
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


# --- second ways -----------------------------------------------------------------------------------------------------


def left_out(A, y, unit):
    """Return the ridge weights with the least error on what is left out, by leaving each row out in fact."""

    def solve(A, y, penalty):
        penalised = penalty / unit**2 * np.diag([0.0] + [1.0] * (A.shape[1] - 1))
        return np.linalg.solve(A.T @ A + penalised, A.T @ y)

    def error(penalty):
        rows = range(len(A))
        rest = [(np.delete(A, i, 0), np.delete(y, i)) for i in rows]
        return np.mean([(y[i] - A[i] @ solve(*rest[i], penalty)) ** 2 for i in rows])

    penalties = np.logspace(0, 4, 9)
    best = int(np.argmin([error(penalty) for penalty in penalties]))
    return solve(A, y, penalties[best]), best


@pytest.mark.parametrize("unit", [1.0, 3e-3, 40.0])
def test_the_penalty_is_the_one_with_the_least_error_on_what_is_left_out(unit):
    rng, chosen = np.random.default_rng(5), set()
    for noise in (0.1, 1.0, 3.0, 10.0, 30.0):
        for _ in range(4):
            A = rng.normal(size=(10, 4)) * 3 / unit
            y = A @ (unit * np.array([1.0, 0.5, -0.5, 0.2])) + noise * rng.normal(size=10)
            expected, best = left_out(A, y, unit)
            chosen.add(best)
            assert correction._ridge(A, y, unit) == pytest.approx(expected, rel=1e-6)
    assert len(chosen) >= 4  # neither end alone


def test_rows_that_decide_a_weight_alone_are_no_division_by_zero():
    assert correction._ridge(np.eye(3), np.array([1.0, 2.0, 3.0]), 1e20) == pytest.approx([1.0, 2.0, 3.0])


@pytest.mark.parametrize("factor", [1e-9, 1e3])
def test_the_unit_of_time_does_not_matter(factor):
    rng = np.random.default_rng(2)
    X = informative(NET, 20, rng)
    latency = device(X, 0.01, rng)
    one = fit(NET, TABLE.mean_s, X, latency).terms
    other = fit(NET, lambda block: factor * TABLE.mean_s(block), X, factor * latency).terms
    assert other["table"] == pytest.approx(one["table"], rel=1e-6)
    for name in set(PLAIN) - {"table"}:
        assert other[name] == pytest.approx(factor * one[name], rel=1e-6)


def test_the_least_number_of_measurements_is_enough_and_whole_numbers_are_latencies():
    X = informative(NET, correction.LEAST, np.random.default_rng(0))
    assert set(fit(NET, TABLE.mean_s, X, device(X)).terms) == set(PLAIN)
    seconds = np.round(1e6 * device(X)).astype(int)
    found = fit(NET, lambda block: 1e6 * TABLE.mean_s(block), X, seconds.tolist()).terms
    exact = fit(NET, lambda block: 1e6 * TABLE.mean_s(block), X, seconds.astype(float)).terms
    assert found == exact


WIDTHS = (1, 2, 3, 4)


def toy():
    """A network of three layers, none of which has an inner width."""
    blocks = tuple(Block("layer", (w,), (w,), (), macs=100 * w, params=10 * w) for w in WIDTHS)
    space = SearchSpace(tuple(Choice("w", WIDTHS) for _ in range(3)))
    return SimpleNamespace(space=space, slots=tuple(Slot(f"layer.{i}", (i,), blocks) for i in range(3)))


def test_what_does_not_vary_has_no_say():
    net = toy()
    X = net.space.sample(20, 0)

    def mean_s(block):
        return 1e-3 * block.params

    latency = BlockSum(net.space, net.slots, lambda block: 1.2 * mean_s(block))(X) + 0.01
    found = fit(net, mean_s, X, latency)
    assert found.terms["inner"] == 0.0  # no block has an inner width
    assert found.terms["block"] == 0.0  # every network has as many blocks
    predicted = BlockSum(net.space, net.slots, lambda block: found.mean_s(block, mean_s(block)))(X) + found.constant
    assert predicted == pytest.approx(latency, rel=0.02)


def test_each_chosen_network_has_the_largest_determinant():
    net = toy()
    chosen = informative(net, 9, np.random.default_rng(3), candidates=30)
    drawn = correction._spread(net, 30, np.random.default_rng(3))
    pool = np.unique(net.space.canonical(np.concatenate([net.space.smallest(), net.space.largest(), drawn])), axis=0)
    F = quantities(net, lambda block: float(block.macs), pool)
    F = np.column_stack([np.ones(len(F)), (F - F.mean(axis=0)) / np.where(F.std(axis=0) > 1e-9, F.std(axis=0), 1.0)])
    information, used = 0.01 * np.eye(F.shape[1]), set()
    for row in chosen:
        (place,) = np.flatnonzero((pool == row).all(axis=1))
        assert place not in used
        gains = [np.linalg.slogdet(information + np.outer(f, f))[1] for f in F]
        assert gains[place] >= max(gain for i, gain in enumerate(gains) if i not in used) - 1e-9
        used.add(place)
        information += np.outer(F[place], F[place])


def test_candidates_are_of_every_size():
    drawn = correction._spread(toy(), 400, np.random.default_rng(0))
    assert drawn.shape == (400, 3)
    assert (drawn.min(), drawn.max()) == (0, len(WIDTHS) - 1)
    # Uniform choices would have a mean near 1.5 and hardly ever one at an end.
    assert 0.1 < np.mean(drawn.sum(axis=1) <= 1) < 0.5
    assert 0.1 < np.mean(drawn.sum(axis=1) >= 8) < 0.5


def labelled():
    """A network whose second layer has one of four kinds, which have no order."""
    net = toy()
    net.space = SearchSpace((Choice("w", WIDTHS), Choice("kind", WIDTHS, ordered=False), Choice("w", WIDTHS)))
    return net


def test_candidates_have_every_label_alike_whatever_their_size():
    net = labelled()
    drawn = correction._spread(net, 400, np.random.default_rng(0))
    assert drawn.shape == (400, 3)
    sizes = drawn[:, [0, 2]].sum(axis=1)
    for size in (sizes <= 1, sizes >= 5):
        labels = np.bincount(drawn[size, 1], minlength=4) / size.sum()
        assert labels == pytest.approx([0.25] * 4, abs=0.1)
    # What has an order is drawn as in a space without labels.
    assert drawn[:, [0, 2]].tolist() == correction._spread(toy(), 400, np.random.default_rng(0))[:, [0, 2]].tolist()


def test_candidates_are_drawn_from_the_generator_and_labels_alone_take_more_of_it():
    first, again = (correction._spread(labelled(), 50, np.random.default_rng(0)) for _ in range(2))
    assert first.tolist() == again.tolist()
    used, other = np.random.default_rng(0), np.random.default_rng(0)
    correction._spread(toy(), 50, used)
    other.binomial(3, other.random((50, 1)), size=(50, 3))
    assert used.random() == other.random()
