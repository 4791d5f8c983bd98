"""``bleu:SRC,TGT``: the corpus BLEU of sub-networks that translate SRC, against the references in TGT.

Sentences are decoded by beam search (5 beams, length penalty 0.6, as in HAT) and scored together by sacrebleu (Post,
2018), whose signature is stored with every value.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from hwnas.backends.outputs import check_finite
from hwnas.harness.data.translation import FORM, ParallelText, Subwords, padded, vocabulary
from hwnas.harness.quality.evaluated import EvaluatedQuality, Score, needed_weights
from hwnas.harness.quality.quality import QualityOptions, QualityProgress
from hwnas.supernets.contents import Content
from hwnas.supernets.errors import DataError, NotServedError, QualityError, UsageError
from hwnas.supernets.space import Config, IntArray
from hwnas.supernets.supernet import SuperNetwork
from hwnas.supernets.transformer.dimensions import EOS, POSITIONS

if TYPE_CHECKING:
    import torch
    from sacrebleu.metrics.bleu import BLEU

    from hwnas.supernets.shared import SharedWeights, Trainable
    from hwnas.supernets.transformer.network import Translator

SPELLED = "bleu:SRC,TGT"
SUMMARY = "corpus BLEU of sub-networks that translate the lines of SRC, against those of TGT"

USES_WEIGHTS = True

BEAM, LENGTH_PENALTY = 5, 0.6
# A translation has at most twice the source's tokens and some more.
_LONGER, _MORE = 2, 10
# Sentences decoded at a time.
_AT_ONCE = 50
_RESAMPLES = 1000
_SEED = 0


def serves(name: str, net: SuperNetwork) -> list[str]:
    """Return the spec of this source if ``net`` is a translator; else nothing."""
    return [f"{name}:SRC,TGT"] if getattr(net, "data", None) == "translation" else []


def create(name: str, argument: str, net: SuperNetwork, options: QualityOptions) -> EvaluatedQuality:
    """Return the BLEU of ``net`` on the parallel text ``SRC,TGT``.

    Raises:
        QualityError: there is no text, ``net`` is not a translator, or weights or their subwords are missing.
        DataError: the files are not parallel text; names the line.
    """
    if not serves(name, net):
        raise NotServedError(f"{name}: {net.name}: translates nothing")
    if not argument:
        raise QualityError(f"{name}: expected {name}:{FORM}")
    try:
        vocab = vocabulary(net)
        subwords = Subwords.beside(needed_weights(name, options), vocab)
    except UsageError as error:
        raise QualityError(f"{name}: {error}") from error
    text = ParallelText.read(argument, name)
    _check_vocabulary(text, subwords, options)
    chosen = _chosen(text, options.subset)
    scorer = _Scorer(net, options, subwords, chosen)
    counted = f"{len(chosen.source):,} of {len(text.source):,} sentences"
    more = (
        f"(digest {chosen.digest}; copying the source reaches {scorer.copied.value:.2f}; beam {BEAM}, length penalty "
        f"{LENGTH_PENALTY}; {signature()})"
    )
    return EvaluatedQuality(
        name=f"{name}:{argument}",
        metric="bleu",
        unit="",
        maximise=True,
        net=net,
        options=options,
        data=f"{counted} of {argument} {more}",
        score=scorer,
        known_by=f"{name} ({counted} {more}",
        examples={"text": Content(argument, chosen.digest)},
        beside={"subwords": Content(f"those beside {options.weights}", subwords.digest)},
    )


# --- BLEU ------------------------------------------------------------------------------------------------------------


def corpus_bleu(translations: Sequence[str], references: Sequence[str]) -> Score:
    """Return the BLEU of all sentences together, with the interval of 1,000 resamples of them (Koehn, 2004)."""
    bleu = _sacrebleu()
    found = bleu.corpus_score(translations, [list(references)], n_bootstrap=_RESAMPLES)
    result = json.loads(found.format(width=6, signature=str(bleu.get_signature()), is_json=True))
    half = float(result.get("confidence_var", 0.0))
    low, high = max(0.0, found.score - half), min(100.0, found.score + half)
    return Score(float(found.score), low, high, len(translations), {"brevity_penalty": float(found.bp)})


def signature() -> str:
    """Return sacrebleu's signature ("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0")."""
    bleu = _sacrebleu()
    bleu.corpus_score(["a"], [["a"]])
    return str(bleu.get_signature())


def _sacrebleu() -> BLEU:
    try:
        from sacrebleu.metrics.bleu import BLEU
    except ImportError:
        raise QualityError("sacrebleu is not installed: pip install 'hwnas[translation]'") from None
    return BLEU()


# --- sub-networks ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Scorer:
    net: SuperNetwork
    options: QualityOptions
    subwords: Subwords
    text: ParallelText

    def __call__(self, config: Config) -> Score:
        score = corpus_bleu(self.translations(config), self.text.target)
        return Score(score.value, score.low, score.high, score.n, {**score.others, "copy_bleu": self.copied.value})

    def translations(self, config: Config) -> list[str]:
        """Translate the text by the sub-network of ``config``; raises ``NotFiniteError`` if logits are not finite."""
        translator = self._translator(config)
        found: list[list[int]] = [[]] * len(self._sources)
        # Sentences of similar length together, so that short ones do not wait for long ones.
        order = np.argsort([len(tokens) for tokens in self._sources], kind="stable")
        for start in range(0, len(order), _AT_ONCE):
            rows = order[start : start + _AT_ONCE].tolist()
            source = padded([self._sources[row] for row in rows])
            steps = min(_LONGER * source.shape[1] + _MORE, POSITIONS)
            for row, tokens in zip(rows, _translated(translator, source, steps), strict=True):
                found[row] = tokens
            self._say(min(start + _AT_ONCE, len(order)))
        return self.subwords.decode(found)

    @cached_property
    def copied(self) -> Score:
        """The BLEU of the source text as its own translation, as a baseline."""
        return corpus_bleu(self.text.source, self.text.target)

    @cached_property
    def _sources(self) -> list[list[int]]:
        # Sentences that are too long for the table of positions are cut, not left out.
        return [[*tokens[: POSITIONS - 1], EOS] for tokens in self.subwords.encode(self.text.source)]

    @cached_property
    def _weights(self) -> SharedWeights:
        net: Trainable = self.net  # type: ignore[assignment]
        return net.shared(needed_weights("bleu", self.options))

    def _translator(self, config: Config) -> Translator:
        from hwnas.supernets.checkpoints import assign
        from hwnas.supernets.transformer.network import Translator

        net: Trainable = self.net  # type: ignore[assignment]
        module = assign(net.module(config), self._weights.state(config))
        assert isinstance(module, Translator)  # noqa: S101 - what translation networks are made of
        return module

    def _say(self, done: int) -> None:
        if self.options.progress is not None:
            total = len(self._sources)
            self.options.progress(QualityProgress(done, total, f"translated {done:,} of {total:,} sentences"))


def _translated(translator: Translator, source: torch.Tensor, steps: int) -> list[list[int]]:
    """Return the best hypothesis of each sentence; see ``BeamSearch.translate``."""
    from hwnas.supernets.transformer.beam import BeamSearch
    from hwnas.supernets.transformer.network import DecoderStep, EncoderStage

    step = DecoderStep(translator, steps - 1).eval()

    def checked(*inputs: torch.Tensor) -> Sequence[torch.Tensor]:
        logits, *fresh = step(*inputs)
        return [check_finite(logits, "the network's logits"), *fresh]

    search = BeamSearch(BEAM, LENGTH_PENALTY)
    return search.search(EncoderStage(translator), checked, translator.architecture.decoder, source, steps)


def _check_vocabulary(text: ParallelText, subwords: Subwords, options: QualityOptions) -> None:
    """Raise ``DataError`` at the first sentence without a token in the vocabulary."""
    for line, tokens in enumerate(subwords.encode(text.source), start=1):
        if subwords.unknown(tokens):
            raise DataError(
                f"{text.files[0]}:{line}: nothing of it is in the vocabulary of {options.weights}; expected the "
                "language that it was trained to translate"
            )


def _chosen(text: ParallelText, subset: int | None) -> ParallelText:
    """Return some of the sentences, drawn by a fixed seed, in their order; ``None``: all."""
    n = len(text.source)
    if subset is None or subset >= n:
        return text
    rows: IntArray = np.sort(np.random.default_rng(_SEED).permutation(n)[:subset])
    return text.at(rows.tolist())
