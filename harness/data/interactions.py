"""``interactions:PREFIX[,batch=N]``: who had to do with what, to learn to rank items from (He et al., 2017).

Each user's latest item is held out. A mini-batch has some of the other interactions, each with items drawn at random
that the user had nothing to do with.
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

# Items that a held-out one is ranked among, and the seed that they are drawn by.
NEGATIVES = 99
_SEED = 0
# Items that the user had nothing to do with, per interaction that is learned from.
_NEGATIVES_IN_TRAINING = 4
_BATCH = 512
_EPOCHS = 20
# Numbers drawn at a time for users' negatives, which one row per user and one column per item would be too many of.
_AT_ONCE = 2**24


def create(name: str, argument: str, net: SuperNetwork) -> InteractionTask:
    """Make the training task; raises ``DataError`` where the files do not serve ``net``."""
    prefix, options = parse_argument(name, argument, ("batch",))
    batch = whole_number(name, "batch", options.get("batch", str(_BATCH)), 1)
    return InteractionTask(f"{name}:{argument}", prefix, load(prefix, net), batch)


def load(prefix: str, net: SuperNetwork) -> Split:
    """Read interactions, and split them where the files do not; see ``leave_one_out``.

    Raises:
        UsageError: ``net`` scores no items.
        DataError: a file is not what it should be, or has users or items that ``net`` has no rows for.
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
    """Hold each user's latest item out, to be ranked among items that the user had nothing to do with.

    Of equal times the later line counts as later; an item that comes again counts once, when it came last. A user with
    one item is learned from and not tested.

    Args:
        log: the interactions.
        rng: draws the other items.
        negatives: how many.

    Raises:
        DataError: a user has had to do with nearly all items, so that there are not so many others.
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
    """Return where each distinct value stands last, ascending."""
    _, first = np.unique(values[::-1], return_index=True)
    return np.sort(len(values) - 1 - first)


class _Seen:
    """Which items each user had to do with.

    Args:
        users: of each interaction, ``(n,)``.
        items: likewise.
        n_users: how many users there are.
        n_items: likewise.

    Attributes:
        counts: different items of each user, ``(n_users,)``.
    """

    def __init__(self, users: IntArray, items: IntArray, n_users: int, n_items: int) -> None:
        self._n_items = n_items
        self._codes = np.unique(users * n_items + items)
        self.counts = np.bincount(self._codes // n_items, minlength=n_users)

    def has(self, users: IntArray, items: IntArray) -> BoolArray:
        """Return which of pairs, of one shape, there are."""
        codes = users * self._n_items + items
        at = np.searchsorted(self._codes, codes)
        found: BoolArray = self._codes[np.minimum(at, len(self._codes) - 1)] == codes
        return found

    def unseen(self, users: IntArray, rng: np.random.Generator) -> IntArray:
        """Draw for each of ``users``, of any shape, an item that the user had nothing to do with."""
        items = rng.integers(self._n_items, size=users.shape)
        while (wrong := self.has(users, items)).any():
            items[wrong] = rng.integers(self._n_items, size=np.count_nonzero(wrong))
        return items

    def others(self, users: IntArray, n: int, rng: np.random.Generator) -> IntArray:
        """Draw for each of ``users``, ``(t,)``, ``n`` different items that the user had nothing to do with."""
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
    """Learning which items users take up; see ``hwnas.supernets.training.TrainingTask``.

    Attributes:
        prefix: of the files, for messages.
        split: what is learned from.
        batch: interactions in a mini-batch, the random items not counted.
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
        """What the files of interactions hold."""
        return {"interactions": Content(self.prefix, digest(self.split))}

    @property
    def note(self) -> str:
        """How many interactions of how many users."""
        split = self.split
        return (
            f"{len(split.users):,} interactions of {split.n_users:,} users with {split.n_items:,} items; "
            f"{len(split.test_users):,} are held out"
        )

    @property
    def batches_per_epoch(self) -> int:
        """Mini-batches in one pass."""
        return math.ceil(len(self.split.users) / self.batch)

    @property
    def defaults(self) -> TrainingOptions:
        """One sub-network per mini-batch, drawn uniformly, and Adam, as in Cummings et al. and in He et al."""
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
        """Pass over the interactions once; a mini-batch is users ``(b,)`` and items ``(b, 5)``, the right one first.

        The random items of the whole pass are drawn when it begins.
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
    """Return what tells this split from others, whatever files it came from."""
    content = hashlib.sha256(repr((split.n_users, split.n_items)).encode())
    for part in (split.users, split.items, split.test_users, split.candidates):
        content.update(np.ascontiguousarray(part).tobytes())
    return content.hexdigest()[:16]
