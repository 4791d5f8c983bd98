"""Small models that are built or named in ways that once were not followed: functions as in ``models``."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own spelling
from torch import nn

from tests.supernets.elastic.models import image


class Adapted(nn.Linear):
    """A linear layer with weights of its own beside those of the layer, for low-rank adaptation."""

    def __init__(self, given: int, made: int) -> None:
        super().__init__(given, made)
        self.down, self.up = nn.Parameter(torch.randn(given, 4)), nn.Parameter(torch.randn(4, made))

    def forward(self, x):
        return F.linear(x, self.weight, self.bias) + x @ self.down @ self.up


class Named(nn.Module):
    """Names that belong to torch.fx's modules, to Python, and to the nodes, inputs and outputs of an ONNX graph."""

    def __init__(self) -> None:
        super().__init__()
        self.code, self.graph = nn.Linear(16, 64), Adapted(64, 32)
        self.dropout = nn.Sequential(nn.Linear(32, 32), nn.Dropout(0.1))
        self.v1, self.v2 = nn.Parameter(torch.rand(32)), nn.Parameter(torch.rand(32))
        self.x, self.output1 = nn.Parameter(torch.rand(32)), nn.Parameter(torch.rand(32))
        self.meta = nn.ModuleDict({"class": nn.Linear(32, 3), "0": nn.Linear(32, 2)})

    def forward(self, x, output0):
        y = torch.relu(self.graph(torch.relu(self.code(x) + self.code(output0))))
        y = torch.sin(self.dropout(y) * self.v1 + self.v2) * self.x - self.output1
        return [part(y) for part in self.meta.values()]


class Regrouped(nn.Module):
    """Channels and pixels change places, and convolutions are transposed in groups or scaled by their largest value."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.left = nn.Conv2d(12, 32, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1)
        scaled = nn.utils.parametrizations.spectral_norm(nn.Conv2d(32, 48, 1))
        self.middle, self.scaled, self.last = nn.Conv2d(32, 32, 1), scaled, nn.Conv2d(48, 48, 1)
        self.up = nn.ConvTranspose2d(48, 16, 3, 2, 1, output_padding=1, groups=4)
        self.norm, self.out = nn.BatchNorm2d(16), nn.Conv2d(16, 2, 1)

    def forward(self, x):
        left, right = self.first(F.pixel_unshuffle(x, 2)).chunk(2, 1)
        x = torch.cat([torch.relu(self.left(left)), right], 1)
        samples, channels, height, width = x.shape
        x = x.view(samples, 2, channels // 2, height, width).transpose(1, 2).reshape(x.shape)
        x = torch.relu(self.last(torch.relu(self.scaled(torch.relu(self.middle(x))))))
        return self.out(torch.relu(self.norm(self.up(x))))


class Gated(nn.Module):
    """Channels are two groups of two halves, of which one gates the other, and are added up: no weight reads a half."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 64, 3, padding=1), nn.Conv2d(1, 2, 1)

    def forward(self, x):
        one, other = self.first(x).unflatten(1, (2, 32)).unbind(1)
        return self.last(F.glu(one - other, 1).sum(1, keepdim=True))


def named():
    return Named(), (torch.randn(1, 16), torch.randn(1, 16))


def regrouped():
    return Regrouped(), image(16)


def gated():
    return Gated(), image(8)


UNUSUAL = (named, regrouped, gated)
