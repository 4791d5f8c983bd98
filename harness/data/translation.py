"""``translation:SRC,TGT``: train a translator on parallel text.

Options: ``batch`` (tokens per step, source and target each, padding included), ``smoothing`` (of labels), ``longest``
(sentences of more tokens are left out). Subwords are learned on the text, and written beside the checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.harness.data._parallel_text import FORM, ParallelText
from hwnas.harness.data._subwords import SUFFIX, Subwords
from hwnas.harness.data.argument import fraction, parse_argument, whole_number
from hwnas.supernets.contents import Content
from hwnas.supernets.errors import DataError, UsageError
from hwnas.supernets.space import Config, IntArray
from hwnas.supernets.supernet import SuperNetwork
from hwnas.supernets.training import Batch, TrainingOptions
from hwnas.supernets.transformer.dimensions import EOS, PAD, POSITIONS

if TYPE_CHECKING:
    import torch

__all__ = ["FORM", "ParallelText", "Subwords", "TranslationTask", "create", "padded", "vocabulary"]

_OPTIONS = ("batch", "longest", "smoothing")
_BATCH, _LONGEST, _SMOOTHING = 2048, 100, 0.1
_EPOCHS = 40


def create(name: str, argument: str, net: SuperNetwork) -> TranslationTask:
    """Make the training task; the module's docstring describes ``argument``."""
    paths, given = parse_argument(name, argument, _OPTIONS)
    text = ParallelText.read(paths, name)
    longest = whole_number(name, "longest", given.get("longest", str(_LONGEST)), 1)
    if longest >= POSITIONS:
        raise UsageError(f"{name}: longest={longest}: expected less than {POSITIONS}")
    return TranslationTask(
        f"{name}:{argument}",
        text,
        Subwords.learned([*text.source, *text.target], vocabulary(net)),
        batch=whole_number(name, "batch", given.get("batch", str(_BATCH)), longest + 1),
        smoothing=fraction(name, "smoothing", given.get("smoothing", str(_SMOOTHING))),
        longest=longest,
    )


def vocabulary(net: SuperNetwork) -> int:
    """Return the size of ``net``'s vocabulary; raises ``UsageError`` if it is not a translator."""
    common = getattr(net, "common", None)
    if getattr(net, "data", None) != "translation" or common is None:
        raise UsageError(f"{net.name}: translates nothing; parallel text is for hat-transformer")
    return int(common.vocab)


@dataclass(frozen=True, eq=False)
class TranslationTask:
    """Translation, see ``hwnas.supernets.training.TrainingTask``.

    Attributes:
        text: the training text.
        subwords: of both languages.
        batch: the most tokens of source or target, padding included, in a mini-batch.
        smoothing: how much of a token's label is spread over all tokens.
        longest: sentences with more tokens are left out.
    """

    name: str
    text: ParallelText
    subwords: Subwords
    batch: int = _BATCH
    smoothing: float = _SMOOTHING
    longest: int = _LONGEST

    def __post_init__(self) -> None:
        if not len(self._lengths):
            raise DataError(f"{self.text.files[0]}: every sentence has more than {self.longest} tokens")

    @cached_property
    def contents(self) -> dict[str, Content]:
        """The digest of the text."""
        return {"text": Content(",".join(self.text.files), self.text.digest)}

    @property
    def note(self) -> str:
        """One line: how many sentences and tokens."""
        n, all_ = len(self._lengths), len(self.text.source)
        left_out = f", {all_ - n:,} longer than {self.longest} tokens left out" if n < all_ else ""
        tokens = sum(len(tokens) for pair in self._pairs for tokens in pair)
        return (
            f"{n:,} sentence pairs of {tokens:,} tokens ({self.subwords.size:,} subwords){left_out}; "
            f"{self.batches_per_epoch} batches an epoch"
        )

    @property
    def batches_per_epoch(self) -> int:
        """Mini-batches in one epoch."""
        return len(self._cuts) - 1

    @property
    def defaults(self) -> TrainingOptions:
        """Default options: Adam and its schedule of Vaswani et al. (2017), uniformly drawn sub-networks as in HAT."""
        return TrainingOptions(
            steps=_EPOCHS * self.batches_per_epoch,
            lr=2e-3,
            schedule="inverse-sqrt",
            warmup=min(1000, 4 * self.batches_per_epoch),
            optimizer="adam",
            weight_decay=0.0,
            clip=1.0,
            sampling="uniform",
            samples=1,
            distillation=0.0,
        )

    @property
    def companions(self) -> Mapping[str, bytes]:
        """The contents of the files to write beside the checkpoint, by suffix."""
        return {SUFFIX: self.subwords.content}

    def batches(self, rng: np.random.Generator, start: int = 0) -> Iterator[Batch]:
        """Yield (source, target), padded; sentences of similar length are batched, and batches come in random order."""
        # Random order within a length: each epoch has other batches, of the same sizes.
        order = np.lexsort((rng.random(len(self._lengths)), self._lengths))
        for number in rng.permutation(self.batches_per_epoch)[start:]:
            rows = [self._pairs[row] for row in order[self._cuts[number] : self._cuts[number + 1]]]
            yield padded([source for source, _ in rows]), padded([[EOS, *target] for _, target in rows])

    def inputs(self, batch: Batch, config: Config) -> tuple[torch.Tensor, ...]:  # noqa: ARG002 - a task's signature
        """Return the source, and the target without its end."""
        source, target = batch
        return source, target[:, :-1]

    def loss(self, outputs: Any, batch: Batch) -> torch.Tensor:
        """Return the cross-entropy of each next token, padding left out."""
        from torch.nn.functional import cross_entropy

        wanted = batch[1][:, 1:].flatten()
        return cross_entropy(outputs.flatten(0, 1), wanted, ignore_index=PAD, label_smoothing=self.smoothing)

    @cached_property
    def _pairs(self) -> list[tuple[list[int], list[int]]]:
        """Tokens of source and target, each with the end token."""
        sides = (self.subwords.encode(side) for side in (self.text.source, self.text.target))
        pairs = (([*source, EOS], [*target, EOS]) for source, target in zip(*sides, strict=True))
        return [pair for pair in pairs if max(map(len, pair)) <= self.longest + 1]

    @cached_property
    def _lengths(self) -> IntArray:
        return np.array([max(len(source), len(target)) for source, target in self._pairs], dtype=np.int64)

    @cached_property
    def _cuts(self) -> list[int]:
        """The boundaries of the batches in the sentences sorted by length."""
        cuts = [0]
        for row, length in enumerate(np.sort(self._lengths).tolist()):
            # The target has one token more than its length: where it begins.
            if (row - cuts[-1] + 1) * (length + 1) > self.batch and row > cuts[-1]:
                cuts.append(row)
        return [*cuts, len(self._lengths)]


def padded(rows: Sequence[Sequence[int]]) -> torch.Tensor:
    """Return tokens as one tensor, ``(n, longest)``, padded on the right."""
    import torch

    longest = max(map(len, rows))
    return torch.tensor([[*row, *[PAD] * (longest - len(row))] for row in rows])
