"""Dimensions of tensors as terms, and their unification.

Each dimension of each tensor is an ``Axis``. One that comes from a weight is a leaf whose size may shrink. Where two
tensors are added, or one is multiplied with the other, their dimensions must be equal and are unified, as type
variables are in type inference: leaves become the same leaf, and a leaf that meets a product (heads x head size) or a
join (a concatenation's parts) takes that form. What cannot be equal in any smaller size is fixed, with the reason.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from hwnas.supernets.space import IntArray

# Forms of an axis that is no leaf.
PRODUCT, JOIN = "product", "join"


class Axis:
    """One dimension; compare two by ``found() is``.

    Args:
        size: in the model as it was traced.
        fixed: why it cannot shrink; "": it can.
        batch: it is the number of samples.

    Attributes:
        form: "" for a leaf, or ``PRODUCT`` or ``JOIN``.
        heads: it counts the heads of an attention.
        counting: it is of the numbers 0, 1, 2 ..., so that what they index is taken whole.
        parts: of a product, the outermost first; of a join, in order.
    """

    __slots__ = ("_same", "batch", "counting", "fixed", "form", "heads", "parts", "size")

    def __init__(self, size: int, fixed: str = "", *, batch: bool = False) -> None:
        self.size = size
        self.fixed = fixed
        self.batch = batch
        self.form = ""
        self.heads = False
        self.counting = False
        self.parts: tuple[Axis, ...] = ()
        self._same: Axis | None = None

    def __repr__(self) -> str:
        axis = self.found()
        if axis.form:
            return f"{axis.form}({', '.join(map(repr, axis.parts))})"
        return f"{axis.size}{'!' if axis.fixed else ''}{'b' if axis.batch else ''}"

    def found(self) -> Axis:
        """Return the axis that this one was unified with, at the end of the chain."""
        axis = self
        while axis._same is not None:
            axis = axis._same
        if axis is not self:
            self._same = axis
        return axis

    def become(self, other: Axis) -> None:
        """Make this leaf the same as another axis."""
        self._same = other

    def leaves(self) -> Iterator[Axis]:
        """Yield the leaves, each as often as it occurs."""
        axis = self.found()
        if not axis.form:
            yield axis
        for part in axis.parts:
            yield from part.leaves()

    def factors(self) -> list[Axis]:
        """Return what it is a product of: leaves and joins, without sizes of 1."""
        axis = self.found()
        if axis.form == PRODUCT:
            return [factor for part in axis.parts for factor in part.factors()]
        return [axis] if axis.size > 1 else []

    def terms(self) -> list[Axis]:
        """Return what it is a concatenation of: leaves and products."""
        axis = self.found()
        return [term for part in axis.parts for term in part.terms()] if axis.form == JOIN else [axis]

    def measured(self, sizes: Mapping[Axis, int]) -> int:
        """Return its size where leaves have the sizes of a mapping, or else their own."""
        axis = self.found()
        if axis.form == PRODUCT:
            return math.prod(part.measured(sizes) for part in axis.parts)
        if axis.form == JOIN:
            return sum(part.measured(sizes) for part in axis.parts)
        return sizes.get(axis, axis.size)

    def kept(self, indices: Mapping[Axis, IntArray]) -> IntArray:
        """Return which of its entries stay where leaves keep those of a mapping, or else all; ascending."""
        axis = self.found()
        if axis.form == PRODUCT:
            result = np.zeros(1, dtype=np.int64)
            for part in axis.parts:
                result = (result[:, None] * part.found().size + part.kept(indices)[None, :]).reshape(-1)
            return result
        if axis.form == JOIN:
            starts = itertools.accumulate((part.found().size for part in axis.parts), initial=0)
            return np.concatenate([start + part.kept(indices) for start, part in zip(starts, axis.parts, strict=False)])
        return indices[axis] if axis in indices else np.arange(axis.size)


def fix(axis: Axis, reason: str) -> None:
    """Let no leaf of an axis shrink, for a reason."""
    for leaf in axis.leaves():
        leaf.fixed = leaf.fixed or reason


def product(parts: Sequence[Axis]) -> Axis:
    """Return the axis of a reshape that joins neighbouring dimensions."""
    factors = [factor for part in parts for factor in part.factors()]
    if len(factors) == 1:
        return factors[0]
    result = Axis(math.prod(factor.size for factor in factors), "" if factors else "it has one entry")
    if factors:
        result.form, result.parts = PRODUCT, tuple(factors)
    return result


def join(parts: Sequence[Axis]) -> Axis:
    """Return the axis of a concatenation."""
    terms = [term for part in parts for term in part.terms()]
    if len(terms) == 1:
        return terms[0]
    result = Axis(sum(term.size for term in terms))
    result.form, result.parts = JOIN, tuple(terms)
    return result


def unify(one: Axis, other: Axis, reason: str) -> None:
    """Make two axes equal in all sub-networks; where that is not possible in any smaller size, fix both.

    Args:
        one: an axis.
        other: an axis of the same size.
        reason: why they cannot shrink, if they cannot.
    """
    a, b = one.found(), other.found()
    if a is b:
        return
    if a.form and not b.form:
        a, b = b, a
    if a.form:
        _unify_forms(a, b, reason)
    elif a.size != b.size or (a.batch and b.form) or any(leaf is a for leaf in b.leaves() if b.form):
        fix(a, reason)
        fix(b, reason)
    else:
        if a.fixed or b.fixed:
            fix(b, a.fixed or b.fixed)
        b.batch = b.batch or a.batch
        if a.heads:
            for leaf in b.leaves():
                leaf.heads = True
        a.become(b)


def _unify_forms(a: Axis, b: Axis, reason: str) -> None:
    if a.form != b.form or a.size != b.size:
        fix(a, reason)
        fix(b, reason)
        return
    ones, others = (a.factors(), b.factors()) if a.form == PRODUCT else (a.terms(), b.terms())
    whole, fold = (product, math.prod) if a.form == PRODUCT else (join, sum)
    for left, right in _aligned(ones, others, fold):
        if len(left) > 1 and len(right) > 1:
            for axis in (*left, *right):
                fix(axis, reason)
        else:
            unify(whole(left), whole(right), reason)


def _aligned(ones: list[Axis], others: list[Axis], fold: object) -> Iterator[tuple[list[Axis], list[Axis]]]:
    """Yield the shortest runs of both lists that have the same size."""
    assert callable(fold)  # noqa: S101 - sum or product
    left: list[Axis] = []
    right: list[Axis] = []
    rest, more = iter(ones), iter(others)
    for axis in rest:
        left.append(axis)
        while fold(one.size for one in right) < fold(one.size for one in left):
            right.append(next(more))
        if fold(one.size for one in right) == fold(one.size for one in left):
            yield left, right
            left, right = [], []


def reshaped(axes: Sequence[Axis], sizes: Sequence[int], reason: str) -> list[Axis]:
    """Return the axes of a tensor that is given another shape.

    Neighbouring dimensions of both shapes with equal products belong together. A leaf that is split, such as channels
    into heads x head size, becomes the product of its parts. Of those that do not come apart, others are not touched.

    Args:
        axes: of the tensor.
        sizes: the new shape.
        reason: why axes cannot shrink whose parts do not come apart.
    """
    if 0 in sizes:
        return _none_fits(axes, sizes, reason)
    result, after, more = [], list(axes), list(sizes)
    while after or more:
        run, made, after, more = _first_run(after, more)
        result += _regrouped(run, made, reason)
    return result


def _first_run(axes: list[Axis], sizes: list[int]) -> tuple[list[Axis], list[int], list[Axis], list[int]]:
    """Return the first dimensions of two shapes with equal products, the fewest, and those behind them."""
    run, made, one, other = 0, 0, 1, 1
    while one != other or not run + made:
        if (one <= other and run < len(axes)) or made == len(sizes):
            one *= axes[run].size
            run += 1
        else:
            other *= sizes[made]
            made += 1
    # Dimensions of 1 go with those before them.
    while run < len(axes) and axes[run].size == 1:
        run += 1
    while made < len(sizes) and sizes[made] == 1:
        made += 1
    return axes[:run], sizes[:made], axes[run:], sizes[made:]


def _regrouped(axes: Sequence[Axis], sizes: Sequence[int], reason: str) -> list[Axis]:
    given = [factor for axis in axes for factor in axis.factors()]
    result = []
    for size in sizes:
        taken: list[Axis] = []
        while (now := math.prod(one.size for one in taken)) < size:
            head = given.pop(0)
            if size % (now * head.size) == 0:
                taken.append(head)
            elif size % now == 0 and head.size % (size // now) == 0 and not head.form:
                outer, inner = _split(head, size // now)
                taken.append(outer)
                given.insert(0, inner)
            else:
                return _none_fits(axes, sizes, reason)
        result.append(product(taken))
    return result


def _split(leaf: Axis, outer: int) -> tuple[Axis, Axis]:
    parts = (Axis(outer, leaf.fixed), Axis(leaf.size // outer, leaf.fixed))
    if not leaf.batch:
        leaf.form, leaf.parts = PRODUCT, parts
    else:
        fix(leaf, "samples are regrouped")
    return parts


def _none_fits(axes: Sequence[Axis], sizes: Sequence[int], reason: str) -> list[Axis]:
    for axis in axes:
        fix(axis, reason)
    return [Axis(size, reason) for size in sizes]
