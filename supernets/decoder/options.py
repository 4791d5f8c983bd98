"""Parse the options of decoder super-networks: smaller ones of the same form, and the measured generation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hwnas.supernets.decoder.dimensions import BLOCK_SIZE, Generation
from hwnas.supernets.errors import UsageError, suggestion
from hwnas.supernets.spec import parse_int

# HW-GPT-Bench's tokens.
PUBLISHED_VOCABULARY = 50_254
BYTES = "bytes"

_LEAST_SCALE, _GREATEST_SCALE = 0.0625, 4.0
_NUMBERS = {"vocabulary": (2, 1_000_000), "prompt": (1, BLOCK_SIZE - 1), "new": (1, BLOCK_SIZE - 1)}


@dataclass(frozen=True)
class DecoderOptions:
    """The options in a name like ``hw-gpt-s:vocabulary=bytes,scale=0.25,prompt=128,new=16``.

    Attributes:
        vocabulary: the number of tokens; ``bytes`` in a name stands for the 256 bytes.
        scale: factor on the channels of embeddings and heads, so that a small super-network trains on a CPU.
        prompt: tokens of the measured prompt.
        new: tokens that the measured inference decodes after it.
    """

    vocabulary: int = PUBLISHED_VOCABULARY
    scale: float = 1.0
    prompt: int = 64
    new: int = 32

    @property
    def published(self) -> bool:
        """Whether published weights and predictors fit: nothing of the network itself differs."""
        return (self.vocabulary, self.scale) == (PUBLISHED_VOCABULARY, 1.0)

    @property
    def generation(self) -> Generation:
        """What is measured."""
        return Generation(self.prompt, self.new)

    @classmethod
    def parse(cls, name: str, given: Mapping[str, str]) -> DecoderOptions:
        """Read the options of a super-network's name; raises ``UsageError`` with what is allowed."""
        values: dict[str, int] = {}
        scale = 1.0
        for key, text in given.items():
            if key == "scale":
                scale = _factor(name, text)
            elif key in _NUMBERS:
                values[key] = 256 if (key, text) == ("vocabulary", BYTES) else _number(name, key, text)
            else:
                raise UsageError(f"{name}: unknown option {key!r}{suggestion(key, [*_NUMBERS, 'scale'])}")
        options = cls(**values, scale=scale)
        if options.prompt + options.new > BLOCK_SIZE:
            raise UsageError(
                f"{name}: prompt={options.prompt} and new={options.new}: expected at most {BLOCK_SIZE} tokens together"
            )
        return options

    def spelled(self, name: str) -> str:
        """Return the super-network's name with the options that are not the default, in one order."""
        default = DecoderOptions()
        texts = {
            "vocabulary": BYTES if self.vocabulary == 256 else str(self.vocabulary),
            "scale": f"{self.scale:g}",
            "prompt": str(self.prompt),
            "new": str(self.new),
        }
        parts = [f"{key}={text}" for key, text in texts.items() if getattr(self, key) != getattr(default, key)]
        return f"{name}:{','.join(parts)}" if parts else name


def _number(name: str, key: str, text: str) -> int:
    least, greatest = _NUMBERS[key]
    number = parse_int(text)
    if number is None or not least <= number <= greatest:
        either = f"{BYTES} or " if key == "vocabulary" else ""
        raise UsageError(f"{name}: {key}={text}: expected {either}a whole number from {least} to {greatest}")
    return number


def _factor(name: str, text: str) -> float:
    try:
        # The name has as many digits, and must name the same network.
        value = float(f"{float(text):g}")
    except ValueError:
        value = 0.0
    if not _LEAST_SCALE <= value <= _GREATEST_SCALE:
        raise UsageError(f"{name}: scale={text}: expected a factor of {_LEAST_SCALE:g} to {_GREATEST_SCALE:g}")
    return value
