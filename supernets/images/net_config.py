"""Read once-for-all's ``net.config``, the layer-by-layer description of a published MobileNetV3 sub-network.

The choices of the search space are inferred from kernels, middle widths and the number of layers in each stage; all
other facts in the file have to agree with the network that these choices build.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from hwnas.supernets.blocks import Block
from hwnas.supernets.errors import ConfigError
from hwnas.supernets.images.widths import round_to_eight
from hwnas.supernets.space import Config

# The key of the images' side; once-for-all has it in another file, ``run.config``.
IMAGE_SIZE = "image_size"

_FAMILY = "MobileNetV3"
# The keys of a block's convolution, in the published files and in those of later versions.
_CONVOLUTIONS = ("mobile_inverted_conv", "conv")
# The entry for a layer that a stage does not have.
_ABSENT = "ZeroLayer"


@dataclass(frozen=True)
class Layer:
    """An inverted bottleneck.

    Attributes:
        c_in: channels of its input.
        c_out: of its output.
        kernel: side of its kernel.
        stride: likewise.
        mid: its middle width.
        act: "relu" or "h_swish".
        se: it has squeeze-and-excite.
    """

    c_in: int
    c_out: int
    kernel: int
    stride: int
    mid: int
    act: str
    se: bool

    @classmethod
    def of_file(cls, where: str, block: Any) -> Layer | None:
        """Read an entry of ``blocks``; ``None`` if it is no layer. Raises ``ConfigError``."""
        if block is None:
            return None
        named = [block[name] for name in _CONVOLUTIONS if name in block] if isinstance(block, Mapping) else [block]
        found = named[0] if named else block
        if found is None or (isinstance(found, Mapping) and found.get("name") == _ABSENT):
            return None
        if not isinstance(found, Mapping):
            raise ConfigError(f"{where}: expected an object with {' or '.join(_CONVOLUTIONS)}")
        numbers = {
            name: _whole(where, found, name) for name in ("in_channels", "out_channels", "kernel_size", "stride")
        }
        c_in, c_out, kernel, stride = numbers.values()
        mid = found.get("mid_channels")
        if mid is None:
            mid = round_to_eight(round(c_in * _whole(where, found, "expand_ratio")))
        else:
            mid = _whole(where, found, "mid_channels")
        return cls(c_in, c_out, kernel, stride, mid, str(found.get("act_func")), found.get("use_se") is True)

    @classmethod
    def of_block(cls, block: Block) -> Layer:
        """Return a block of this super-network as a layer."""
        kernel, stride, mid = (block.option(name) for name in ("kernel", "stride", "mid"))
        act = "h_swish" if block.option("hs") else "relu"
        return cls(block.input[-1], block.output[-1], kernel, stride, mid, act, bool(block.option("se")))


def is_net_config(row: Mapping[str, Any]) -> bool:
    """Return whether a document is a ``net.config`` and not a config of a search space."""
    return "blocks" in row


def layers(row: Mapping[str, Any]) -> list[Layer]:
    """Return the existing layers, including the fixed first block; raises ``ConfigError``."""
    if row.get("name") != _FAMILY:
        raise ConfigError(f"is a net.config of {row.get('name')!r}; expected one of {_FAMILY!r}")
    if not isinstance(row["blocks"], list):
        raise ConfigError(f"blocks: expected a list, got {type(row['blocks']).__name__}")
    found = (Layer.of_file(f"blocks[{number}]", block) for number, block in enumerate(row["blocks"]))
    return [layer for layer in found if layer is not None]


def choices(
    found: Sequence[Layer], widths: Sequence[int], expands: Sequence[int], depths: Sequence[int], kernels: Sequence[int]
) -> Config:
    """Return the kernels, expand ratios and depths that build layers.

    Args:
        found: the layers, see ``layers``.
        widths: channels of each stage.
        expands: the expand ratios there are.
        depths: the layers that a stage can have.
        kernels: the kernels there are; what is absent has the first of them, and of the expand ratios.

    Raises:
        ConfigError: there are none; says where.
    """
    stages = [(width, list(members)) for width, members in itertools.groupby(found[1:], lambda layer: layer.c_out)]
    if [width for width, _ in stages] != list(widths):
        there, ours = (", ".join(map(str, some)) for some in ([width for width, _ in stages], widths))
        raise ConfigError(
            f"blocks: stages of {there} channels; this super-network's have {ours}; another width's may fit"
        )
    config: Config = {"ks": [], "e": [], "d": []}
    for number, (_, members) in enumerate(stages, 1):
        if len(members) not in depths:
            raise ConfigError(f"blocks: stage {number} has {len(members)} layers; expected {_either(depths)}")
        absent = max(depths) - len(members)
        config["d"].append(len(members))
        config["ks"] += [layer.kernel for layer in members] + [kernels[0]] * absent
        config["e"] += [_expand(layer, number, expands) for layer in members] + [expands[0]] * absent
    return config


def check(found: Sequence[Layer], blocks: Sequence[Block]) -> None:
    """Raise ``ConfigError`` at the first layer that is not what the choices build."""
    built = [Layer.of_block(block) for block in blocks if block.kind == "mbconv"]
    for number, (theirs, ours) in enumerate(zip(found, built, strict=True)):
        for field in fields(Layer):
            expected, got = getattr(ours, field.name), getattr(theirs, field.name)
            if expected != got:
                raise ConfigError(
                    f"layer {number}: {field.name}: expected {expected!r} as in the super-network, got {got!r}"
                )


def _expand(layer: Layer, stage: int, expands: Sequence[int]) -> int:
    for expand in expands:
        if round_to_eight(round(layer.c_in * expand)) == layer.mid:
            return expand
    raise ConfigError(
        f"blocks: stage {stage}: a middle width of {layer.mid} for {layer.c_in} channels; expected {_either(expands)} "
        "times as many"
    )


def _whole(where: str, found: Mapping[str, Any], name: str) -> int:
    value = found.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value // 1 or not 0 < value < 1e6:
        raise ConfigError(f"{where}: {name}: expected a whole number, got {value!r}")
    return int(value)


def _either(values: Sequence[int]) -> str:
    return f"{', '.join(map(str, values[:-1]))} or {values[-1]}"
