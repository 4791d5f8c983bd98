from __future__ import annotations

import itertools

import numpy as np

from hwnas.supernets.blocks import Block, BlockSum, Slot, distinct_blocks, strides
from hwnas.supernets.space import Choice, SearchSpace

SPACE = SearchSpace((Choice("a", (1, 2)), Choice("b", (10, 20, 30)), Choice("c", (5, 6))))


def block(cost: int) -> Block:
    return Block("x", (cost,), (1,), macs=cost)


FIXED = Slot("head", (), (block(1000),))
PAIR = Slot("pair", (2, 0), (block(1), block(2), None, block(4)), repeats=3)
SINGLE = Slot("single", (1,), (block(10), block(20), block(10)))
SLOTS = (FIXED, PAIR, SINGLE)


def by_hand(x) -> int:
    pair = {(0, 0): 1, (0, 1): 2, (1, 0): 0, (1, 1): 4}[x[2], x[0]]
    return 1000 + 3 * pair + (10, 20, 10)[x[1]]


def test_sum_over_the_whole_space():
    X = np.array(list(itertools.product(range(2), range(3), range(2))))
    total = BlockSum(SPACE, SLOTS, lambda found: found.macs)
    assert total(X).tolist() == [by_hand(x) for x in X]


def test_repeats_count_per_inference_only():
    X = np.array([[1, 0, 1]])
    assert BlockSum(SPACE, SLOTS, lambda found: found.macs, per_inference=False)(X).tolist() == [1000 + 4 + 10]


def test_more_rows_than_a_chunk(rng):
    X = SPACE.sample(40_000, rng)
    before = X.copy()
    assert np.array_equal(BlockSum(SPACE, SLOTS, lambda found: found.macs)(X), [by_hand(x) for x in X.tolist()])
    assert np.array_equal(X, before)


def test_no_rows():
    assert BlockSum(SPACE, SLOTS, lambda found: found.macs)(np.empty((0, 3), dtype=np.int64)).shape == (0,)


def test_strides_are_numpys():
    for sizes in ((4,), (2, 3), (3, 1, 5)):
        array = np.zeros(sizes, dtype=np.int8)
        assert strides(sizes) == array.strides


def test_distinct_blocks_come_once():
    assert [found.macs for found in distinct_blocks(SLOTS)] == [1000, 1, 2, 4, 10, 20]
