"""``interactions:PREFIX[,batch=N]``: train a recommender on user-item interactions (He et al., 2017).

Each user's latest item is held out for testing. A mini-batch has some of the other interactions, each with random
negatives: items that the user has not interacted with.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from hwnas.harness.data._interaction_files import FORMS, InteractionLog, Split, read
from hwnas.harness.data.argument import parse_argument, whole_number
from hwnas.supernets.contents import Content
from hwnas.supernets.errors import DataError, UsageError
from hwnas.supernets.space import BoolArray, Config, IntArray
from hwnas.supernets.supernet import SuperNetwork
from hwnas.supernets.training import Batch, TrainingOptions

if TYPE_CHECKING:
    import torch

__all__ = ["FORMS", "InteractionTask", "Split", "create", "leave_one_out", "load"]

# How many negatives a held-out item is ranked among, and the seed by which they are drawn.
NEGATIVES = 99
_SEED = 0
# Negatives per training interaction.
_NEGATIVES_IN_TRAINING = 4
_BATCH = 512
_EPOCHS = 20
# How many random numbers are drawn at a time for negatives: a table of all users and items would be too large.
_AT_ONCE = 2**24


def create(name: str, argument: str, net: SuperNetwork) -> InteractionTask:
    """Make the training task; raises ``DataError`` if the files do not fit ``net``."""
    prefix, options = parse_argument(name, argument, ("batch",))
    batch = whole_number(name, "batch", options.get("batch", str(_BATCH)), 1)
    return InteractionTask(f"{name}:{argument}", prefix, load(prefix, net), batch)


def load(prefix: str, net: SuperNetwork) -> Split:
    """Read interactions, and split them, see ``leave_one_out``, unless the files are split already.

    Raises:
        UsageError: ``net`` is not a recommender.
        DataError: a file is not of the expected form, or has users or items that ``net`` has no embeddings for.
    """
    users, items = getattr(net, "users", None), getattr(net, "items", None)
    if users is None or items is None:
        raise UsageError(f"{net.name}: scores no items of users; interactions are for ncf")
    found = read(prefix)
    split = leave_one_out(found, np.random.default_rng(_SEED)) if isinstance(found, InteractionLog) else found
    if split.n_users > users or split.n_items > items:
        raise DataError(
            f"{prefix}: has {split.n_users} users and {split.n_items} items, {net.name} has rows for {users} and "
            f"{items}; use {net.name.partition(':')[0]}:users={split.n_users},items={split.n_items}"
        )
    return split


def leave_one_out(log: InteractionLog, rng: np.random.Generator, negatives: int = NEGATIVES) -> Split:
    """Hold out each user's latest item, to be ranked among negatives: items without an interaction of this user.

    Among equal times the later line is the later one; a repeated item counts once, at its last time. A user with a
    single item is trained on and not tested.

    Args:
        log: the interactions.
        rng: draws the negatives.
        negatives: how many per user.

    Raises:
        DataError: a user has interacted with nearly all items, so that there are too few negatives.
    """
    n_users, n_items = len(log.user_names), len(log.item_names)
    order = np.lexsort((np.arange(len(log.users)), log.times, log.users))
    users, items = log.users[order], log.items[order]
    kept = _last_of_each(users * n_items + items)
    users, items = users[kept], items[kept]
    last = np.append(users[1:] != users[:-1], True)
    last &= np.bincount(users, minlength=n_users)[users] > 1
    if not last.any():
        raise DataError(f"{log.file}: no user has two items, so that none can be held out")
    seen = _Seen(users, items, n_users, n_items)
    short = np.argwhere(n_items - seen.counts[users[last]] < negatives)
    if len(short):
        user = int(users[last][short[0, 0]])
        raise DataError(
            f"{log.file}: user {log.user_names[user]} had to do with {seen.counts[user]} of {n_items} items; "
            f"{negatives} others are needed to rank a held-out one among"
        )
    others = seen.others(users[last], negatives, rng)
    candidates = np.concatenate([items[last][:, None], others], axis=1)
    return Split(n_users, n_items, users[~last], items[~last], users[last], candidates)


def _last_of_each(values: IntArray) -> IntArray:
    """Return the last position of each distinct value, ascending."""
    _, first = np.unique(values[::-1], return_index=True)
    return np.sort(len(values) - 1 - first)


class _Seen:
    """The items that each user has interacted with.

    Args:
        users: the user of each interaction, ``(n,)``.
        items: the item of each interaction, ``(n,)``.
        n_users: the number of users.
        n_items: the number of items.

    Attributes:
        counts: the number of distinct items of each user, ``(n_users,)``.
    """

    def __init__(self, users: IntArray, items: IntArray, n_users: int, n_items: int) -> None:
        self._n_items = n_items
        self._codes = np.unique(users * n_items + items)
        self.counts = np.bincount(self._codes // n_items, minlength=n_users)

    def has(self, users: IntArray, items: IntArray) -> BoolArray:
        """Return for each pair of a user and an item whether there is an interaction; all of one shape."""
        codes = users * self._n_items + items
        at = np.searchsorted(self._codes, codes)
        found: BoolArray = self._codes[np.minimum(at, len(self._codes) - 1)] == codes
        return found

    def unseen(self, users: IntArray, rng: np.random.Generator) -> IntArray:
        """Draw one negative for each of ``users``, of any shape."""
        items = rng.integers(self._n_items, size=users.shape)
        while (wrong := self.has(users, items)).any():
            items[wrong] = rng.integers(self._n_items, size=np.count_nonzero(wrong))
        return items

    def others(self, users: IntArray, n: int, rng: np.random.Generator) -> IntArray:
        """Draw ``n`` different negatives for each of ``users``, ``(t,)``."""
        chosen = np.empty((len(users), n), dtype=np.int64)
        rows = max(1, _AT_ONCE // self._n_items)
        for start in range(0, len(users), rows):
            some = users[start : start + rows]
            order = rng.random((len(some), self._n_items))
            everything = np.broadcast_to(np.arange(self._n_items), order.shape)
            order[self.has(np.broadcast_to(some[:, None], order.shape), everything)] = np.inf
            chosen[start : start + rows] = np.argsort(order, axis=1)[:, :n]
        return chosen


@dataclass(frozen=True, eq=False)
class InteractionTask:
    """Recommending items to users; see ``hwnas.supernets.training.TrainingTask``.

    Attributes:
        prefix: of the files, for messages.
        split: the training interactions.
        batch: interactions in a mini-batch, negatives not counted.
    """

    name: str
    prefix: str
    split: Split
    batch: int = _BATCH

    def __post_init__(self) -> None:
        everything = np.argwhere(self._seen.counts >= self.split.n_items)
        if len(everything):
            raise DataError(f"{self.prefix}: user {everything[0, 0]} had to do with all items, so that none is random")

    @cached_property
    def contents(self) -> dict[str, Content]:
        """The digest of the interactions."""
        return {"interactions": Content(self.prefix, digest(self.split))}

    @property
    def note(self) -> str:
        """One line: how many interactions of how many users."""
        split = self.split
        return (
            f"{len(split.users):,} interactions of {split.n_users:,} users with {split.n_items:,} items; "
            f"{len(split.test_users):,} are held out"
        )

    @property
    def batches_per_epoch(self) -> int:
        """Mini-batches in one epoch."""
        return math.ceil(len(self.split.users) / self.batch)

    @property
    def defaults(self) -> TrainingOptions:
        """Default options: one uniformly drawn sub-network per mini-batch (Cummings et al.), and Adam (He et al.)."""
        return TrainingOptions(
            steps=_EPOCHS * self.batches_per_epoch,
            lr=3e-3,
            schedule="cosine",
            optimizer="adam",
            weight_decay=0.0,
            sampling="uniform",
            samples=1,
            distillation=0.0,
        )

    def batches(self, rng: np.random.Generator, start: int = 0) -> Iterator[Batch]:
        """Yield one epoch; a mini-batch has users ``(b,)`` and items ``(b, 5)``, the positive one first.

        The negatives of the whole epoch are drawn at its beginning.
        """
        import torch

        split = self.split
        order = rng.permutation(len(split.users))
        users = split.users[order]
        random = self._seen.unseen(np.broadcast_to(users[:, None], (len(users), _NEGATIVES_IN_TRAINING)), rng)
        items = np.concatenate([split.items[order][:, None], random], axis=1)
        for at in range(start * self.batch, len(users), self.batch):
            yield torch.from_numpy(users[at : at + self.batch]), torch.from_numpy(items[at : at + self.batch])

    def inputs(self, batch: Batch, config: Config) -> tuple[torch.Tensor, ...]:  # noqa: ARG002 - a task's signature
        """Return users and items."""
        return batch

    def loss(self, outputs: torch.Tensor, batch: Batch) -> torch.Tensor:  # noqa: ARG002 - likewise
        """Return the mean cross-entropy of logits ``(b, 5)``, the first of which should be high."""
        from torch.nn.functional import softplus

        right, random = outputs[:, :1], outputs[:, 1:]
        return (softplus(-right).sum() + softplus(random).sum()) / outputs.numel()

    def soft_loss(self, outputs: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
        """Return the mean cross-entropy with a larger sub-network's probabilities."""
        from torch.nn.functional import binary_cross_entropy_with_logits

        return binary_cross_entropy_with_logits(outputs, teacher.sigmoid())

    @cached_property
    def _seen(self) -> _Seen:
        split = self.split
        return _Seen(split.users, split.items, split.n_users, split.n_items)


def digest(split: Split) -> str:
    """Return a digest of the split, whatever files it comes from."""
    content = hashlib.sha256(repr((split.n_users, split.n_items)).encode())
    for part in (split.users, split.items, split.test_users, split.candidates):
        content.update(np.ascontiguousarray(part).tobytes())
    return content.hexdigest()[:16]
