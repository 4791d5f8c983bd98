"""Translate a batch of sentences by beam search with a cached decoder.

It searches as fairseq's generator does, with which HAT's BLEU is measured: in each step twice as many candidates as
beams are considered, those in the first half that end are finished hypotheses, and a sentence is done when it has as
many of them as beams. The score of a hypothesis of length n is its log-probability over n to the power of the length
penalty.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from hwnas.supernets.transformer.dimensions import BOS, EOS, PAD, DecoderLayerShape
from hwnas.supernets.transformer.network import DecoderStep, EncoderStage, Translator

# ``EncoderStage`` and ``DecoderStep``, or functions that compute the same on a backend.
Encode = Callable[[torch.Tensor], Sequence[torch.Tensor]]
Step = Callable[..., Sequence[torch.Tensor]]

_NEVER = -math.inf


@dataclass(frozen=True)
class BeamSearch:
    """The parameters of beam search.

    Attributes:
        beam: the number of hypotheses of each sentence.
        length_penalty: 0 prefers short ones; HAT uses 0.6.
    """

    beam: int = 5
    length_penalty: float = 0.6

    def translate(self, translator: Translator, source: torch.Tensor, steps: int) -> list[list[int]]:
        """Return the best hypothesis of each sentence, tokens without the end.

        Args:
            translator: in evaluation mode.
            source: tokens, ``(batch, length)``, padded on the right.
            steps: the most tokens that are decoded, including the end of the sentence.
        """
        encode, step = EncoderStage(translator), DecoderStep(translator, steps - 1).eval()
        return self.search(encode, step, translator.architecture.decoder, source, steps)

    def search(
        self, encode: Encode, step: Step, layers: Sequence[DecoderLayerShape], source: torch.Tensor, steps: int
    ) -> list[list[int]]:
        """Search as ``translate``, with the stages as functions that may run anywhere.

        Args:
            encode: see ``EncoderStage``.
            step: see ``DecoderStep``; its cache has room for ``steps - 1`` positions.
            layers: the decoder's, which say how many heads each cache has.
            source: see ``translate``.
            steps: likewise.
        """
        with torch.inference_mode():
            memory = tuple(encode(source))
            batch, (_, heads, _, width) = len(source), memory[0].shape
            inner = heads * width
            caches = _Caches.empty(layers, inner, (batch, self.beam), steps - 1)
            beams = _Beams.first(batch, self.beam, steps, self.length_penalty)
            for position in range(steps):
                places = torch.full((batch, 1), position)
                logits, *fresh = step(beams.tokens, places, source, *caches.tensors, *memory)
                origin = beams.advance(logits, position, last=position == steps - 1)
                if beams.done or position == steps - 1:
                    break
                caches.advance(fresh, position, origin)
        return beams.best()


@dataclass
class _Caches:
    """Keys and values of each layer's self-attention, each ``(batch, beam, heads, steps, head width)``."""

    tensors: list[torch.Tensor]

    @classmethod
    def empty(cls, layers: Sequence[DecoderLayerShape], inner: int, size: tuple[int, int], steps: int) -> _Caches:
        shapes = [(*size, layer.self_heads, steps, inner // layer.self_heads) for layer in layers for _ in range(2)]
        return cls([torch.zeros(shape) for shape in shapes])

    def advance(self, fresh: Sequence[torch.Tensor], position: int, origin: torch.Tensor) -> None:
        """Add the step's keys and values, and give each beam the cache of the beam that it continues."""
        rows = (origin + torch.arange(len(origin))[:, None] * origin.shape[1]).flatten()
        for index, (cache, new) in enumerate(zip(self.tensors, fresh, strict=True)):
            cache[..., position, :] = new[..., 0, :]
            self.tensors[index] = cache.flatten(0, 1)[rows].view_as(cache)


class _Beams:
    """The hypotheses of a batch of sentences: the unfinished ones, and the best finished ones.

    Attributes:
        tokens: the latest of each, ``(batch, beam)``.
    """

    def __init__(self, tokens: torch.Tensor, scores: torch.Tensor, history: torch.Tensor, penalty: float) -> None:
        self.tokens = tokens
        self._scores = scores  # log-probability, (batch, beam)
        self._history = history  # (batch, beam, steps)
        self._penalty = penalty
        self._ended = torch.full_like(scores, _NEVER)  # worth, (batch, beam)
        self._endings = torch.full_like(history, EOS)  # (batch, beam, steps)
        self._count = torch.zeros(len(scores), dtype=torch.int64)

    @classmethod
    def first(cls, batch: int, beam: int, steps: int, penalty: float) -> _Beams:
        """Begin with one hypothesis per sentence; the other beams have the lowest possible score."""
        scores = torch.full((batch, beam), _NEVER)
        scores[:, 0] = 0
        history = torch.full((batch, beam, steps), EOS)
        return cls(torch.full((batch, beam), EOS), scores, history, penalty)

    @property
    def done(self) -> bool:
        """Whether every sentence has as many finished hypotheses as beams."""
        return bool((self._count >= self.tokens.shape[1]).all())

    def advance(self, logits: torch.Tensor, position: int, last: bool) -> torch.Tensor:
        """Extend by one token; return the beam that each new one continues, ``(batch, beam)``."""
        values, origin, tokens = self._candidates(logits, last)
        beam = self.tokens.shape[1]
        ends = tokens.eq(EOS)
        self._finish(values[:, :beam], origin[:, :beam], ends[:, :beam], position)
        # The best unfinished candidates are continued, in order.
        order = ends.long().argsort(dim=1, stable=True)[:, :beam]
        origin, self.tokens = origin.gather(1, order), tokens.gather(1, order)
        self._scores = values.gather(1, order).masked_fill(ends.gather(1, order), _NEVER)
        self._history = _rows(self._history, origin)
        self._history[..., position] = self.tokens
        return origin

    def _candidates(self, logits: torch.Tensor, last: bool) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return log-probability, beam and token of the best continuations, each ``(batch, 2 beam)``, best first."""
        scores = torch.log_softmax(logits.float(), -1)
        scores[..., [PAD, BOS]] = _NEVER
        if last:
            scores[..., :EOS] = scores[..., EOS + 1 :] = _NEVER
        beam, vocab = logits.shape[1:]
        total = (self._scores.unsqueeze(-1) + scores).flatten(1)
        values, index = total.topk(min(2 * beam, total.shape[1]))
        return values, index // vocab, index % vocab

    def _finish(self, values: torch.Tensor, origin: torch.Tensor, ends: torch.Tensor, position: int) -> None:
        """Store the best finished hypotheses; those of a sentence that is done do not change any more."""
        beam = self.tokens.shape[1]
        ends = ends & (values > _NEVER) & (self._count < beam).unsqueeze(1)
        worth = (values / (position + 1) ** self._penalty).masked_fill(~ends, _NEVER)
        endings = _rows(self._history, origin)
        endings[..., position:] = EOS
        self._ended, order = torch.cat([self._ended, worth], 1).topk(beam)
        self._endings = _rows(torch.cat([self._endings, endings], 1), order)
        self._count += ends.sum(1)

    def best(self) -> list[list[int]]:
        """Return the best hypothesis of each sentence, up to its end."""
        best = self._endings[:, 0].tolist()
        return [tokens[: tokens.index(EOS)] if EOS in tokens else tokens for tokens in best]


def _rows(values: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Return ``values``, (batch, n, steps), at the rows ``index``, (batch, m)."""
    return values.gather(1, index.unsqueeze(-1).expand(*index.shape, values.shape[-1]))
