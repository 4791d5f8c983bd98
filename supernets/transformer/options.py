"""Parse the options of ``hat-transformer``: smaller search spaces of the same form, and the measured sentence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from hwnas.supernets.errors import UsageError, suggestion
from hwnas.supernets.spec import parse_int
from hwnas.supernets.transformer.blocks import Sentence
from hwnas.supernets.transformer.dimensions import POSITIONS, Common
from hwnas.supernets.transformer.space import Choices

# The joint dictionary of HAT's WMT models.
_VOCAB = 32_768
# Special tokens, and at least some others.
_LEAST_VOCAB = 16


@dataclass(frozen=True)
class TransformerOptions:
    """The options in a name like ``hat-transformer:layers=3,embed=96+128,ffn=256+512,vocab=4000``.

    Attributes:
        layers: the layers of the encoder, and the most of the decoder.
        embed: the possible channels of embeddings.
        ffn: the possible hidden units of feed-forward parts.
        heads: the possible numbers of heads of attentions.
        qkv: channels of queries, keys and values, all heads together.
        vocab: the number of tokens.
        beam: hypotheses of the measured inference.
        source: tokens of the measured source sentence.
        steps: tokens that the measured inference decodes.
        dropout: of the largest sub-network in training, in per cent.
    """

    layers: int = 6
    embed: tuple[int, ...] = (512, 640)
    ffn: tuple[int, ...] = (1024, 2048, 3072)
    heads: tuple[int, ...] = (4, 8)
    qkv: int = 512
    vocab: int = _VOCAB
    beam: int = 5
    source: int = 30
    steps: int = 30
    dropout: int = 30
    choices: Choices = field(init=False)
    common: Common = field(init=False)
    sentence: Sentence = field(init=False)

    def __post_init__(self) -> None:
        # Derived once; a frozen dataclass is set like this.
        object.__setattr__(self, "choices", Choices(self.layers, self.embed, self.ffn, self.heads))
        common = Common(self.vocab, max(self.embed), self.qkv, self.dropout / 100)
        object.__setattr__(self, "common", common)
        object.__setattr__(self, "sentence", Sentence(self.source, self.steps, self.beam))

    @classmethod
    def parse(cls, name: str, given: Mapping[str, str]) -> TransformerOptions:
        """Read the options of a super-network's name; raises ``UsageError`` with what is allowed."""
        values: dict[str, int | tuple[int, ...]] = {}
        for key, text in given.items():
            if key in _LISTS:
                values[key] = _numbers(name, key, text)
            elif key in _NUMBERS:
                values[key] = _number(name, key, text, *_NUMBERS[key])
            else:
                raise UsageError(f"{name}: unknown option {key!r}{suggestion(key, [*_LISTS, *_NUMBERS])}")
        options = replace(cls(), **values)  # type: ignore[arg-type]
        if any(options.qkv % heads for heads in options.heads):
            raise UsageError(
                f"{name}: qkv={options.qkv}: expected a multiple of each of heads={_joined(options.heads)}"
            )
        return options

    def spelled(self, name: str) -> str:
        """Return the super-network's name with the options that are not the default, in one order."""
        default = TransformerOptions()
        parts = [
            f"{key}={_joined(getattr(self, key))}"
            for key in (*_NUMBERS, *_LISTS)
            if getattr(self, key) != getattr(default, key)
        ]
        return f"{name}:{','.join(parts)}" if parts else name


_LISTS = ("embed", "ffn", "heads")
# The least and the greatest of each; 36 digits name the values of a choice.
_NUMBERS = {
    "layers": (1, 36),
    "qkv": (1, 4096),
    "vocab": (_LEAST_VOCAB, 1_000_000),
    "beam": (1, 64),
    "source": (1, POSITIONS),
    "steps": (2, POSITIONS),
    "dropout": (0, 99),
}


def _number(name: str, key: str, text: str, least: int, greatest: int) -> int:
    number = parse_int(text)
    if number is None or not least <= number <= greatest:
        raise UsageError(f"{name}: {key}={text}: expected a whole number from {least} to {greatest}")
    return number


def _numbers(name: str, key: str, text: str) -> tuple[int, ...]:
    found = {number for part in text.split("+") if (number := parse_int(part))}
    if len(found) != len(text.split("+")) or len(found) > 36:
        raise UsageError(f"{name}: {key}={text}: expected different numbers from 1, joined like 96+128")
    return tuple(sorted(found))


def _joined(value: int | Iterable[int]) -> str:
    return str(value) if isinstance(value, int) else "+".join(map(str, value))
