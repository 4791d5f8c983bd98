"""``hit-rate:PREFIX``: how often a user's held-out item is among the ten that a sub-network ranks first (HR@10).

The held-out item of each user is ranked among 99 negatives, which the user has not interacted with (He et al., 2017,
arXiv 1708.05031). NDCG@10, which weights higher ranks more, is reported in addition.

As in He et al., an item that is listed twice counts once, and the held-out item never counts against itself: 156 of the
6,040 users of their MovieLens-1M files have it among their negatives.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwnas.backends.outputs import check_finite
from hwnas.harness.data.interactions import FORMS, Split, digest, load
from hwnas.harness.measurement.intervals import wilson
from hwnas.harness.quality.evaluated import EvaluatedQuality
from hwnas.harness.quality.quality import QualityOptions, QualityProgress, Score
from hwnas.supernets.contents import Content
from hwnas.supernets.errors import NotServedError, QualityError
from hwnas.supernets.space import BoolArray, Config, FloatArray, IntArray
from hwnas.supernets.supernet import SuperNetwork

SPELLED = "hit-rate:PREFIX"
SUMMARY = "HR@10 of a recommender: how often the held-out item is ranked among the first ten"

USES_WEIGHTS = True

TOP = 10
_SEED = 0
# Users at a time: with 100 candidates each, a layer of 1,024 fills 13 MB.
_AT_ONCE = 32


def serves(name: str, net: SuperNetwork) -> list[str]:
    """Return the spec of this source if ``net`` is a recommender; else nothing."""
    return [f"{name}:PREFIX"] if getattr(net, "data", None) == "interactions" else []


def create(name: str, argument: str, net: SuperNetwork, options: QualityOptions) -> EvaluatedQuality:
    """Return the hit rate of ``net`` on the interactions at ``PREFIX``.

    Raises:
        QualityError: there is no prefix, or there are no weights.
        DataError: the files are not of the expected form, or have users or items that ``net`` has no embeddings for.
    """
    if not serves(name, net):
        raise NotServedError(f"{name}: {net.name}: scores no items of users")
    if not argument:
        raise QualityError(f"{name}: expected {name}:PREFIX; {FORMS}")
    split = load(argument, net)
    users, candidates = _subset(split, options.subset)
    popular = ranks(popularity(split, candidates), distinct(candidates))
    counted, known = f"{len(users):,} users", digest(split)
    more = (
        f"an item of each among the distinct ones of {candidates.shape[1] - 1} others, scored in double precision "
        f"(popularity alone reaches {hit_rate(popular):.4f}; digest {known})"
    )
    return EvaluatedQuality(
        name=f"{name}:{argument}",
        metric="hr10",
        unit="",
        maximise=True,
        net=net,
        options=options,
        data=f"{counted} of {argument}, {more}",
        score=_Scorer(net, options, users, candidates, popular),
        known_by=f"{name} ({counted}, {more}",
        examples={"interactions": Content(argument, known)},
    )


# --- ranking ---------------------------------------------------------------------------------------------------------


def ranks(scores: npt.NDArray[np.floating], counted: BoolArray | None = None) -> IntArray:
    """Return the rank of the first candidate of each user, from 0: how many others score at least as high, ``(t,)``.

    Equal scores and nan count as higher: a network that gives equal or invalid scores must not look perfect.

    Args:
        scores: of the candidates, the held-out one first, ``(t, c)``.
        counted: which of the others count, see ``distinct``, ``(t, c - 1)``; ``None``: all.
    """
    ahead = ~(scores[:, 1:] < scores[:, :1])
    return np.asarray(np.count_nonzero(ahead if counted is None else ahead & counted, axis=1), dtype=np.int64)


def distinct(candidates: IntArray) -> BoolArray:
    """Return which candidates after the first are different from it and from all before them, ``(t, c - 1)``.

    Args:
        candidates: items to rank, the held-out one first, ``(t, c)``.
    """
    order = np.argsort(candidates, axis=1, kind="stable")
    ordered = np.take_along_axis(candidates, order, axis=1)
    new = np.ones(candidates.shape, dtype=bool)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    there = np.empty_like(new)
    np.put_along_axis(there, order, new, axis=1)
    return there[:, 1:]


def hit_rate(found: IntArray, top: int = TOP) -> float:
    """Return the share of ranks, ``(t,)``, within the first ``top``."""
    return float((found < top).mean())


def ndcg(found: IntArray, top: int = TOP) -> float:
    """Return the mean normalised discounted cumulative gain of ranks, ``(t,)``, of one right item each."""
    return float(np.where(found < top, math.log(2) / np.log(found + 2), 0).mean())


def popularity(split: Split, candidates: IntArray) -> FloatArray:
    """Return how many training interactions each of ``candidates``, ``(t, c)``, has."""
    counts = np.bincount(split.items, minlength=split.n_items)
    return counts[candidates].astype(np.float64)


# --- sub-networks ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Scorer:
    net: SuperNetwork
    options: QualityOptions
    users: IntArray
    candidates: IntArray
    popular: IntArray

    def __call__(self, config: Config) -> Score:
        found = ranks(self._scores(config), distinct(self.candidates))
        value, n = hit_rate(found), len(found)
        others = {
            "ndcg10": ndcg(found),
            "popularity_hr10": hit_rate(self.popular),
            "popularity_ndcg10": ndcg(self.popular),
        }
        return Score(value, *wilson(value, n), n, others)

    def _scores(self, config: Config) -> FloatArray:
        import torch

        # In double precision: in single, the order of similar items depends on how the machine multiplies matrices.
        module = self.net.build(config, self.options.weights).double()
        users, candidates = torch.from_numpy(self.users), torch.from_numpy(self.candidates)
        parts = []
        with torch.inference_mode():
            for start in range(0, len(users), _AT_ONCE):
                some = slice(start, start + _AT_ONCE)
                parts.append(check_finite(module(users[some], candidates[some]), "the network's scores").numpy())
                self._say(min(start + _AT_ONCE, len(users)))
        return np.concatenate(parts)

    def _say(self, done: int) -> None:
        if self.options.progress is not None:
            self.options.progress(
                QualityProgress(done, len(self.users), f"ranked for {done} of {len(self.users)} users")
            )


def _subset(split: Split, n: int | None) -> tuple[IntArray, IntArray]:
    """Return test users and their candidates: all of them, or ``n`` drawn by a fixed seed."""
    there = len(split.test_users)
    if n is None or n >= there:
        return split.test_users, split.candidates
    if n < 1:
        raise QualityError(f"subset: expected at least 1 user, got {n}")
    chosen = np.sort(np.random.default_rng(_SEED).permutation(there)[:n])
    return split.test_users[chosen], split.candidates[chosen]
