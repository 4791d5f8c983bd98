"""Derive small convolution kernels from large ones, as once-for-all does (Cai et al., 2020, section 3.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch.nn import functional


def matrix_name(larger: int, smaller: int) -> str:
    """Return the name of the matrix that turns the centre of one kernel into the next smaller one ("7to5_matrix")."""
    return f"{larger}to{smaller}_matrix"


def steps(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Return the steps from the largest kernel down, ``[(7, 5), (5, 3)]``."""
    return list(pairwise(sorted(sizes, reverse=True)))


def shrunk_kernel(weight: torch.Tensor, size: int, matrices: Mapping[tuple[int, int], torch.Tensor]) -> torch.Tensor:
    """Return the depth-wise kernels of side ``size`` that are derived from larger ones.

    Step by step down to ``size``, each kernel's centre is flattened and multiplied by the step's matrix. So the
    smallest kernel is derived from the medium one, not from the largest.

    Args:
        weight: ``(channels, 1, side, side)``.
        size: the side wanted; one of those that the steps lead to.
        matrices: ``(smaller^2, smaller^2)`` by step, shared by all channels.
    """
    for larger, smaller in matrices:
        if larger <= size:
            break
        margin = (larger - smaller) // 2
        centre = weight[:, :, margin : margin + smaller, margin : margin + smaller]
        flat = centre.reshape(len(weight), smaller * smaller)
        weight = functional.linear(flat, matrices[larger, smaller]).view(-1, 1, smaller, smaller)
    return weight
