from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwnas import supernets
from hwnas.supernets.errors import ConfigError
from hwnas.supernets.space import Choice, SearchSpace

# Two stages of one to two layers, one choice with aliases: small enough to enumerate.
TINY = SearchSpace(
    (
        Choice("k", (3, 5, 7)),
        Choice("k", (3, 5, 7), needs=(2, 1)),
        Choice("d", (1, 2)),
        Choice("w", (0.65, 0.8, 1.0), same_as=(0, 0, 2)),
    ),
    fixed={"r": [224]},
    ignored={"wid": None},
)
MBV3 = supernets.get("ofa-mbv3-w1.0").space


def everything(space: SearchSpace) -> np.ndarray:
    return np.array(list(itertools.product(*(range(n) for n in space.n_options))), dtype=np.int64)


def vectors(space: SearchSpace) -> st.SearchStrategy[np.ndarray]:
    rows = st.tuples(*(st.integers(0, int(n) - 1) for n in space.n_options))
    return st.lists(rows, min_size=1, max_size=5).map(lambda found: np.array(found, dtype=np.int64))


def test_sizes_by_enumeration():
    X = everything(TINY)
    assert TINY.size == len(X) == 54
    assert TINY.distinct_size == len(set(TINY.keys(X)))


def test_published_sizes():
    assert f"{MBV3.size:.2e}" == "2.95e+21"
    assert MBV3.distinct_size == (9**2 + 9**3 + 9**4) ** 5


@pytest.mark.slow
@given(vectors(MBV3))
def test_decode_encode_round_trip(X):
    before = X.copy()
    assert np.array_equal(MBV3.encode(MBV3.decode(X)), X)
    assert np.array_equal(X, before)


@pytest.mark.slow
@given(vectors(MBV3))
def test_canonical_is_idempotent_and_keeps_the_network(X):
    before = X.copy()
    canonical = MBV3.canonical(X)
    assert np.array_equal(MBV3.canonical(canonical), canonical)
    assert np.array_equal(MBV3.active(canonical), MBV3.active(X))
    assert np.array_equal(canonical[MBV3.active(X)], X[MBV3.active(X)])
    assert not canonical[~MBV3.active(X)].any()
    assert np.array_equal(X, before)


@pytest.mark.slow
@given(vectors(MBV3), st.randoms(use_true_random=False))
def test_inactive_choices_change_neither_key_nor_features(X, random):
    other = X.copy()
    for row, column in np.argwhere(~MBV3.active(X)):
        other[row, column] = random.randrange(int(MBV3.n_options[column]))
    assert MBV3.keys(other) == MBV3.keys(X)
    assert np.array_equal(MBV3.one_hot(other), MBV3.one_hot(X))


def test_one_hot_by_hand():
    features = TINY.one_hot(np.array([[2, 1, 0, 1], [0, 1, 1, 2]]))
    #                          k0       k1 (off, on)  d     w (0.8 is 0.65)
    assert features.tolist() == [
        [*(0, 0, 1), *(0, 0, 0), *(1, 0), *(1, 0, 0)],
        [*(1, 0, 0), *(0, 1, 0), *(0, 1), *(0, 0, 1)],
    ]


def test_features_tell_networks_apart():
    X = everything(TINY)
    rows = {tuple(row) for row in TINY.one_hot(X)}
    assert len(rows) == TINY.distinct_size


def test_sample_is_seeded_and_uniform():
    X = MBV3.sample(3000, seed=0)
    assert X.shape == (3000, 45)
    assert X.dtype == np.int64
    assert np.array_equal(X, MBV3.sample(3000, seed=0))
    assert not np.array_equal(X, MBV3.sample(3000, seed=1))
    shares = np.stack([(index == X).mean(0) for index in range(3)])
    assert np.abs(shares - 1 / 3).max() < 0.05  # six standard deviations


def test_sample_moves_the_generator_it_is_given(rng):
    assert not np.array_equal(MBV3.sample(4, rng), MBV3.sample(4, rng))


def test_smallest_and_largest():
    smallest, largest = TINY.decode(np.concatenate([TINY.smallest(), TINY.largest()]))
    assert smallest == {"k": [3, 3], "d": [1], "w": [0.65], "r": [224]}
    assert largest == {"k": [7, 7], "d": [2], "w": [1.0], "r": [224]}


def test_configs_do_not_share_lists():
    first, second = TINY.decode(TINY.sample(2, 0))
    first["r"].append(1)
    assert second["r"] == [224]
    assert TINY.decode(TINY.smallest())[0]["r"] == [224]


@pytest.mark.parametrize(
    "config",
    [
        {"k": [3, 3], "d": [1], "w": [0.65]},
        {"k": (3, 3), "d": 1, "w": 0.65, "r": 224, "wid": None},
        {"k": [3.0, 3], "d": [1], "w": [0.65], "r": [224]},
        {"k": np.array([3, 3]), "d": np.int64(1), "w": [np.float64(0.65)], "r": np.array([224]), "wid": None},
    ],
)
def test_accepted_spellings(config):
    assert np.array_equal(TINY.encode(config), TINY.smallest())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": [3]}, "k: expected 2 values, got 1"),
        ({"k": [3, 4]}, r"k\[1\]: expected one of {3, 5, 7}, got 4"),
        ({"k": [3, True]}, "got True"),
        ({"k": [3, "5"]}, "got '5'"),
        ({"k": [3, [5]]}, r"got \[5\]"),
        ({"d": float("nan")}, "got nan"),
        ({"r": [160]}, r"r: is fixed at \[224\] in this space"),
        ({"kk": [3, 3]}, "unknown key 'kk'; did you mean 'k'"),
        ({"wid": 1}, "unknown key 'wid'"),
    ],
)
def test_bad_configs_say_what_is_right(change, message):
    with pytest.raises(ConfigError, match=message):
        TINY.encode([TINY.decode(TINY.smallest())[0], TINY.decode(TINY.smallest())[0] | change])


def test_missing_key_and_non_object():
    with pytest.raises(ConfigError, match=r"config 0: missing w; a config looks like"):
        TINY.encode({"k": [3, 3], "d": [1]})
    with pytest.raises(ConfigError, match="expected an object"):
        TINY.encode([[1, 2]])


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros(4, dtype=int), r"expected shape \(n, 4\), got \(4,\)"),
        (np.zeros((1, 3), dtype=int), r"got \(1, 3\)"),
        (np.zeros((1, 4)), "expected integers"),
        (np.array([[0, 0, 2, 0]]), r"X\[0, 2\]: expected 0..1"),
        (np.array([[0, -1, 0, 0]]), r"X\[0, 1\]: expected 0..2"),
    ],
)
def test_vectors_are_checked(X, message):
    for method in (TINY.check, TINY.canonical, TINY.active, TINY.one_hot, TINY.decode, TINY.keys):
        with pytest.raises(ConfigError, match=message):
            method(X)


def test_empty_batches():
    X = TINY.encode([])
    assert X.shape == (0, 4)
    assert TINY.decode(X) == TINY.keys(X) == []
    assert TINY.one_hot(X).shape == (0, 11)


def test_chained_needs_are_refused():
    with pytest.raises(ValueError, match="itself needs another"):
        SearchSpace((Choice("a", (1, 2)), Choice("b", (1, 2), needs=(0, 1)), Choice("c", (1, 2), needs=(1, 1))))


def test_a_choice_that_is_there_with_one_of_two_equal_indices_is_refused():
    def space(least):
        return SearchSpace((Choice("a", (1, 2, 3), same_as=(0, 0, 2)), Choice("b", (1, 2), needs=(0, least))))

    with pytest.raises(ValueError, match=r"choice 1 needs index 1 of column 0, which by its same_as builds the same"):
        space(1)
    assert space(2).distinct_size == len(set(space(2).keys([[a, b] for a in range(3) for b in range(2)])))
