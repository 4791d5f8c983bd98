"""Quality that is found by running each sub-network, with its share of the super-network's weights, on data."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.quality.quality import QualityOptions, Score
from supernets.errors import MALFORMED, QualityError, StoreError
from supernets.files import content_digest, is_file
from supernets.space import Config, FloatArray
from supernets.supernet import SuperNetwork

__all__ = ["EvaluatedQuality", "Score", "needed_weights"]


@dataclass(frozen=True)
class EvaluatedQuality:
    """A quality that runs sub-networks, see ``Quality``; every value is in the store as soon as it is there.

    Attributes:
        net: the super-network.
        options: the weights, the subset, the store.
        data: what it is tested on, in words that differ where the data differs ("10,000 images, digest 1a2b3c4d").
        score: tests the sub-network of a config.
    """

    name: str
    metric: str
    unit: str
    maximise: bool
    net: SuperNetwork
    options: QualityOptions
    data: str
    score: Callable[[Config], Score]
    predicted: bool = False
    free: bool = False

    def __post_init__(self) -> None:
        needed_weights(self.name, self.options)

    @property
    def note(self) -> str:
        """One line: what was run on what."""
        return f"{self.metric} measured on {self.data}, with the weights {self.options.weights}"

    @functools.cached_property
    def source(self) -> str:
        """The name, the data and the weights' content: what decides a value."""
        return f"{self.name} ({self.data}; weights {content_digest(needed_weights(self.name, self.options))[:16]})"

    def evaluate(self, X: npt.ArrayLike) -> FloatArray:
        """Return the metric of each sub-network in ``unit``, ``(n,)``."""
        return np.array([score.value for score in self.scores(X)], dtype=np.float64)

    def scores(self, X: npt.ArrayLike) -> list[Score]:
        """Return what each sub-network reached: from the store, or run now and kept there."""
        X = self.net.space.canonical(X)
        keys = self.net.space.keys(X)
        known = self.kept(keys)
        for key, config in zip(keys, self.net.space.decode(X), strict=True):
            if key not in known:
                known[key] = self.score(config)
                self.keep(key, known[key])
        return [known[key] for key in keys]

    def kept(self, keys: list[str]) -> dict[str, Score]:
        """Return what the store has of sub-networks, by key."""
        if self.options.store is None:
            return {}
        rows = self.options.store.qualities(self.net.name, self.source, keys)
        try:
            return {key: Score.of(record) for key, record in rows.items()}
        except MALFORMED as error:
            raise StoreError(
                f"the store {self.options.store.name}: a quality from {self.source} is damaged: {error!r}"
            ) from error

    def keep(self, key: str, score: Score) -> None:
        """Put what a sub-network reached into the store."""
        if self.options.store is not None:
            self.options.store.put_quality(self.net.name, self.source, key, score.record())


def needed_weights(name: str, options: QualityOptions) -> str:
    """Return the file of weights; raises ``QualityError`` where none is named, or it is not there."""
    if options.weights is None:
        raise QualityError(f"{name}: runs sub-networks, so it needs the super-network's weights: --weights FILE")
    if not is_file(options.weights):
        raise QualityError(f"weights {options.weights!r}: no such file")
    return options.weights
