"""Quality that is found by running each sub-network, with its share of the super-network's weights, on data."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from hwnas.harness.quality.quality import QualityOptions, Score
from hwnas.harness.store import decoded
from hwnas.supernets.contents import SHOWN, Content, Contents, check_holds, content_digest
from hwnas.supernets.errors import NotFiniteError, QualityError, WorkError
from hwnas.supernets.files import is_file
from hwnas.supernets.plug_ins import FAILURES, blamed
from hwnas.supernets.space import Config, FloatArray
from hwnas.supernets.supernet import SuperNetwork
from hwnas.supernets.values import fault

__all__ = ["EvaluatedQuality", "Score", "needed_weights"]


@dataclass(frozen=True)
class EvaluatedQuality:
    """A quality that runs sub-networks, see ``Quality``; every value is in the store as soon as it is there.

    Attributes:
        net: the super-network.
        options: the weights, the subset, the store.
        data: what it is tested on, in words that differ where the data differs ("10,000 images, digest 1a2b3c4d").
        score: tests the sub-network of a config.
        known_by: the kind of source and the data without the names of files: equal where values are. Empty: the name
            and ``data`` are.
        examples: what the files of ``data`` hold.
        beside: what files beside the weights hold that sub-networks cannot do without ("subwords").
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

    def __post_init__(self) -> None:
        needed_weights(self.name, self.options)

    @property
    def note(self) -> str:
        """One line: what was run on what."""
        return f"{self.metric} measured on {self.data}, with the weights {self.options.weights}"

    @functools.cached_property
    def source(self) -> str:
        """The data and the weights by what they hold: what decides a value."""
        what = {"weights": self._weights, **self.beside}
        digests = "; ".join(f"{role} {content.digest[:SHOWN]}" for role, content in what.items())
        return f"{self.known_by or f'{self.name} ({self.data}'}; {digests})"

    @property
    def source_by_name(self) -> str:
        """The source as it was called before it was free of the names of files; values are kept under it still."""
        return f"{self.name} ({self.data}; weights {self._weights.digest[:SHOWN]})"

    @property
    def contents(self) -> Contents:
        """What the examples and the weights hold."""
        return {**self.examples, "weights": self._weights, **self.beside}

    @functools.cached_property
    def _weights(self) -> Content:
        file = needed_weights(self.name, self.options)
        return Content(file, content_digest(file))

    def evaluate(self, X: npt.ArrayLike) -> FloatArray:
        """Return the metric of each sub-network in ``unit``, ``(n,)``."""
        return np.array([score.value for score in self.scores(X)], dtype=np.float64)

    def scores(self, X: npt.ArrayLike) -> list[Score]:
        """Return what each sub-network reached: from the store, or run now and kept there."""
        X = self.net.space.canonical(X)
        keys = self.net.space.keys(X)
        known = self.stored(keys)
        for key, config in zip(keys, self.net.space.decode(X), strict=True):
            if key not in known:
                # Before as well: what is wrong with other weights is then not told as if it were wrong with these.
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
            # It is this sub-network's failure; the others are evaluated.
            return Score(float("nan"), reason=str(failure))
        if not isinstance(score, Score):
            raise WorkError(f"the quality source {self.name} gave a {type(score).__name__}, expected a Score")
        return score

    def stored(self, keys: list[str]) -> dict[str, Score]:
        """Return what the store has of sub-networks, by key."""
        if self.options.store is None:
            return {}
        sources = dict.fromkeys((self.source_by_name, self.source))
        rows = {k: row for one in sources for k, row in self.options.store.qualities(self.net.name, one, keys).items()}
        with decoded(self.options.store.name, f"a quality from {self.source}"):
            found = {key: Score.of(record) for key, record in rows.items()}
        return {key: score for key, score in found.items() if not math.isnan(score.value)}

    def check_unchanged(self) -> None:
        """Raise ``ChangedError`` where the weights are others than the source says."""
        check_holds(self._weights.name, self._weights.digest)

    def put(self, key: str, score: Score) -> None:
        """Put what a sub-network reached into the store; a failure is no value, and is tried again another time."""
        if self.options.store is not None and fault(score.value) is None:
            self.options.store.put_quality(self.net.name, self.source, key, score.record())


def needed_weights(name: str, options: QualityOptions) -> str:
    """Return the file of weights; raises ``QualityError`` where none is named, or it is not there."""
    if options.weights is None:
        raise QualityError(f"{name}: runs sub-networks, so it needs the super-network's weights: --weights FILE")
    if not is_file(options.weights):
        raise QualityError(f"weights {options.weights!r}: no such file")
    return options.weights
