"""Describe the blocks of image classifiers, with their costs, and make their torch modules.

``peak`` counts the activations in memory at once while a block runs as backends run it: with batch-norm folded into its
convolution, and element-wise operations (activations, gates, sums) that overwrite an input which nothing else needs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from hwnas.supernets.blocks import Block
from hwnas.supernets.images.widths import halved, round_to_eight

if TYPE_CHECKING:
    from torch import nn

# The activation behind a convolution, by its kind.
_ACTS = {"first-conv": "h_swish", "final-expand": "h_swish", "feature-mix": "h_swish"}


def conv(
    kind: str, side: int, c_in: int, side_out: int, c_out: int, kernel: int = 1, stride: int = 1, norm: bool = True
) -> Block:
    """Describe a convolution on a square image, with batch-norm (``norm``) and its kind's activation behind it."""
    weights = kernel**2 * c_in * c_out
    options = (("kernel", kernel), ("norm", int(norm)), ("stride", stride))
    return Block(
        kind,
        (side, side, c_in),
        (side_out, side_out, c_out),
        options,
        macs=weights * side_out**2,
        params=weights + 2 * c_out * norm,
        biases=c_out * norm,
        norms=c_out * norm,
        peak=side**2 * c_in + side_out**2 * c_out,
    )


def mbconv(side: int, c_in: int, c_mid: int, c_out: int, kernel: int, stride: int, se: bool, act: str) -> Block:
    """Describe an inverted bottleneck; if ``c_mid`` equals ``c_in``, there is no expanding convolution."""
    side_out = halved(side) if stride == 2 else side
    expand = c_mid != c_in
    squeezed = round_to_eight(c_mid // 4)
    macs = expand * side**2 * c_in * c_mid + side_out**2 * c_mid * (kernel**2 + c_out) + se * 2 * c_mid * squeezed
    params = expand * c_mid * (c_in + 2) + c_mid * (kernel**2 + 2) + c_out * (c_mid + 2)
    params += se * (2 * c_mid * squeezed + squeezed + c_mid)
    norms = expand * c_mid + c_mid + c_out
    shortcut = stride == 1 and c_in == c_out
    options = {"hs": act == "h_swish", "idskip": shortcut, "kernel": kernel, "mid": c_mid, "se": se, "stride": stride}
    pairs = tuple((name, int(value)) for name, value in options.items())

    x, expanded, convolved, y = side**2 * c_in, side**2 * c_mid, side_out**2 * c_mid, side_out**2 * c_out
    kept = x * shortcut
    # With no expanding convolution the depth-wise one reads the block's input itself.
    depthwise = kept + expanded + convolved if expand else x + convolved
    gate = c_mid + squeezed
    peak = max(expand * (x + expanded), depthwise, kept + convolved + se * gate, kept + convolved + y)
    return Block(
        "mbconv",
        (side, side, c_in),
        (side_out, side_out, c_out),
        pairs,
        macs=macs,
        params=params,
        biases=norms + se * (squeezed + c_mid),
        norms=norms,
        peak=peak,
    )


def bottleneck(side: int, c_in: int, c_mid: int, c_out: int, stride: int, projected: bool) -> Block:
    """Describe a residual bottleneck; ``projected``: its shortcut is average pooling and a 1 x 1 convolution."""
    side_out = halved(side) if stride == 2 else side
    macs = side**2 * c_in * c_mid + side_out**2 * c_mid * (9 * c_mid + c_out) + projected * side_out**2 * c_in * c_out
    norms = 2 * c_mid + c_out + projected * c_out
    weights = c_in * c_mid + 9 * c_mid**2 + c_mid * c_out + projected * c_in * c_out
    options = (("mid", c_mid), ("projected", int(projected)), ("stride", stride))

    x, first, second, y = side**2 * c_in, side**2 * c_mid, side_out**2 * c_mid, side_out**2 * c_out
    # The shortcut comes first; at stride 1 nothing is pooled.
    pooled = side_out**2 * c_in * (stride > 1)
    shortcut = projected * (x + pooled + y)
    # What has to stay in memory until the sum: the shortcut's result, or the block's input.
    kept = y if projected else x
    peak = max(shortcut, x + projected * y + first, kept + first + second, kept + second + y)
    return Block(
        "bottleneck",
        (side, side, c_in),
        (side_out, side_out, c_out),
        options,
        macs=macs,
        params=weights + 2 * norms,
        biases=norms,
        norms=norms,
        peak=peak,
    )


def residual_conv(side: int, channels: int) -> Block:
    """Describe a 3 x 3 convolution with batch-norm and activation, added to its input."""
    weights = 9 * channels**2
    return Block(
        "residual-conv",
        (side, side, channels),
        (side, side, channels),
        macs=weights * side**2,
        params=weights + 2 * channels,
        biases=channels,
        norms=channels,
        peak=2 * side**2 * channels,
    )


def max_pool(side: int, channels: int) -> Block:
    """Describe the maximum over 3 x 3 pixels, at stride 2."""
    side_out = halved(side)
    shape = (side_out, side_out, channels)
    return Block("max-pool", (side, side, channels), shape, peak=(side**2 + side_out**2) * channels)


def pool(side: int, channels: int) -> Block:
    """Describe the mean over the image."""
    return Block("pool", (side, side, channels), (1, 1, channels), peak=(side**2 + 1) * channels)


def classifier(c_in: int, classes: int) -> Block:
    """Describe the linear layer at the end."""
    return Block(
        "classifier",
        (1, 1, c_in),
        (classes,),
        macs=c_in * classes,
        params=(c_in + 1) * classes,
        biases=classes,
        peak=c_in + classes,
    )


def layer(block: Block) -> nn.Module:
    """Return the module of one block, freshly made; the classifier's takes vectors."""
    from torch import nn

    from hwnas.supernets.images import layers

    c_in, c_out, option = block.input[-1], block.output[-1], dict(block.options)
    made: dict[str, Callable[[], nn.Module]] = {
        "mbconv": lambda: layers.MbConv(
            c_in,
            option["mid"],
            c_out,
            option["kernel"],
            option["stride"],
            bool(option["se"]),
            "h_swish" if option["hs"] else "relu",
        ),
        "bottleneck": lambda: layers.Bottleneck(
            c_in, option["mid"], c_out, option["stride"], bool(option["projected"])
        ),
        "residual-conv": lambda: layers.ResidualConv(c_in),
        "max-pool": lambda: nn.MaxPool2d(3, stride=2, padding=1),
        "pool": layers.GlobalPool,
        "classifier": lambda: nn.Linear(c_in, c_out),
    }
    if block.kind in made:
        return made[block.kind]()
    act = _ACTS.get(block.kind, "relu")
    return layers.ConvBnAct(c_in, c_out, option["kernel"], option["stride"], norm=bool(option["norm"]), act=act)
