"""Adapting, on devices whose latencies are known."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from lookup_tables import written
from scipy import stats

from hwnas import supernets
from hwnas.harness.store import Store
from hwnas.search.algorithm import Problem
from hwnas.search.algorithms._surrogate import Surrogate
from hwnas.search.objectives.latency import KnownLatency
from hwnas.search.predictors._kernel import Kernel
from hwnas.search.predictors._sources import SourceFeatures
from hwnas.search.predictors.adapt import Adapted, Curve, choose, curve, learned, most_telling
from hwnas.search.study.origins import origins
from hwnas.search.study.run import search
from hwnas.supernets.blocks import BlockSum
from hwnas.supernets.errors import UsageError

NET = supernets.get("ofa-mbv3-w1.0")


def prior_of(net, source, store):
    (origin,) = origins(net, [source], [], store)
    return origin.prior(net)


def elements(block):
    return float(np.prod(block.input) + np.prod(block.output))


MACS = BlockSum(NET.space, NET.slots, lambda block: block.macs / 1e8)
TRAFFIC = BlockSum(NET.space, NET.slots, lambda block: elements(block) / 1e7)


def on_a(X):
    """A device that pays for MACs alone."""
    return MACS(X)


def on_b(X):
    """One that pays less for MACs and for memory too."""
    return 0.3 * MACS(X) + 2.0 * TRAFFIC(X)


@pytest.fixture(scope="module")
def X():
    return np.unique(NET.space.canonical(NET.space.sample(160, 0)), axis=0)[:150]


def tau(predicted, X):
    return stats.kendalltau(predicted, on_b(X)).statistic


def test_from_another_device_few_measurements_tell_more_than_without(X):
    chosen = choose(NET.space, on_a, 10, np.random.default_rng(0))
    from_a = Adapted(NET.space, on_a, chosen, on_b(chosen))
    random = NET.space.sample(10, 1)
    alone = Adapted(NET.space, None, random, on_b(random))
    assert tau(from_a(X), X) > 0.9
    assert tau(from_a(X), X) > tau(alone(X), X) + 0.1
    assert np.abs(from_a(X) / on_b(X) - 1).mean() < 0.03


def test_a_device_that_has_nothing_in_common_does_not_mislead(X):
    rng = np.random.default_rng(5)
    noise = {key: rng.standard_normal() for key in NET.space.keys(X)}

    def unrelated(rows):
        return np.array([noise.get(key, 0.0) for key in NET.space.keys(rows)])

    rows, test = X[:60], X[60:]
    misled = Adapted(NET.space, unrelated, rows, on_b(rows))
    alone = Adapted(NET.space, None, rows, on_b(rows))
    assert tau(misled(test), test) > tau(alone(test), test) - 0.06


def test_what_was_learned_from_a_search_serves_as_a_start(X):
    prior = learned(NET.space, X[:100], on_a(X[:100]))
    assert stats.kendalltau(prior(X[100:]), on_a(X[100:])).statistic > 0.9
    chosen = choose(NET.space, prior, 10, np.random.default_rng(0))
    assert tau(Adapted(NET.space, prior, chosen, on_b(chosen))(X), X) > 0.85


def test_chosen_sub_networks_are_distinct_and_the_same_for_the_same_seed():
    first, again = (choose(NET.space, on_a, 12, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(first, again)
    assert len(set(NET.space.keys(first))) == 12
    assert np.array_equal(first, NET.space.canonical(first))


def test_most_telling_is_the_most_uncertain_given_those_before(X):
    rows = most_telling(NET.space, None, X, 5)
    features = SourceFeatures(NET.space, None)
    kernel = Kernel(features(X), features.models[-1])
    K = kernel.matrix(kernel.expected)
    for step in range(5):
        before = rows[:step]
        within = K[np.ix_(before, before)] + 0.05 * np.eye(step)
        explained = np.einsum("ij,jk,ik->i", K[:, before], np.linalg.inv(within), K[:, before])
        left = np.diag(K) - explained
        left[before] = -np.inf
        assert left[rows[step]] == pytest.approx(left.max())


@pytest.mark.slow
def test_the_curve_counts_measurements_until_the_target_is_reached(X):
    y = on_b(X)
    from_a = curve(NET.space, X, y, on_a(X), np.random.default_rng(0), splits=2)
    alone = curve(NET.space, X, y, None, np.random.default_rng(0), splits=2)
    needed, without = from_a.needed(), alone.needed()
    assert needed is not None
    assert from_a.tau[-1] >= 0.95
    assert all(value < 0.95 for value in from_a.tau[:-1])
    assert without is None or 3 * needed <= without


def test_a_curve_that_never_gets_there_says_none():
    assert Curve((3, 5), (0.2, 0.9)).needed() is None
    assert Curve((3, 5), (0.2, 0.9)).needed(0.9) == 5


def test_one_measurement_is_too_few():
    X = NET.space.sample(1, 0)
    with pytest.raises(UsageError, match="at least two measured sub-networks, got 1"):
        Adapted(NET.space, on_a, X, on_b(X))


# --- where what is known comes from ----------------------------------------------------------------------------------


@pytest.fixture
def known_table(tmp_path, X):
    """What device A was measured to take, as a CSV of some sub-networks."""
    file = tmp_path / "a.csv"
    with file.open("w", newline="") as opened:
        rows = csv.writer(opened)
        rows.writerow(["config", "latency_ms"])
        rows.writerows([json.dumps(c), v] for c, v in zip(NET.space.decode(X), on_a(X).tolist(), strict=True))
    return f"table:file={file}"


@pytest.fixture
def store(tmp_path):
    with Store.open(str(tmp_path / "store.db")) as opened:
        yield opened


def agrees(prior):
    others = NET.space.sample(100, 9)
    return stats.kendalltau(prior(others), on_a(others)).statistic


def test_a_measured_table_is_learned(known_table):
    assert agrees(prior_of(NET, known_table, None)) > 0.9


@pytest.fixture
def lookup_table(tmp_path):
    """Device A, block by block."""
    return written(tmp_path / "a.yaml", NET, lambda block: 1e-9 + block.macs / 1e11)


def test_a_lookup_table_is_asked(lookup_table):
    assert agrees(prior_of(NET, lookup_table, None)) > 0.99


def test_a_study_is_learned(lookup_table, store):
    search(NET, lookup_table, algorithm="random", evals=60, store=store, study="on-a")
    assert agrees(prior_of(NET, "on-a", store)) > 0.85
    with pytest.raises(UsageError, match=r"it searched ofa-mbv3-w1\.0, this search is of ofa-mbv3-w1\.2"):
        prior_of(supernets.get("ofa-mbv3-w1.2"), "on-a", store)


def test_a_study_of_too_little_is_refused(lookup_table, store):
    search(NET, lookup_table, algorithm="random", evals=7, seed=5, store=store, study="short")
    with pytest.raises(UsageError, match="expected at least 8 latencies there, got 7"):
        prior_of(NET, "short", store)


def test_what_is_neither_a_study_nor_a_platform_is_refused(store):
    with pytest.raises(UsageError, match="transfer from 'nighly': neither a study in the store nor a platform"):
        prior_of(NET, "nighly", store)
    with pytest.raises(UsageError, match="at least 8 latencies there, got 0"):
        prior_of(NET, "torch:threads=1", store)


@pytest.mark.parametrize(("algorithm", "preset"), [("nsga2", None), ("linas", "paper")])
def test_a_search_that_makes_no_use_of_it_says_so(lookup_table, known_table, algorithm, preset, monkeypatch):
    monkeypatch.setattr(KnownLatency, "exact", False)
    with pytest.raises(UsageError, match="makes no use of what is known on another platform"):
        search(NET, lookup_table, algorithm=algorithm, preset=preset, evals=4, transfer_from=known_table)


def test_a_surrogate_that_starts_from_another_platform_knows_more():
    X = NET.space.sample(14, 2)
    F = on_b(X)[:, None]
    others = NET.space.sample(200, 3)
    taus = []
    for priors in ((), (on_a,)):
        problem = Problem(NET.space, ("latency",), priors=priors)
        surrogate = Surrogate(problem, "gp", "hierarchical", exact=True)
        surrogate.fit(X, F)
        taus.append(tau(surrogate.lower_bound(others, 1.0)[:, 0], others))
    assert taus[1] > taus[0] + 0.05


@pytest.mark.parametrize("which", ["lookup_table", "known_table"])
def test_where_latencies_are_known_there_is_nothing_to_transfer(which, lookup_table, known_table, request):
    target = request.getfixturevalue(which)
    with pytest.raises(UsageError, match=r"there is nothing to transfer, .* knows the latencies; leave it out"):
        search(NET, target, algorithm="linas", evals=40, transfer_from=[lookup_table, known_table])


def test_where_known_latencies_are_predicted_all_the_same_there_is_something_to_transfer(lookup_table, known_table):
    study = search(
        NET,
        lookup_table,
        algorithm="linas",
        settings={"exact": False, "first": 4, "inner_evals": 100},
        evals=8,
        transfer_from=known_table,
    )
    assert study.settings["transfer_from"] == known_table
    assert len(study.archive) == 8


def test_a_table_is_the_table_that_it_is(known_table, X):
    prior = prior_of(NET, known_table, None)
    np.testing.assert_allclose(prior(X), on_a(X) / 1e3, rtol=1e-12)


def test_a_perfect_source_is_used_at_once(X):
    rows = most_telling(NET.space, on_b, X[:100], 3)
    assert tau(Adapted(NET.space, [on_a, on_b], X[rows], on_b(X[rows]))(X), X) > 0.9


@pytest.mark.parametrize("kind", ["random", "additive", "constant"])
def test_a_bad_source_does_no_harm(X, kind):
    """From five measurements on, by the mean of several draws, tau is not below what it is without the source."""
    rng = np.random.default_rng(7)
    cost = rng.lognormal(0.0, 1.0, (NET.space.n_var, 4))
    said = {
        "random": rng.lognormal(0.0, 0.3, len(X)),
        "additive": cost[np.arange(NET.space.n_var), X].sum(axis=1),
        "constant": np.ones(len(X)),
    }[kind]
    options = {"splits": 6, "sizes": (5, 8, 12), "target": None}
    alone = curve(NET.space, X, on_b(X), None, np.random.default_rng(0), **options)
    misled = curve(NET.space, X, on_b(X), said, np.random.default_rng(0), **options)
    errors = np.hypot(alone.error, misled.error)
    assert (np.array(misled.tau) > np.array(alone.tau) - np.maximum(2 * errors, 0.03)).all()


def test_several_sources_tell_more_than_one(X):
    both = curve(
        NET.space, X, on_b(X), np.column_stack([on_a(X), TRAFFIC(X)]), np.random.default_rng(0),
        splits=3, sizes=(8,), target=None,
    )  # fmt: skip
    one = curve(NET.space, X, on_b(X), on_a(X), np.random.default_rng(0), splits=3, sizes=(8,), target=None)
    assert both.tau[0] > one.tau[0] + 0.02
    assert both.tau[0] > 0.97
