"""Split sentences into subword tokens by a sentencepiece model (Kudo and Richardson, 2018) trained on the text.

One model serves both languages. It is stored beside the checkpoint, in a file of the same name with suffix ``.spm``.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwnas.supernets.errors import DataError, UsageError
from hwnas.supernets.files import is_file
from hwnas.supernets.transformer.dimensions import BOS, EOS, PAD, UNK

if TYPE_CHECKING:
    from sentencepiece import SentencePieceProcessor

SUFFIX = ".spm"
# How sentencepiece spells a space.
_SPACE = "\u2581"


@dataclass(frozen=True, eq=False)
class Subwords:
    """A subword model.

    Attributes:
        content: the model file's bytes, as sentencepiece writes it.
        processor: sentencepiece's processor of it.
    """

    content: bytes
    processor: SentencePieceProcessor

    @classmethod
    def of(cls, content: bytes) -> Subwords:
        """Load a model from the bytes that sentencepiece writes."""
        processor = _sentencepiece().SentencePieceProcessor(model_proto=content)
        return cls(content, processor)

    @classmethod
    def learned(cls, sentences: Iterable[str], vocab: int, seed: int = 0) -> Subwords:
        """Learn ``vocab`` subwords by byte-pair encoding; the same sentences always give the same model.

        Raises:
            DataError: the sentences have fewer subwords; says how many.
        """
        sentencepiece, model = _sentencepiece(), io.BytesIO()
        # The trainer's random numbers are global to the process.
        sentencepiece.set_random_generator_seed(seed)
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(sentences),
                model_writer=model,
                vocab_size=vocab,
                model_type="bpe",
                character_coverage=1.0,
                bos_id=BOS,
                pad_id=PAD,
                eos_id=EOS,
                unk_id=UNK,
                num_threads=1,
                minloglevel=2,
            )
        except RuntimeError as error:
            raise DataError(_reason(str(error), vocab)) from error
        return cls.of(model.getvalue())

    @classmethod
    def beside(cls, weights: str | Path, vocab: int) -> Subwords:
        """Read the model beside a checkpoint.

        Raises:
            UsageError: there is none, or it does not have ``vocab`` subwords.
        """
        file = Path(weights).with_suffix(SUFFIX)
        if not is_file(file):
            raise UsageError(
                f"{file}: no such file; the subwords that {weights} was trained with have to lie beside it "
                "(hwnas train writes both; the byte-pair codes and dictionaries of published models are not read)"
            )
        try:
            found = cls.of(file.read_bytes())
        except (RuntimeError, OSError) as error:
            raise UsageError(f"{file}: is no model of sentencepiece ({error})") from error
        if found.size != vocab:
            raise UsageError(f"{file}: has {found.size} subwords, the super-network {vocab} (its option vocab)")
        return found

    @property
    def digest(self) -> str:
        """A digest of the model, in hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def size(self) -> int:
        """The number of subwords, special ones included."""
        return int(self.processor.get_piece_size())

    def encode(self, sentences: Iterable[str]) -> list[list[int]]:
        """Return each sentence's tokens, without those of beginning and end."""
        return list(self.processor.encode(list(sentences), out_type=int))

    def unknown(self, tokens: Iterable[int]) -> bool:
        """Return whether no token of a sentence, except spaces, is in the vocabulary."""
        return set(tokens) <= {UNK, int(self.processor.piece_to_id(_SPACE))}

    def decode(self, tokens: Iterable[Iterable[int]]) -> list[str]:
        """Return the sentences of tokens."""
        return list(self.processor.decode([list(row) for row in tokens]))


def _sentencepiece() -> Any:
    try:
        import sentencepiece
    except ImportError:
        raise UsageError("sentencepiece is not installed: pip install 'hwnas[translation]'") from None
    return sentencepiece


def _reason(error: str, vocab: int) -> str:
    most = re.search(r"<= (\d+)", error)
    if most:
        return f"the text has too few different subwords for vocab={vocab}: expected at most {most[1]}"
    return f"sentencepiece cannot learn vocab={vocab} subwords: {' '.join(error.split())}"
