"""Evaluate quality by running each sub-network, with its share of the super-network's weights, on test data."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hwnas.harness.quality.quality import QualityOptions, Score
from hwnas.harness.store import decoded
from hwnas.supernets.contents import SHOWN, Content, Contents, check_holds, content_digest
from hwnas.supernets.errors import NotFiniteError, QualityError, WorkError
from hwnas.supernets.files import is_file
from hwnas.supernets.plug_ins import FAILURES, blamed
from hwnas.supernets.space import Config, FloatArray
from hwnas.supernets.supernet import SuperNetwork, own_weights
from hwnas.supernets.values import fault

if TYPE_CHECKING:
    import torch

__all__ = ["EvaluatedQuality", "Score", "needed_weights"]


@dataclass(frozen=True)
class EvaluatedQuality:
    """A quality that runs sub-networks, see ``Quality``; every value is stored as soon as it is known.

    Attributes:
        net: the super-network.
        options: the weights, the subset, the store.
        data: the test data in words, different for different data ("10,000 images, digest 1a2b3c4d").
        score: tests the sub-network of a config.
        known_by: identifies the kind of source and the data without file names, so that equal data has an equal one;
            "": the name and ``data`` do.
        examples: digests of the test data.
        beside: digests of files beside the weights that sub-networks need ("subwords").
        weights_needed: without weights there is no score; otherwise sub-networks have random ones then.
        here_only: the workers of a farm cannot evaluate it.
        network: makes the network of a config that is tested, where more than its weights is set; ``None``: ``net``
            builds it.
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
    costs_nothing: bool = False
    known_by: str = ""
    examples: Contents = field(default_factory=dict)
    beside: Contents = field(default_factory=dict)
    weights_needed: bool = True
    here_only: bool = False
    network: Callable[[Config], torch.nn.Module] | None = None

    def __post_init__(self) -> None:
        if self.weights_needed or self.options.weights is not None:
            needed_weights(self.name, self.options)

    @property
    def note(self) -> str:
        """One line that names the data and the weights."""
        own = "random weights" if own_weights(self.net) is None else "its own weights"
        weights = own if self.options.weights is None else f"the weights {self.options.weights}"
        return f"{self.metric} measured on {self.data}, with {weights}"

    @functools.cached_property
    def source(self) -> str:
        """Identifies the data and the weights by their contents, which decide the values."""
        what = {**self._weights, **self.beside}
        digests = "; ".join(f"{role} {content.digest[:SHOWN]}" for role, content in what.items())
        own = own_weights(self.net)
        without = "random weights" if own is None else f"own weights {own.digest[:SHOWN]}"
        return f"{self.known_by or f'{self.name} ({self.data}'}; {digests or without})"

    @property
    def source_by_name(self) -> str:
        """The source's name in earlier versions, with the names of files; older stores have values under it."""
        digest = next((content.digest for content in self._weights.values()), "")
        return f"{self.name} ({self.data}; weights {digest[:SHOWN]})"

    @property
    def contents(self) -> Contents:
        """The digests of the test data, the weights, and files beside them."""
        return {**self.examples, **self._weights, **self.beside}

    @functools.cached_property
    def _weights(self) -> Contents:
        file = self.options.weights
        return {} if file is None else {"weights": Content(file, content_digest(file))}

    def evaluate(self, X: npt.ArrayLike) -> FloatArray:
        """Return the metric of each sub-network in ``unit``, ``(n,)``."""
        return np.array([score.value for score in self.scores(X)], dtype=np.float64)

    def scores(self, X: npt.ArrayLike) -> list[Score]:
        """Return the score of each sub-network: from the store, or else by running it now and storing the score."""
        X = self.net.space.canonical(X)
        keys = self.net.space.keys(X)
        known = self.stored(keys)
        for key, config in zip(keys, self.net.space.decode(X), strict=True):
            if key not in known:
                # Checked before as well, so that an error of changed weights is not reported as one of these.
                self.check_unchanged()
                known[key] = self._scored(config)
                self.check_unchanged()
                self.put(key, known[key])
        return [known[key] for key in keys]

    def _scored(self, config: Config) -> Score:
        try:
            score = self.score(config)
        except FAILURES as error:
            failure = error if isinstance(error, NotFiniteError) else blamed(error)
            if failure is None:
                raise
            # Only this sub-network has failed; the others are evaluated.
            return Score(float("nan"), reason=str(failure))
        if not isinstance(score, Score):
            raise WorkError(f"the quality source {self.name} gave a {type(score).__name__}, expected a Score")
        return score

    def stored(self, keys: list[str]) -> dict[str, Score]:
        """Return the stored scores of sub-networks, by key."""
        if self.options.store is None:
            return {}
        sources = dict.fromkeys((self.source_by_name, self.source))
        rows = {k: row for one in sources for k, row in self.options.store.qualities(self.net.name, one, keys).items()}
        with decoded(self.options.store.name, f"a quality from {self.source}"):
            found = {key: Score.of(record) for key, record in rows.items()}
        return {key: score for key, score in found.items() if not math.isnan(score.value)}

    def check_unchanged(self) -> None:
        """Raise ``ChangedError`` if the weights have changed since the source was made."""
        for content in self._weights.values():
            check_holds(content.name, content.digest)

    def put(self, key: str, score: Score) -> None:
        """Store the score of a sub-network, unless it has failed: it is then evaluated again next time."""
        if self.options.store is not None and fault(score.value) is None:
            self.options.store.put_quality(self.net.name, self.source, key, score.record())


def needed_weights(name: str, options: QualityOptions) -> str:
    """Return the file of weights; raises ``QualityError`` if none is named or it does not exist."""
    if options.weights is None:
        raise QualityError(f"{name}: runs sub-networks, so it needs the super-network's weights: --weights FILE")
    if not is_file(options.weights):
        raise QualityError(f"weights {options.weights!r}: no such file")
    return options.weights
