"""Search by a quality of your own: own_quality.py [EVALS].

This one needs no data: how much the logits of random images differ from each other. Put your accuracy in its place.
"""

import sys

import torch

import hwnas


@hwnas.quality("spread")
def spread(module: torch.nn.Module, config: dict[str, list[float]]) -> float:
    """Return the standard deviation of the logits over eight random images."""
    size = config["r"][0]
    images = torch.randn(8, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return float(module(images).std(dim=0).mean())


if __name__ == "__main__":
    evals = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    study = hwnas.search("ofa-mbv3-w1.0:r=96", quality=spread, objectives=["macs", "spread"], evals=evals)
    for one in study.front:
        print(f"{one.objectives['macs']:6.1f} M MACs  {one.objectives['spread']:.3f}")
