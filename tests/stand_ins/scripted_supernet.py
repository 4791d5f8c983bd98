"""A super-network of three layers without torch: what it builds is only asked how long it takes."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from hwnas.supernets.blocks import Block, BlockSum, Slot
from hwnas.supernets.space import Choice, SearchSpace
from hwnas.supernets.supernet import Stage

WIDTHS = (1, 2, 3, 4)
LAYERS = 3


@dataclass(frozen=True)
class Work:
    """Stands for a module: ``units`` say how long one run takes."""

    units: int
    key: str

    def __call__(self):
        return np.zeros(1)


def create(name, options):
    spelled = ",".join(f"{key}={value}" for key, value in options.items())
    return Toy(
        f"{name}:{spelled}" if spelled else name, int(options.get("stages", "1")), int(options.get("layers", LAYERS))
    )


class Toy:
    summary = "three layers of width 1 to 4"
    default_quality = "none"

    def __init__(self, name, n_stages, layers=LAYERS):
        self.name = name
        self.n_stages = n_stages
        self.space = SearchSpace(tuple(Choice("w", WIDTHS) for _ in range(layers)))
        blocks = tuple(Block("layer", (w,), (w,), (), macs=100 * w, params=10 * w) for w in WIDTHS)
        self.slots = tuple(Slot(f"layer.{i}", (i,), blocks) for i in range(layers))
        self._macs = BlockSum(self.space, self.slots, lambda block: block.macs)
        self._params = BlockSum(self.space, self.slots, lambda block: block.params)

    def macs(self, X):
        return self._macs(X)

    def params(self, X):
        return self._params(X)

    def build(self, config, weights=None):
        X = self.space.encode(config)
        return Work(int(self.macs(X)[0]) // 100, self.space.keys(X)[0])

    def stages(self, config, batch, weights=None):
        module = self.build(config)
        return tuple(Stage(f"part-{i}", module, (), (), repeats=i + 1) for i in range(self.n_stages))

    def block_stage(self, block, batch):
        return Stage("layer", Work(block.macs // 100, f"layer-{block.macs // 100}"), (), ())


def everything():
    return list(itertools.product(range(len(WIDTHS)), repeat=LAYERS))
