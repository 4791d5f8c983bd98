"""Read ``config.json`` of a Hugging Face folder: the shape of a model of the Llama family."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwnas.supernets.decoder.rotary import Stretching
from hwnas.supernets.documents import parse_json, read_text
from hwnas.supernets.errors import UsageError

CONFIG = "config.json"
# What serves, and what their linear layers and norms have beside weights. SmolLM and SmolLM2 say that they are llama.
FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
SERVED = "llama (SmolLM and SmolLM2 too), mistral, qwen2 and qwen3"
# The most positions for which angles are computed, and windows can be read.
_POSITIONS = 4096
_LARGEST = 10_000_000
# Ten times as many layers as the deepest models have.
_MOST_LAYERS = 1_000


@dataclass(frozen=True)
class ModelShape:
    """The dimensions of a whole model.

    Attributes:
        family: its ``model_type``.
        vocab: the number of tokens.
        embed: channels of the residual.
        layers: how many there are.
        ffn: hidden units of each feed-forward part.
        heads: of queries.
        groups: heads of keys and values, each of which ``heads / groups`` queries share.
        head_width: channels of a head.
        eps: of the norms.
        base: of the rotary angles.
        stretching: of them, in a model that reads longer texts than it was trained on at first.
        positions: the most tokens that it reads.
        tied: the output shares the table of tokens.
        qkv_bias: queries, keys and values have biases.
        out_bias: the projection after attention has one.
        mlp_bias: the feed-forward part has biases.
        qk_norm: queries and keys are normalised.
    """

    family: str
    vocab: int
    embed: int
    layers: int
    ffn: int
    heads: int
    groups: int
    head_width: int
    eps: float
    base: float
    stretching: Stretching | None
    positions: int
    tied: bool
    qkv_bias: bool
    out_bias: bool
    mlp_bias: bool
    qk_norm: bool

    @property
    def shared_by(self) -> int:
        """How many heads share keys and values."""
        return self.heads // self.groups


def read_config(folder: str) -> dict[str, Any]:
    """Return the content of a folder's ``config.json``; raises ``UsageError`` if there is none."""
    file = Path(folder) / CONFIG
    found = read_json(file, f"{file}: no such file; expected the folder of a model in Hugging Face's form")
    if not isinstance(found, dict):
        raise UsageError(f"{file}: expected an object, got {type(found).__name__}")
    return found


def read_json(file: Path, missing: str) -> Any:
    """Return what a JSON file of a folder holds; raises ``UsageError``, which says ``missing`` if there is none."""
    try:
        return parse_json(read_text(file))
    except FileNotFoundError:
        raise UsageError(missing) from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{file}: cannot be read ({error})") from error


def shape_of(config: Mapping[str, Any], folder: str) -> ModelShape:
    """Return the shape of a model.

    Raises:
        UsageError: it is of another family, or a field is missing, of the wrong type, or of a kind that is not served;
            names the file and the field.
    """
    fields = _Fields(config, str(Path(folder) / CONFIG))
    family = config.get("model_type")
    if family not in FAMILIES:
        raise UsageError(f"{fields.file}: model_type: {family!r} is not served; expected {SERVED}")
    fields.expect("hidden_act", ("silu", "swish"), "silu")
    heads, embed = fields.number("num_attention_heads"), fields.number("hidden_size")
    groups = fields.number("num_key_value_heads", heads)
    attention_bias = bool(config.get("attention_bias", False))
    if heads % groups:
        raise UsageError(f"{fields.file}: num_key_value_heads: {groups} does not divide num_attention_heads={heads}")
    width = fields.number("head_dim", 128 if family == "qwen3" else embed // heads)
    if width % 2:
        raise UsageError(f"{fields.file}: head_dim: expected an even number, got {width}")
    return ModelShape(
        family=family,
        vocab=fields.number("vocab_size"),
        embed=embed,
        layers=fields.number("num_hidden_layers", most=_MOST_LAYERS),
        ffn=fields.number("intermediate_size"),
        heads=heads,
        groups=groups,
        head_width=width,
        eps=fields.real("rms_norm_eps", 1e-6),
        **_rope(fields),
        positions=_positions(fields, family),
        tied=bool(config.get("tie_word_embeddings", False)),
        qkv_bias=family == "qwen2" or attention_bias,
        out_bias=family != "qwen2" and attention_bias,
        mlp_bias=family == "llama" and bool(config.get("mlp_bias", False)),
        qk_norm=family == "qwen3",
    )


@dataclass(frozen=True)
class _Fields:
    config: Mapping[str, Any]
    file: str

    def number(
        self, name: str, default: int | None = None, of: Mapping[str, Any] | None = None, most: int = _LARGEST
    ) -> int:
        value = (self.config if of is None else of).get(name)
        value = default if value is None else value
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= most:
            raise UsageError(f"{self.file}: {name}: expected a whole number from 1 to {most:,}, got {value!r}")
        return value

    def real(self, name: str, default: float | None, of: Mapping[str, Any] | None = None) -> float:
        value = (self.config if of is None else of).get(name)
        value = default if value is None else value
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 1e12:
            raise UsageError(f"{self.file}: {name}: expected a number above 0, got {value!r}")
        return float(value)

    def expect(self, name: str, allowed: tuple[str, ...], default: str) -> None:
        if self.config.get(name, default) not in allowed:
            raise UsageError(f"{self.file}: {name}: expected {allowed[0]}, got {self.config[name]!r}")


def _rope(fields: _Fields) -> dict[str, Any]:
    """Return the base of the angles and how they are stretched, by the spelling of transformers 5 or an earlier one."""
    rope = fields.config.get("rope_parameters") or fields.config.get("rope_scaling") or {}
    if not isinstance(rope, Mapping):
        raise UsageError(f"{fields.file}: rope_parameters: expected an object, got {rope!r}")
    kind = rope.get("rope_type", rope.get("type", "default"))
    if not isinstance(kind, str) or kind not in _STRETCHINGS:
        served = ", ".join(map(repr, _STRETCHINGS))
        raise UsageError(f"{fields.file}: rope_type: {kind!r} is not served; expected one of {served}")
    base = fields.real("rope_theta", 10_000.0, rope if "rope_theta" in rope else fields.config)
    return {"base": base, "stretching": _STRETCHINGS[kind](fields, rope)}


def _llama3(fields: _Fields, rope: Mapping[str, Any]) -> Stretching:
    low, high = fields.real("low_freq_factor", None, rope), fields.real("high_freq_factor", None, rope)
    if low >= high:
        raise UsageError(f"{fields.file}: high_freq_factor: expected more than low_freq_factor={low:g}, got {high:g}")
    short = fields.number("original_max_position_embeddings", None, rope)
    return Stretching(fields.real("factor", None, rope), (low, high, short))


# By rope_type.
_STRETCHINGS: dict[str, Callable[[_Fields, Mapping[str, Any]], Stretching | None]] = {
    "default": lambda _fields, _rope: None,
    "linear": lambda fields, rope: Stretching(fields.real("factor", None, rope)),
    "llama3": _llama3,
}


def _positions(fields: _Fields, family: str) -> int:
    """Return the most positions: within a sliding window, attention is what it is without one."""
    positions = min(_POSITIONS, fields.number("max_position_embeddings", 2048))
    sliding = fields.config.get("sliding_window")
    if sliding is None or (family != "mistral" and not fields.config.get("use_sliding_window", False)):
        return positions
    return min(positions, fields.number("sliding_window"))
