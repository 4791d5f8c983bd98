"""Digest the blocks of a sub-network, so that a stored measurement is not used after the network's code has changed."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from hwnas.supernets.supernet import SuperNetwork


def digests(net: SuperNetwork, X: npt.ArrayLike) -> list[str]:
    """Return a digest of each sub-network's blocks, in order and with their repeats, for vectors ``X``, (n, n_var)."""
    X = net.space.canonical(X)
    texts = [[] for _ in X]  # type: list[list[str]]
    for slot in net.slots:
        sizes = tuple(int(net.space.n_options[column]) for column in slot.columns)
        rows = np.ravel_multi_index(tuple(X[:, list(slot.columns)].T), sizes) if sizes else np.zeros(len(X), dtype=int)
        names = {int(row): f"{slot.name} x{slot.repeats} {slot.blocks[int(row)]!r}" for row in np.unique(rows)}
        for text, row in zip(texts, rows.tolist(), strict=True):
            text.append(names[row])
    return [hashlib.sha256("\n".join(text).encode()).hexdigest()[:16] for text in texts]
