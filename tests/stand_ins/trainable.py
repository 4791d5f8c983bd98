"""A super-network of two elastic linear layers and points to tell apart: training in milliseconds."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from hwnas.supernets.shared import SharedWeights, WeightLayout, corner
from hwnas.supernets.space import Choice, SearchSpace
from hwnas.supernets.training import TrainingOptions

WIDTHS = (2, 4, 8)
CLASSES = 3


class Sorter:
    """Two layers; the hidden width and whether its dropout is there are elastic."""

    name = "sorter"
    summary = "A toy that is trained"
    slots = ()
    default_quality = "table"
    data = "points"

    def __init__(self) -> None:
        self.space = SearchSpace((Choice("width", WIDTHS), Choice("drop", (0, 1))))
        shapes = {"0.weight": (8, 2), "0.bias": (8,), "1.weight": (8,), "1.bias": (8,)}
        shapes |= {"1.running_mean": (8,), "1.running_var": (8,), "1.num_batches_tracked": ()}
        self.layout = WeightLayout(self.name, shapes | {"4.weight": (CLASSES, 8), "4.bias": (CLASSES,)}, self._cut)

    def params(self, X):
        return np.array([5 * WIDTHS[x[0]] for x in X])

    macs = params

    def _cut(self, tensors, config):
        with torch.device("meta"):
            shapes = {key: tuple(one.shape) for key, one in self._make(config).state_dict().items()}
        return {key: corner(tensors[key], shape) for key, shape in shapes.items()}

    def _make(self, config):
        width = config["width"][0]
        dropout = nn.Dropout(0.1 * config["drop"][0])
        return nn.Sequential(nn.Linear(2, width), nn.BatchNorm1d(width), nn.ReLU(), dropout, nn.Linear(width, CLASSES))

    def module(self, config):
        with torch.device("meta"):
            return self._make(config)

    def build(self, config, weights=None):
        module = self._make(config)
        module.load_state_dict(self.shared(weights).state(config))
        return module.eval()

    def stages(self, config, batch, weights=None):
        return ()

    def shared(self, weights=None, seed=0):
        if weights is not None:
            return SharedWeights.load(self.layout, weights)
        generator = torch.Generator().manual_seed(seed)
        tensors = {key: torch.randn(shape, generator=generator) / 2 for key, shape in self.layout.shapes.items()}
        count = {"1.num_batches_tracked": torch.zeros((), dtype=torch.int64), "1.running_var": torch.ones(8)}
        return SharedWeights(self.layout, tensors | count)


class HardPoints:
    """Points in the plane, by the sector that they are in; nothing is learned from a teacher."""

    name = "points"
    note = "96 points"
    batches_per_epoch = 6
    defaults = TrainingOptions(steps=20)

    def __init__(self) -> None:
        rng = np.random.default_rng(5)
        self.x = torch.from_numpy(rng.normal(size=(96, 2)).astype(np.float32))
        angle = torch.atan2(self.x[:, 1], self.x[:, 0])
        self.y = ((angle + torch.pi) / (2 * torch.pi) * CLASSES).long().clamp(0, CLASSES - 1)
        self.seen = []

    def batches(self, rng, start=0):
        for index in rng.permutation(96).reshape(6, 16)[start:]:
            self.seen.append(index.tolist())
            yield self.x[index], self.y[index]

    def inputs(self, batch, config):
        return (batch[0],)

    def loss(self, outputs, batch):
        return nn.functional.cross_entropy(outputs, batch[1])


class Points(HardPoints):
    """The same, where sub-networks can learn from the largest one."""

    def soft_loss(self, outputs, teacher):
        return nn.functional.cross_entropy(outputs, teacher.softmax(1))
