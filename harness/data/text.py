"""``text:PATHS``: train a language model to predict the next token of a text.

``PATHS`` are text files, joined by commas, or folders of them. Options: ``tokenizer`` (``bytes``, a ``tokenizer.json``
or a sentencepiece model; by default the model's own), ``window`` (tokens that are read at a time), ``batch`` (windows a
step). The tokeniser's file is written beside the checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from hwnas.harness.data.argument import parse_argument, whole_number
from hwnas.supernets.contents import Content
from hwnas.supernets.decoder.text import Text
from hwnas.supernets.decoder.tokens import BYTES, N_BYTES, Tokeniser, check_vocabulary, tokeniser
from hwnas.supernets.errors import DataError, UsageError
from hwnas.supernets.space import Config, IntArray
from hwnas.supernets.supernet import SuperNetwork
from hwnas.supernets.training import Batch, TrainingOptions

if TYPE_CHECKING:
    import torch

WINDOW = 256
_OPTIONS = ("batch", "tokenizer", "window")
_BATCH = 16
_EPOCHS = 4


@runtime_checkable
class LanguageModel(SuperNetwork, Protocol):
    """A super-network of language models.

    Attributes:
        vocabulary: the number of its tokens.
        positions: the most tokens that it reads at a time.
        tokeniser: the file of its own tokeniser; ``None``: it has none.
    """

    vocabulary: int
    positions: int
    tokeniser: str | None


def create(name: str, argument: str, net: SuperNetwork) -> TextTask:
    """Make the training task; the module's docstring describes ``argument``."""
    paths, given = parse_argument(name, argument, _OPTIONS)
    model = language_model(net)
    window = window_of(name, given.get("window"), model)
    found = tokeniser_of(given.get("tokenizer"), model)
    text = Text.read(paths)
    return TextTask(
        f"{name}:{argument}",
        text,
        found,
        windows_needed(text, text.tokens(found), window),
        window,
        whole_number(name, "batch", given.get("batch", str(_BATCH)), 1),
    )


def language_model(net: SuperNetwork) -> LanguageModel:
    """Return ``net``; raises ``UsageError`` if it is no language model."""
    if getattr(net, "data", None) != "text" or not isinstance(net, LanguageModel):
        raise UsageError(f"{net.name}: predicts no text; text is for hw-gpt-s, hw-gpt-m, hw-gpt-l and causal-lm")
    return net


def window_of(name: str, text: str | None, net: LanguageModel) -> int:
    """Parse the option ``window``; raises ``UsageError`` if the model cannot read so many tokens at a time."""
    window = min(WINDOW, net.positions) if text is None else whole_number(name, "window", text, 2)
    if window > net.positions:
        raise UsageError(f"{name}: window={window}: {net.name} reads at most {net.positions} tokens at a time")
    return window


def tokeniser_of(named: str | None, net: LanguageModel) -> Tokeniser:
    """Return the named tokeniser, or else the model's own.

    Raises:
        UsageError: the model has none, or the tokeniser has more tokens than it.
    """
    own = BYTES if net.tokeniser is None and net.vocabulary == N_BYTES else net.tokeniser
    chosen = named or own
    if chosen is None:
        raise UsageError(
            f"{net.name}: has {net.vocabulary:,} tokens and no tokeniser of its own; expected tokenizer=FILE, a "
            "tokenizer.json or a sentencepiece model (or the super-network with vocabulary=bytes)"
        )
    found = tokeniser(chosen)
    check_vocabulary(found, net.vocabulary, net.name)
    return found


def windows_needed(text: Text, tokens: IntArray, window: int) -> IntArray:
    """Return ``tokens``; raises ``DataError`` if they are fewer than a window and the token after it."""
    if len(tokens) <= window:
        raise DataError(
            f"{text.name}: has {len(tokens):,} tokens, expected more than window={window}; take a longer text or a "
            "smaller window"
        )
    return tokens


@dataclass(frozen=True, eq=False)
class TextTask:
    """Prediction of the next token, see ``hwnas.supernets.training.TrainingTask``.

    Attributes:
        text: the training text.
        tokeniser: splits it.
        tokens: of the text, ``(n,)``.
        window: tokens that are read at a time.
        batch: windows per step.
    """

    name: str
    text: Text
    tokeniser: Tokeniser
    tokens: IntArray
    window: int = WINDOW
    batch: int = _BATCH

    @property
    def contents(self) -> dict[str, Content]:
        """The digests of the text and of the tokeniser."""
        digests = {"text": Content(self.text.name, self.text.digest)}
        return digests | {"tokeniser": Content(self.tokeniser.name, self.tokeniser.digest)}

    @property
    def companions(self) -> Mapping[str, bytes]:
        """The tokeniser's file, to write beside the checkpoint; bytes need none."""
        content = self.tokeniser.content
        return {} if content is None else {self.tokeniser.suffix: content}

    @property
    def note(self) -> str:
        """One line: how much text, and how it is split."""
        return (
            f"{self.text.size:,} bytes of text, {len(self.tokens):,} tokens ({self.tokeniser.name}); "
            f"{self.batches_per_epoch} batches of {self.batch} windows of {self.window} tokens an epoch"
        )

    @property
    def batches_per_epoch(self) -> int:
        """Mini-batches in one epoch."""
        return max(1, (len(self.tokens) - 1) // self.window // self.batch)

    @property
    def defaults(self) -> TrainingOptions:
        """Default options: Adam, the sandwich rule (largest, smallest, two random), and in-place distillation."""
        return TrainingOptions(
            steps=_EPOCHS * self.batches_per_epoch,
            lr=2e-3,
            schedule="cosine",
            warmup=min(200, self.batches_per_epoch),
            optimizer="adam",
            weight_decay=0.05,
            clip=1.0,
            sampling="sandwich",
            samples=2,
            distillation=0.5,
        )

    def batches(self, rng: np.random.Generator, start: int = 0) -> Iterator[Batch]:
        """Yield windows of the text and the token after each, ``(b, window + 1)``; each epoch they begin elsewhere."""
        import torch

        spare = len(self.tokens) - 1 - (len(self.tokens) - 1) // self.window * self.window
        first = int(rng.integers(spare + 1))
        begins = rng.permutation(np.arange(first, len(self.tokens) - self.window, self.window))
        begins = np.resize(begins, self.batches_per_epoch * self.batch).reshape(-1, self.batch)
        for rows in begins[start:]:
            yield (torch.from_numpy(self.tokens[rows[:, None] + np.arange(self.window + 1)]),)

    def inputs(self, batch: Batch, config: Config) -> tuple[torch.Tensor, ...]:  # noqa: ARG002 - a task's signature
        """Return all tokens but the last."""
        return (batch[0][:, :-1],)

    def loss(self, outputs: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Return the mean cross-entropy of each next token."""
        from torch.nn.functional import cross_entropy

        return cross_entropy(outputs.flatten(0, 1), batch[0][:, 1:].flatten())

    def soft_loss(self, outputs: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
        """Return the mean cross-entropy with a larger sub-network's probabilities."""
        from torch.nn.functional import cross_entropy

        return cross_entropy(outputs.flatten(0, 1), teacher.softmax(-1).flatten(0, 1))
