"""Split text into a language model's tokens: bytes, or the tokens of a file of ``tokenizers`` or sentencepiece."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from hwnas.supernets.errors import DataError, UsageError
from hwnas.supernets.files import is_file
from hwnas.supernets.quoting import shortened
from hwnas.supernets.space import IntArray

BYTES = "bytes"
N_BYTES = 256
# The files of tokenisers beside weights, by how their names end.
JSON, PIECES = ".tokenizer.json", ".tokenizer.model"

_INSTALL = "pip install 'hwnas[language]'"


class Tokeniser(Protocol):
    """Splits text into tokens, without those of beginning and end.

    Attributes:
        name: of its file, or "bytes".
        size: how many tokens it knows.
        digest: of its file, in hexadecimal; "bytes" for bytes.
        content: of its file; ``None`` for bytes.
        suffix: how the name of its file ends.
    """

    @property
    def name(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def digest(self) -> str: ...
    @property
    def content(self) -> bytes | None: ...
    @property
    def suffix(self) -> str: ...

    def encode(self, text: bytes, file: str) -> IntArray:
        """Return the tokens of a file's text, ``(n,)``; raises ``DataError`` if it is not UTF-8, where that matters."""
        ...


@dataclass(frozen=True)
class Bytes:
    """Every byte is a token, whatever the text is."""

    name: str = BYTES
    size: int = N_BYTES
    digest: str = BYTES
    content: bytes | None = None
    suffix: str = ""

    def encode(self, text: bytes, file: str) -> IntArray:  # noqa: ARG002 - as in the protocol
        """Return the bytes as numbers."""
        return np.frombuffer(text, dtype=np.uint8).astype(np.int64)


@dataclass(frozen=True, eq=False)
class _FromFile:
    name: str
    content: bytes
    processor: Any

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


class _Json(_FromFile):
    """A tokeniser of the library ``tokenizers``."""

    suffix = JSON

    @property
    def size(self) -> int:
        return int(self.processor.get_vocab_size())

    def encode(self, text: bytes, file: str) -> IntArray:
        return np.array(self.processor.encode(decoded(text, file), add_special_tokens=False).ids, dtype=np.int64)


class _Pieces(_FromFile):
    """A model of sentencepiece."""

    suffix = PIECES

    @property
    def size(self) -> int:
        return int(self.processor.get_piece_size())

    def encode(self, text: bytes, file: str) -> IntArray:
        return np.array(self.processor.encode(decoded(text, file), out_type=int), dtype=np.int64)


def tokeniser(named: str) -> Tokeniser:
    """Return ``bytes``, or the tokeniser in a file: JSON of ``tokenizers``, or a model of sentencepiece.

    Raises:
        UsageError: there is no such file, it is neither, or the library that reads it is not installed.
    """
    if named == BYTES:
        return Bytes()
    if not is_file(named):
        raise UsageError(
            f"tokenizer={named}: no such file; expected {BYTES}, a tokenizer.json or a sentencepiece model"
        )
    try:
        content = Path(named).read_bytes()
    except OSError as error:
        raise UsageError(f"tokenizer={named}: cannot be read ({error.strerror})") from error
    return _json(named, content) if content.lstrip()[:1] == b"{" else _pieces(named, content)


def beside(weights: str | None) -> str | None:
    """Return the tokeniser's file beside a checkpoint, which training has written; ``None``: there is none."""
    if weights is None:
        return None
    files = (str(Path(weights).with_suffix(suffix)) for suffix in (JSON, PIECES))
    return next((file for file in files if is_file(file)), None)


def check_vocabulary(found: Tokeniser, vocabulary: int, of: str) -> None:
    """Raise ``UsageError`` unless a model of ``vocabulary`` tokens knows all of a tokeniser's."""
    if found.size > vocabulary:
        raise UsageError(
            f"tokenizer={found.name}: has {found.size:,} tokens, {of} has a vocabulary of {vocabulary:,}; expected "
            "the tokeniser that the model was trained with"
        )


def decoded(text: bytes, file: str) -> str:
    """Return the text of a file; raises ``DataError`` if it is not UTF-8."""
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: is not UTF-8 ({error.reason} at byte {error.start})") from None


def _json(name: str, content: bytes) -> Tokeniser:
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise UsageError(f"tokenizer={name}: tokenizers is not installed: {_INSTALL}") from None
    try:
        processor = Tokenizer.from_buffer(content)
    # The library raises plain exceptions.
    except Exception as error:
        raise UsageError(f"tokenizer={name}: is no tokeniser of tokenizers ({shortened(str(error))})") from error
    processor.no_truncation()
    processor.no_padding()
    return _Json(name, content, processor)


def _pieces(name: str, content: bytes) -> Tokeniser:
    try:
        import sentencepiece
    except ImportError:
        raise UsageError(f"tokenizer={name}: sentencepiece is not installed: {_INSTALL}") from None
    try:
        processor = sentencepiece.SentencePieceProcessor(model_proto=content)
    except (RuntimeError, ValueError) as error:
        raise UsageError(
            f"tokenizer={name}: is neither a tokenizer.json nor a sentencepiece model ({shortened(str(error))})"
        ) from error
    return _Pieces(name, content, processor)
