"""Networks side by side: sub-networks of a super-network and fixed models, as the sub-networks of one super-network.

What is measured together is ranked fairly, and a measurer measures the sub-networks of one super-network. The name of
the list says all that a worker process needs to make it again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hwnas.supernets.blocks import Block, BlockCounts, Slot
from hwnas.supernets.contents import Content, check_holds
from hwnas.supernets.errors import UsageError
from hwnas.supernets.fixed import FixedModel
from hwnas.supernets.single_blocks import digits
from hwnas.supernets.space import Choice, Config, IntArray, SearchSpace
from hwnas.supernets.supernet import Stage, SuperNetwork

if TYPE_CHECKING:
    import torch

# The beginning of the name of such a list.
PREFIX = "networks:"


@dataclass(frozen=True)
class Member:
    """One network of a list.

    Attributes:
        supernet: the super-network's name; "" for a fixed model.
        key: the sub-network's; of a fixed model its name in results.
        macs: multiply-accumulates at batch 1.
        params: parameters.
        spec: of a fixed model; else "".
        file: of a fixed model.
        digest: of the file's content.
    """

    supernet: str
    key: str
    macs: int
    params: int
    spec: str = ""
    file: str = ""
    digest: str = ""

    @classmethod
    def model(cls, model: FixedModel) -> Member:
        """Return a fixed model as a member; raises ``UsageError`` if it cannot be made and run."""
        macs, params = model.counts()
        return cls("", model.name, macs, params, model.spec, model.content.name, model.content.digest)

    def stages(self, batch: int) -> tuple[Stage, ...]:
        """Return the stages of one inference; raises ``ChangedError`` if the file of a model has changed."""
        if self.spec:
            check_holds(self.file, self.digest)
            return (FixedModel(self.spec, self.key, Content(self.file, self.digest)).stage(batch),)
        return tuple(self._net.stages(self.config, batch))

    @cached_property
    def _net(self) -> SuperNetwork:
        from hwnas import supernets

        return supernets.get(self.supernet)

    @property
    def config(self) -> Config:
        """The sub-network's config; of a fixed model none."""
        if self.spec:
            return {}
        space = self._net.space
        return space.decode(space.from_key(self.key))[0]


class Listed(BlockCounts):
    """The super-network whose sub-networks are the members of a list.

    Args:
        members: the networks, at least one.
    """

    default_quality = "none"

    def __init__(self, members: Sequence[Member]) -> None:
        # A measurer's anchors are the first, a middle and the last.
        self.members = tuple(sorted(members, key=lambda one: one.macs))
        self.name = PREFIX + json.dumps([list(vars_of(one)) for one in self.members], separators=(",", ":"))
        self.summary = f"{len(self.members)} networks side by side"
        self._sizes = digits(len(self.members))
        self.space = SearchSpace(tuple(Choice("network", tuple(range(size))) for size in self._sizes))
        blocks = [
            Block(f"{m.supernet or m.digest} {m.spec or m.key}", (), (), (), m.macs, m.params) for m in self.members
        ]
        padding = [blocks[-1]] * (math.prod(self._sizes) - len(blocks))
        self.slots: tuple[Slot, ...] = (Slot("network", tuple(range(len(self._sizes))), tuple(blocks + padding)),)

    @classmethod
    def named(cls, name: str) -> Listed:
        """Return the list of a name; raises ``UsageError`` if it is none."""
        try:
            return cls([Member(*fields) for fields in json.loads(name.removeprefix(PREFIX))])
        except (LookupError, TypeError, ValueError) as error:
            raise UsageError(f"super-network {name!r}: expected {PREFIX} and a list of networks") from error

    def vectors(self, members: Sequence[Member]) -> IntArray:
        """Return the vectors of members, ``(n, n_var)``."""
        numbers = np.array([self.members.index(one) for one in members], dtype=np.int64)
        return np.stack(np.unravel_index(numbers, self._sizes), axis=1).astype(np.int64)

    def member(self, config: Config | dict[str, Any]) -> Member:
        """Return the member of a config."""
        index = np.ravel_multi_index(tuple(self.space.encode(config)[0]), self._sizes)
        return self.members[min(int(index), len(self.members) - 1)]

    def build(self, config: Config | dict[str, Any], weights: str | None = None) -> torch.nn.Module:
        """Return the first stage's module; raises ``UsageError`` where ``weights`` are given."""
        return self.stages(config, 1, weights)[0].module

    def stages(self, config: Config | dict[str, Any], batch: int, weights: str | None = None) -> tuple[Stage, ...]:
        """Return the stages of one inference of a member."""
        if weights is not None:
            raise UsageError(f"networks side by side take no weights, got {weights!r}")
        return self.member(config).stages(batch)


def vars_of(member: Member) -> tuple[Any, ...]:
    """Return a member's fields as JSON values, in order."""
    return tuple(getattr(member, name) for name in Member.__dataclass_fields__)


def sub_networks(net: SuperNetwork, X: npt.ArrayLike) -> list[Member]:
    """Return sub-networks, vectors ``(n, n_var)``, as members."""
    X = net.space.canonical(X)
    counts = zip(net.space.keys(X), net.macs(X).tolist(), net.params(X).tolist(), strict=True)
    return [Member(net.name, *one) for one in counts]
