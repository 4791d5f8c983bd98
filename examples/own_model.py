"""Make a super-network of a trained model and search its sub-networks: python own_model.py [EVALUATIONS]."""

from __future__ import annotations

import sys

import torch
from torch import nn

import hwnas


def trained() -> nn.Module:
    """Return a small classifier of spirals' arms, trained for some seconds."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 3))
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    for _ in range(300):
        points, arms = spirals(256)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(points), arms).backward()
        optimizer.step()
    return model


def spirals(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return points on three arms, ``(n, 2)``, and which arm each is on, ``(n,)``."""
    arms, along = torch.randint(3, (n,)), torch.rand(n)
    angle = 6 * along + 2 * torch.pi / 3 * arms
    return torch.stack([along * angle.cos(), along * angle.sin()], 1) + 0.03 * torch.randn(n, 2), arms


POINTS, ARMS = spirals(2000)


@hwnas.quality("accuracy", unit="%")
def accuracy(module: nn.Module, config: dict[str, list[int]]) -> float:  # noqa: ARG001 - it is called with both
    """Return the share of points whose arm a sub-network finds."""
    with torch.no_grad():
        return 100 * float((module(POINTS).argmax(1) == ARMS).float().mean())


if __name__ == "__main__":
    evaluations = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    net = hwnas.elastic(trained(), torch.rand(1, 2), width=(0.125, 0.25, 0.5, 0.75, 1))
    study = hwnas.search(net, objectives=["macs", "accuracy"], quality=accuracy, evals=evaluations, progress=False)
    for one in study.front:
        widths = one.config["width"]
        print(f"{1000 * one.objectives['macs']:5.1f} k MACs  {one.objectives['accuracy']:5.1f} %  widths {widths}")
