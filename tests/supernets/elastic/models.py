"""Small models of the kinds that users have: functions that return the module and example inputs of one sample.

Those of sequences are in ``sequences``, Hugging Face's in ``hugging_face``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own spelling
from torch import nn


class Basic(nn.Module):
    """A residual block of a ResNet-18."""

    def __init__(self, given: int, made: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(given, made, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(made)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(made, made, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(made)
        self.downsample = None
        if stride != 1 or given != made:
            self.downsample = nn.Sequential(nn.Conv2d(given, made, 1, stride, bias=False), nn.BatchNorm2d(made))

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        y += x if self.downsample is None else self.downsample(x)
        return self.relu(y)


class ResNet18(nn.Module):
    def __init__(self, width: int = 16, classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        sizes = [width, width, 2 * width, 4 * width, 8 * width]
        for number in range(4):
            given, made = sizes[number], sizes[number + 1]
            blocks = nn.Sequential(Basic(given, made, 1 if number == 0 else 2), Basic(made, made))
            setattr(self, f"layer{number + 1}", blocks)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(sizes[-1], classes)

    def forward(self, x):
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


class SqueezeExcite(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(16, channels // 4)
        self.fc1, self.fc2 = nn.Conv2d(channels, inner, 1), nn.Conv2d(inner, channels, 1)

    def forward(self, x):
        return x * torch.sigmoid(self.fc2(F.silu(self.fc1(x.mean((2, 3), keepdim=True)))))


class InvertedResidual(nn.Module):
    def __init__(self, given: int, made: int, stride: int, expand: int, squeeze: bool) -> None:
        super().__init__()
        inner = given * expand
        layers = []
        if expand != 1:
            layers += [nn.Conv2d(given, inner, 1, bias=False), nn.BatchNorm2d(inner), nn.ReLU6(inplace=True)]
        depthwise = nn.Conv2d(inner, inner, 3, stride, 1, groups=inner, bias=False)
        self.inner = nn.Sequential(*layers, depthwise, nn.BatchNorm2d(inner), nn.ReLU6(inplace=True))
        self.squeeze = SqueezeExcite(inner) if squeeze else nn.Identity()
        self.project = nn.Sequential(nn.Conv2d(inner, made, 1, bias=False), nn.BatchNorm2d(made))
        self.residual = stride == 1 and given == made

    def forward(self, x):
        y = self.project(self.squeeze(self.inner(x)))
        return x + y if self.residual else y


class MobileNetV2(nn.Module):
    def __init__(self, squeeze: bool = False) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU6())
        plan = [(16, 16, 1, 1), (16, 24, 2, 6), (24, 24, 1, 6), (24, 24, 1, 6), (24, 32, 2, 6), (32, 32, 1, 6)]
        self.features = nn.Sequential(*(InvertedResidual(*one, squeeze) for one in plan))
        self.head = nn.Sequential(nn.Conv2d(32, 128, 1), nn.BatchNorm2d(128), nn.ReLU6())
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(128, 10))

    def forward(self, x):
        return self.classifier(self.head(self.features(self.stem(x))).mean([2, 3]))


class DenseLayer(nn.Module):
    def __init__(self, given: int, growth: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(given), nn.Conv2d(given, 4 * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, 1, 1, bias=False)

    def forward(self, x):
        return torch.cat([x, self.conv2(F.relu(self.norm2(self.conv1(F.relu(self.norm1(x))))))], 1)


class DenseNet(nn.Module):
    def __init__(self, layers: int = 4, growth: int = 16) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 32, 3, 2, 1, bias=False)
        channels, blocks = 32, []
        for _ in range(2):
            for _ in range(layers):
                blocks.append(DenseLayer(channels, growth))
                channels += growth
            halved = nn.Conv2d(channels, channels // 2, 1, bias=False)
            blocks += [nn.BatchNorm2d(channels), nn.ReLU(), halved, nn.AvgPool2d(2)]
            channels //= 2
        self.features, self.norm = nn.Sequential(*blocks), nn.BatchNorm2d(channels)
        self.classifier = nn.Linear(channels, 10)

    def forward(self, x):
        x = F.relu(self.norm(self.features(self.conv(x))))
        return self.classifier(F.adaptive_avg_pool2d(x, 1).flatten(1))


def _convolved(given: int, made: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(given, made, 3, 1, 1), nn.BatchNorm2d(made), nn.ReLU(inplace=True))


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2, self.down3 = _convolved(3, 16), _convolved(16, 32), _convolved(32, 64)
        self.up2, self.conv2 = nn.ConvTranspose2d(64, 32, 2, 2), _convolved(64, 32)
        self.up1 = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        self.conv1, self.out = _convolved(48, 16), nn.Conv2d(16, 2, 1)

    def forward(self, x):
        a = self.down1(x)
        b = self.down2(F.max_pool2d(a, 2))
        y = self.conv2(torch.cat([self.up2(self.down3(F.max_pool2d(b, 2))), b], 1))
        return self.out(self.conv1(torch.cat([self.up1(y), a], 1)))


class Attention(nn.Module):
    """Attention with one layer for queries, keys and values, as timm has it."""

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.qkv, self.proj, self.heads = nn.Linear(size, 3 * size), nn.Linear(size, size), heads

    def forward(self, x):
        samples, tokens, size = x.shape
        parts = self.qkv(x).reshape(samples, tokens, 3, self.heads, size // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4).unbind(0)
        scores = ((q @ k.transpose(-2, -1)) * (size // self.heads) ** -0.5).softmax(-1)
        return self.proj((scores @ v).transpose(1, 2).reshape(samples, tokens, -1))


class Block(nn.Module):
    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.attention, self.norm2 = nn.LayerNorm(size), Attention(size, heads), nn.LayerNorm(size)
        self.mlp = nn.Sequential(nn.Linear(size, 2 * size), nn.GELU(), nn.Dropout(0.1), nn.Linear(2 * size, size))

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class ViT(nn.Module):
    def __init__(self, size: int = 64, heads: int = 4, blocks: int = 4) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, size, 8, 8)
        self.token = nn.Parameter(torch.randn(1, 1, size) * 0.02)
        self.places = nn.Parameter(torch.randn(1, 17, size) * 0.02)
        self.blocks = nn.Sequential(*(Block(size, heads) for _ in range(blocks)))
        self.norm, self.head = nn.LayerNorm(size), nn.Linear(size, 10)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.places
        return self.head(self.norm(self.blocks(x))[:, 0])


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.one, self.other = nn.Embedding(50, 32), nn.Linear(32, 64), nn.Linear(20, 64)
        self.both = nn.Linear(128, 1)

    def forward(self, words, numbers):
        words = F.relu(self.one(self.words(words).mean(1)))
        return self.both(torch.cat([words, F.relu(self.other(numbers))], -1)).squeeze(-1)


class Reused(nn.Module):
    """A model with a parameter of its own, and a layer that runs twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.gain, self.twice = nn.Linear(16, 32), nn.Parameter(torch.ones(32)), nn.Linear(32, 32)
        self.last = nn.Linear(32, 4)

    def forward(self, x):
        x = F.relu(self.first(x)) * self.gain
        return self.last(F.relu(self.twice(F.relu(self.twice(x)))))


class Encoder(nn.Module):
    """torch's own encoder layers, whose attention has one weight for queries, keys and values."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
        self.out = nn.Linear(64, 3)

    def forward(self, x):
        return self.out(self.encoder(x).mean(1))


class Grouped(nn.Module):
    """Convolutions in groups, group norm, shuffled pixels and gated halves."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.groups = nn.Conv2d(3, 32, 3, padding=1), nn.Conv2d(32, 64, 3, padding=1, groups=2)
        self.norm, self.gate = nn.GroupNorm(4, 64), nn.Conv2d(64, 64, 1)
        self.shuffle, self.last = nn.Conv2d(32, 64, 1), nn.Conv2d(16, 2, 1)

    def forward(self, x):
        x = F.glu(self.gate(self.norm(self.groups(F.relu(self.first(x))))), 1)
        return self.last(F.pixel_shuffle(self.shuffle(x), 2))


def image(side: int) -> torch.Tensor:
    return torch.randn(1, 3, side, side)


def resnet():
    return ResNet18(), image(64)


def mobilenet():
    return MobileNetV2(), image(64)


def efficientnet():
    return MobileNetV2(squeeze=True), image(64)


def densenet():
    return DenseNet(), image(32)


def unet():
    return UNet(), image(32)


def vit():
    return ViT(), image(32)


def two_inputs():
    return TwoInputs(), (torch.randint(0, 50, (1, 7)), torch.randn(1, 20))


def reused():
    return Reused(), torch.randn(1, 16)


def encoder():
    return Encoder(), torch.randn(1, 9, 64)


def grouped():
    return Grouped(), image(16)


OWN = (resnet, mobilenet, efficientnet, densenet, unet, vit, two_inputs, reused, encoder, grouped)
