"""The torch layers of stand-alone image sub-networks; nothing here is elastic."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from hwnas.supernets.images.widths import round_to_eight

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "h_swish": nn.Hardswish}


class ConvBnAct(nn.Sequential):
    """Convolution with "same" padding, then optional batch-norm and activation."""

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        norm: bool = True,
        act: str | None = None,
    ) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["conv"] = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False)
        if norm:
            layers["bn"] = nn.BatchNorm2d(c_out)
        if act is not None:
            layers["act"] = ACTIVATIONS[act]()
        super().__init__(layers)


class SqueezeExcite(nn.Module):
    """Scale each channel by a gate computed from the channels' means (hard sigmoid, a quarter of the width)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = round_to_eight(channels // 4)
        self.fc = nn.Sequential(
            OrderedDict(
                reduce=nn.Conv2d(channels, squeezed, 1),
                relu=nn.ReLU(),
                expand=nn.Conv2d(squeezed, channels, 1),
                h_sigmoid=nn.Hardsigmoid(),
            )
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate: torch.Tensor = self.fc(x.mean((2, 3), keepdim=True))
        return x * gate


class MbConv(nn.Module):
    """Inverted bottleneck: expand, depth-wise convolution (squeeze-excite), project; a shortcut where shapes allow.

    Where the middle width is the input's there is no expanding convolution.
    """

    def __init__(self, c_in: int, c_mid: int, c_out: int, kernel: int, stride: int, se: bool, act: str) -> None:
        super().__init__()
        self.inverted_bottleneck = ConvBnAct(c_in, c_mid, act=act) if c_mid != c_in else None
        self.depth_conv = ConvBnAct(c_mid, c_mid, kernel, stride, groups=c_mid, act=act)
        if se:
            self.depth_conv.add_module("se", SqueezeExcite(c_mid))
        self.point_linear = ConvBnAct(c_mid, c_out)
        self.shortcut = stride == 1 and c_in == c_out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = x if self.inverted_bottleneck is None else self.inverted_bottleneck(x)
        y = self.point_linear(self.depth_conv(y))
        return x + y if self.shortcut else y


class Bottleneck(nn.Module):
    """Residual bottleneck: 1 x 1, 3 x 3 and 1 x 1 convolution, added to the input or to its projection.

    The projection is average pooling and a 1 x 1 convolution, so that it uses every pixel (He et al., 2019, ResNet-D).
    """

    def __init__(self, c_in: int, c_mid: int, c_out: int, stride: int, projected: bool) -> None:
        super().__init__()
        self.downsample = _projection(c_in, c_out, stride) if projected else None
        self.conv1 = ConvBnAct(c_in, c_mid, act="relu")
        self.conv2 = ConvBnAct(c_mid, c_mid, 3, stride, act="relu")
        self.conv3 = ConvBnAct(c_mid, c_out)
        self.final_act = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shortcut: torch.Tensor = x if self.downsample is None else self.downsample(x)
        y: torch.Tensor = self.final_act(self.conv3(self.conv2(self.conv1(x))) + shortcut)
        return y


def _projection(c_in: int, c_out: int, stride: int) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if stride > 1:
        # An odd side is rounded up, as the strided convolution beside it does.
        layers["avg_pool"] = nn.AvgPool2d(stride, stride, ceil_mode=True)
    layers["conv"] = nn.Conv2d(c_in, c_out, 1, bias=False)
    layers["bn"] = nn.BatchNorm2d(c_out)
    return nn.Sequential(layers)


class ResidualConv(ConvBnAct):
    """A 3 x 3 convolution with batch-norm and activation, added to its input."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 3, act="relu")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        return x + y


class GlobalPool(nn.Module):
    """Mean over height and width, as 1 x 1."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3), keepdim=True)
