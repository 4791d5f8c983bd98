"""``perplexity:PATHS``: the perplexity of sub-networks on a text, of files or folders of them.

The text is cut into windows, and each token of it but the first is predicted once. By default windows do not overlap: a
token sees those before it in its window. With ``stride=N`` a window begins every N tokens, and only those that the one
before did not predict count, so that each sees more. Options: ``window``, ``stride``, ``tokenizer``, see
``hwnas.harness.data.text``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hwnas.backends.outputs import check_finite
from hwnas.harness.data.argument import parse_argument, whole_number
from hwnas.harness.data.text import LanguageModel, language_model, tokeniser_of, window_of, windows_needed
from hwnas.harness.measurement.intervals import half_width_of_mean
from hwnas.harness.quality.evaluated import EvaluatedQuality
from hwnas.harness.quality.quality import QualityOptions, QualityProgress, Score
from hwnas.supernets.contents import Content
from hwnas.supernets.decoder.text import FORM, Text
from hwnas.supernets.decoder.tokens import Tokeniser, beside
from hwnas.supernets.errors import DataError, NotServedError, QualityError, UsageError
from hwnas.supernets.space import Config, FloatArray, IntArray
from hwnas.supernets.supernet import SuperNetwork, own_weights

if TYPE_CHECKING:
    import torch

SPELLED = "perplexity:PATHS"
SUMMARY = "perplexity of a language model on a text, by windows; weights are needed"

USES_WEIGHTS = True
# Windows that are enough while a search goes on.
BRIEF = 64

_OPTIONS = ("stride", "tokenizer", "window")
_SEED = 0
# Logits that are held at a time: those of 50,000 tokens fill 64 MB for 320 positions.
_LOGITS = 1 << 24


def serves(name: str, net: SuperNetwork) -> list[str]:
    """Return the spec of this source if ``net`` is a language model; else nothing."""
    return [SPELLED.replace("perplexity", name)] if getattr(net, "data", None) == "text" else []


def create(name: str, argument: str, net: SuperNetwork, options: QualityOptions) -> EvaluatedQuality:
    """Return the perplexity of ``net`` on the text of ``PATHS``.

    Raises:
        QualityError: there is no text, ``net`` is no language model, or weights are missing.
        DataError: a file is missing, empty or not UTF-8, or the text is shorter than a window.
    """
    if not serves(name, net):
        raise NotServedError(f"{name}: {net.name}: predicts no text")
    if not argument:
        raise QualityError(f"{name}: expected {name}:PATHS, {FORM}")
    try:
        paths, given = parse_argument(name, argument, _OPTIONS)
        model = language_model(net)
        window = window_of(name, given.get("window"), model)
        stride = _stride(name, given.get("stride", str(window)), window)
        found = _tokeniser(name, given.get("tokenizer"), model, options)
    except DataError:
        raise
    except UsageError as error:
        raise QualityError(str(error)) from error
    text = Text.read(paths)
    windows = Windows.of(windows_needed(text, text.tokens(found), window), window, stride)
    chosen = windows.some(options.subset)
    how = "that do not overlap" if stride == window else f"every {stride} tokens"
    counted = f"{len(chosen.begins):,} of {len(windows.begins):,} windows of {window} tokens {how}"
    more = f"(digest {text.digest}; tokens {found.digest[:16]})"
    return EvaluatedQuality(
        name=f"{name}:{argument}",
        metric="perplexity",
        unit="",
        maximise=False,
        net=net,
        options=options,
        data=f"{counted} of {paths} {more}",
        score=_Scorer(model, options, chosen, text.size / len(windows.tokens)),
        known_by=f"{name} ({counted} {more}",
        examples={"text": Content(paths, text.digest)},
        weights_needed=own_weights(net) is None,
    )


@dataclass(frozen=True, eq=False)
class Windows:
    """The windows of a text.

    Attributes:
        tokens: of the text, ``(n,)``.
        length: tokens that are read in a window; the last may be shorter.
        begins: where each begins, ``(k,)``.
        firsts: the first position of each that counts, ``(k,)``: those before it are predicted in the window before.
    """

    tokens: IntArray
    length: int
    begins: IntArray
    firsts: IntArray

    @classmethod
    def of(cls, tokens: IntArray, length: int, stride: int) -> Windows:
        """Return windows of ``length`` tokens, one every ``stride``; every token but the first is predicted once."""
        n = 1 + max(0, math.ceil((len(tokens) - 1 - length) / stride))
        begins: IntArray = stride * np.arange(n)
        firsts: IntArray = np.where(begins > 0, length - stride, 0)
        return cls(tokens, length, begins, firsts)

    def some(self, n: int | None) -> Windows:
        """Return ``n`` of the windows, drawn by a fixed seed, in their order; ``None``: all."""
        if n is None or n >= len(self.begins):
            return self
        if n < 1:
            raise QualityError(f"subset: expected at least 1 window, got {n}")
        rows = np.sort(np.random.default_rng(_SEED).permutation(len(self.begins))[:n])
        return Windows(self.tokens, self.length, self.begins[rows], self.firsts[rows])

    def at(self, row: int) -> IntArray:
        """Return the tokens of a window and the one after it."""
        begin = int(self.begins[row])
        return self.tokens[begin : begin + self.length + 1]


def corpus_perplexity(losses: FloatArray, counts: IntArray) -> tuple[float, float, float]:
    """Return the perplexity of all tokens, and its 95 % interval over the choice of windows.

    Args:
        losses: sums of negative logarithms of probabilities, one for each window, ``(k,)``.
        counts: of the tokens that they are sums of, ``(k,)``.
    """
    mean = float(losses.sum() / counts.sum())
    if len(losses) < 2:
        return _exp(mean), math.nan, math.nan
    # The error of a ratio of two sums (Cochran, 1977).
    error = math.sqrt(float(np.var(losses - mean * counts, ddof=1)) / len(losses)) / float(counts.mean())
    half = half_width_of_mean(len(losses)) * error
    return _exp(mean), _exp(mean - half), _exp(mean + half)


@dataclass(frozen=True, eq=False)
class _Scorer:
    net: LanguageModel
    options: QualityOptions
    windows: Windows
    bytes_each: float

    def __call__(self, config: Config) -> Score:
        losses, counts = self.losses(config)
        value, low, high = corpus_perplexity(losses, counts)
        bits = float(losses.sum() / counts.sum()) / math.log(2) / self.bytes_each
        return Score(value, low, high, int(counts.sum()), {"bits_per_byte": bits})

    def losses(self, config: Config) -> tuple[FloatArray, IntArray]:
        """Return each window's loss, and the number of its tokens that count; raises ``NotFiniteError``."""
        import torch

        module, windows = self.net.build(config, self.options.weights), self.windows
        losses, counts = np.zeros(len(windows.begins)), np.zeros(len(windows.begins), dtype=np.int64)
        together = max(1, _LOGITS // (windows.length * self.net.vocabulary))
        # A window at the end of the text may be shorter than the others.
        whole = [row for row in range(len(losses)) if len(windows.at(row)) == windows.length + 1]
        groups = [whole[at : at + together] for at in range(0, len(whole), together)]
        groups += [[row] for row in range(len(losses)) if len(windows.at(row)) <= windows.length]
        done = 0
        with torch.inference_mode():
            for rows in groups:
                tokens = torch.from_numpy(np.stack([windows.at(row) for row in rows]))
                each = _losses(module, tokens)
                for row, of_window in zip(rows, each, strict=True):
                    counted = of_window[int(windows.firsts[row]) :]
                    losses[row], counts[row] = float(counted.double().sum()), len(counted)
                done += len(rows)
                self._say(done)
        return losses, counts

    def _say(self, done: int) -> None:
        if self.options.progress is not None:
            total = len(self.windows.begins)
            self.options.progress(QualityProgress(done, total, f"read {done:,} of {total:,} windows"))


def _losses(module: torch.nn.Module, tokens: torch.Tensor) -> torch.Tensor:
    """Return the loss of every token but the first, ``(b, n)``, for tokens ``(b, n + 1)``."""
    from torch.nn.functional import cross_entropy

    logits = check_finite(module(tokens[:, :-1]), "the network's logits")
    return cross_entropy(logits.transpose(1, 2).float(), tokens[:, 1:], reduction="none")


def _tokeniser(name: str, named: str | None, net: LanguageModel, options: QualityOptions) -> Tokeniser:
    """Return the tokeniser: that beside the weights, where training has written one; raises if another is named."""
    trained = beside(options.weights)
    found = tokeniser_of(named or trained, net)
    if named and trained and tokeniser_of(trained, net).digest != found.digest:
        raise QualityError(f"{name}: tokenizer={named}: the weights were trained with that of {trained}")
    return found


def _stride(name: str, text: str, window: int) -> int:
    stride = whole_number(name, "stride", text, 1)
    if stride > window:
        raise UsageError(f"{name}: stride={stride}: expected at most window={window}")
    return stride


def _exp(mean: float) -> float:
    return math.exp(mean) if mean < 700 else math.inf
