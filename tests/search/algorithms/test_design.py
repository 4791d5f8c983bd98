"""The first population of LINAS: from what is known before anything is evaluated."""

from __future__ import annotations

import numpy as np
import pytest

from hwnas import supernets
from hwnas.search import algorithms
from hwnas.search.algorithm import Problem
from hwnas.search.algorithms._design import largest, sized
from hwnas.search.sampling import of_all_sizes

NET = supernets.get("ofa-mbv3-w1.0")


def elsewhere(X):
    """Latencies on another platform: MACs, and a fixed cost for every layer."""
    return 1e-9 * NET.macs(X) + 0.01 * NET.space.active(X).sum(axis=1)


def problem(priors=((elsewhere, None)), **more):
    return Problem(NET.space, ("latency", "top1"), known=(NET.macs, NET.params), priors=priors, **more)


def first(asked, **settings):
    return algorithms.create("linas", asked, 40, np.random.default_rng(0), settings).ask()


def priced(**more):
    """A problem whose latency is known exactly."""
    return Problem(NET.space, ("latency", "top1"), exact=(elsewhere, None), known=(NET.macs, NET.params), **more)


def test_it_has_the_most_parameters_for_its_cost():
    X = first(priced())
    cost, size = elsewhere(X), NET.params(X)
    assert len(X) == 12
    assert (np.diff(cost) > 0).all()
    # Nothing of thousands of every size costs less and has more parameters, but for what the evolution has not found.
    others = of_all_sizes(NET.space, 4000, np.random.default_rng(1))
    cheaper = elsewhere(others) <= cost[:, None]
    assert (np.where(cheaper, NET.params(others), 0).max(axis=1) <= 1.01 * size).all()


def test_it_goes_from_end_to_end_in_equal_steps_of_cost():
    cost = elsewhere(first(priced()))
    ends = elsewhere(np.concatenate([NET.space.smallest(), NET.space.largest()]))
    assert cost[[0, -1]] == pytest.approx(ends, rel=0.02)
    assert np.diff(cost).max() < 2 * np.ptp(ends) / 11


def test_the_cost_is_macs_where_it_has_to_be_measured():
    X = first(problem(()))
    macs, size = NET.macs(X), NET.params(X)
    others = of_all_sizes(NET.space, 4000, np.random.default_rng(1))
    cheaper = NET.macs(others) <= macs[:, None]
    assert (np.where(cheaper, NET.params(others), 0).max(axis=1) <= 1.01 * size).all()


@pytest.mark.parametrize("known", [(), (NET.params,)], ids=["nothing", "size alone"])
def test_without_a_cost_and_a_size_it_is_spread(known):
    asked = Problem(NET.space, ("latency", "top1"), known=known)
    found, expected = (made(asked, 12, np.random.default_rng(4)) for made in (largest, sized))
    assert found.tolist() == expected.tolist()


def test_a_front_of_few_is_filled_up():
    """All cost the same: there is one that is largest."""
    asked = Problem(NET.space, ("a", "b"), exact=(lambda X: np.ones(len(X)), None), known=(NET.params,))
    X = largest(asked, 12, np.random.default_rng(0))
    assert 10 <= len(X) <= 12
    assert len(np.unique(X, axis=0)) == len(X)
    assert NET.params(X[:1]) == NET.params(NET.space.largest())


def test_bounds_and_constraints_hold_for_those_of_most_parameters():
    asked = priced(bounds=(0.5, None), violation=lambda X: np.maximum(0.0, NET.params(X) / 1e6 - 4.5))
    X = largest(asked, 12, np.random.default_rng(0))
    assert 10 <= len(X) <= 12
    assert (elsewhere(X) <= 0.5).sum() >= 10
    assert (asked.violations(X) == 0).all()


def test_what_other_platforms_say_changes_nothing_of_it():
    rng = np.random.default_rng(3)
    alone = first(problem(()))
    assert len(alone) == 12
    for source in (elsewhere, lambda X: np.ones(len(X)), lambda X: rng.lognormal(size=len(X))):
        assert first(problem((source, None))).tolist() == alone.tolist()


def test_a_source_of_some_sub_networks_alone_serves():
    """A table that was not completed has nan where it knows nothing."""
    asking = problem((lambda X: np.where(NET.macs(X) > 3e8, np.nan, elsewhere(X)), None))
    algorithm = algorithms.create("linas", asking, 40, np.random.default_rng(0), {"inner_evals": 400})
    asked = algorithm.ask()
    algorithm.tell(asked, np.stack([elsewhere(asked), -NET.params(asked)], axis=1))
    assert len(algorithm.ask()) == 4


@pytest.mark.parametrize("least", [0, 2, 5])
def test_what_is_known_already_and_a_smaller_size_count(least):
    known = NET.space.canonical(NET.space.sample(least, 5))
    algorithm = algorithms.create("linas", problem(), 40, np.random.default_rng(0), {"initial": known})
    if least:
        asked = algorithm.ask()
        algorithm.tell(asked, np.stack([elsewhere(asked), -NET.params(asked)], axis=1))
    assert len(algorithm.ask()) == 12 - least
    assert len(first(problem(), first=5)) == 5
    assert len(first(problem(), first=24)) == 24


def test_constraints_on_what_is_known_are_met():
    asked = problem(violation=lambda X: np.maximum(0.0, NET.macs(X) / 1e6 - 250.0))
    X = first(asked)
    assert len(X) >= 6
    assert (asked.violations(X) == 0).all()


def test_where_nothing_is_known_of_sub_networks_it_is_spread():
    asked = Problem(NET.space, ("latency", "top1"), priors=(elsewhere, None))
    assert len(first(asked)) == 12
