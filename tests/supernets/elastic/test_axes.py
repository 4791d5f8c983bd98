"""Dimensions as terms: what they are after unification, and which entries stay."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwnas.supernets.elastic.axes import Axis, fix, join, product, reshaped, unify


def test_a_leaf_takes_the_form_that_it_meets():
    channels, heads, size = Axis(12), Axis(3), Axis(4)
    unify(channels, product([heads, size]), "here")
    assert repr(channels) == "product(3, 4)"
    assert channels.measured({heads: 2}) == 8
    assert channels.kept({heads: np.array([0, 2])}).tolist() == [0, 1, 2, 3, 8, 9, 10, 11]


def test_a_concatenation_keeps_parts_of_each():
    one, other = Axis(4), Axis(6)
    both = join([one, other])
    assert both.kept({one: np.array([3]), other: np.array([0, 5])}).tolist() == [3, 4, 9]
    unify(Axis(10), both, "here")
    assert not one.fixed


def test_what_never_fits_is_fixed_with_the_reason():
    one, other = product([Axis(4), Axis(6)]), product([Axis(6), Axis(4)])
    unify(one, other, "a line of the model")
    assert {leaf.fixed for axis in (one, other) for leaf in axis.leaves()} == {"a line of the model"}


def test_a_leaf_does_not_become_a_part_of_itself():
    leaf = Axis(8)
    unify(leaf, join([leaf, Axis(8)]), "a circle")
    assert leaf.fixed == "a circle"


def test_being_fixed_spreads():
    one, two, three = Axis(8), Axis(8), Axis(8)
    unify(one, two, "")
    fix(two, "why")
    unify(three, one, "")
    assert three.found().fixed == "why"


def test_a_batch_is_never_split():
    batch = Axis(6, batch=True)
    reshaped([batch, Axis(4)], [3, 8], "regrouped")
    assert batch.fixed


def test_what_does_not_come_apart_leaves_other_dimensions_as_they_are():
    batch, one, other, last = Axis(3, batch=True), Axis(16), Axis(16), Axis(5)
    result = reshaped([batch, join([one, other]), last], [3, 2, 16, 5], "regrouped")
    assert (one.fixed, other.fixed, batch.fixed, last.fixed) == ("regrouped", "regrouped", "", "")
    assert [axis.size for axis in result] == [3, 2, 16, 5]
    assert (result[0].found(), result[3].found()) == (batch, last)


@pytest.mark.parametrize(
    ("sizes", "made"), [((1, 1, 6), (6, 1)), ((2, 1, 3), (1, 2, 3)), ((), (1, 1)), ((1,), ()), ((4, 6), (2, 1, 12))]
)
def test_dimensions_of_one_entry_come_and_go(sizes, made):
    assert tuple(axis.size for axis in reshaped([Axis(size) for size in sizes], made, "")) == made


_sizes = st.lists(st.integers(2, 4), min_size=1, max_size=4)


@given(_sizes, st.data())
def test_a_reshape_and_back_keeps_the_same_entries(sizes, data):
    """As numpy does it: the entries that stay of the whole are those of the parts."""
    leaves = [Axis(size) for size in sizes]
    (whole,) = reshaped(leaves, [math.prod(sizes)], "")
    chosen = {leaf: _chosen(leaf.size, data) for leaf in leaves}
    grid = np.arange(math.prod(sizes)).reshape(sizes)
    assert whole.kept(chosen).tolist() == grid[np.ix_(*chosen.values())].reshape(-1).tolist()
    back = reshaped([whole], sizes, "")
    assert [axis.found() for axis in back] == [leaf.found() for leaf in leaves]


@given(st.integers(2, 5), st.integers(2, 5), st.data())
def test_a_split_is_undone_by_a_reshape(outer, inner, data):
    channels = Axis(outer * inner)
    one, other = reshaped([channels], [outer, inner], "")
    kept = {one.found(): _chosen(outer, data), other.found(): _chosen(inner, data)}
    grid = np.arange(outer * inner).reshape(outer, inner)
    assert channels.kept(kept).tolist() == grid[np.ix_(*kept.values())].reshape(-1).tolist()


def _chosen(size, data):
    return np.array(sorted(data.draw(st.sets(st.integers(0, size - 1), min_size=1))), dtype=np.int64)
