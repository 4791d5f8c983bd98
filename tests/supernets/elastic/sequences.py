"""Small models of tokens and sounds, each with what once was not followed: functions as in ``models``."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own spelling
from torch import nn


class RelativeLayer(nn.Module):
    """Attention that looks up how far tokens are apart, by indices expanded to all samples, as DeBERTa has it."""

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.qkv, self.far = nn.ModuleList(nn.Linear(size, size) for _ in range(3)), nn.Linear(size, size)
        self.out, self.norm, self.heads = nn.Linear(size, size), nn.LayerNorm(size), heads
        self.bias = nn.Parameter(torch.randn(heads, 1, 1))  # heads occur alone too

    def forward(self, x, table):
        samples, tokens, _ = x.shape
        q, k, v = (layer(x).unflatten(2, (self.heads, -1)).transpose(1, 2) for layer in self.qkv)
        far = self.far(table).unflatten(1, (self.heads, -1)).permute(1, 2, 0)
        counted = torch.arange(tokens)
        apart = (counted[:, None] - counted[None] + tokens).expand(samples, self.heads, tokens, tokens)
        scores = (q @ k.transpose(-1, -2) + torch.gather(q @ far, -1, apart)) / torch.tensor(q.shape[-1]).sqrt()
        scores = scores + self.bias
        return self.norm(x + self.out((scores.softmax(-1) @ v).transpose(1, 2).flatten(2)))


class Relative(nn.Module):
    """Layers that share a table, and its norm."""

    def __init__(self, size: int = 64, tokens: int = 9) -> None:
        super().__init__()
        self.first, self.table = nn.Linear(16, size), nn.Parameter(torch.randn(2 * tokens, size))
        self.norm, self.layers = nn.LayerNorm(size), nn.ModuleList(RelativeLayer(size, 4) for _ in range(3))
        self.last = nn.Linear(size, 5)

    def forward(self, x):
        x, table = self.first(x), self.norm(self.table)
        for layer in self.layers:
            x = layer(x, table)
        return self.last(x)


class Gated(nn.Module):
    """A residual block whose input a gate outside of it makes: two of them may be the only ones to need the gate."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.gate, self.last = nn.Linear(16, 32), nn.Linear(32, 32), nn.Linear(32, 5)
        self.blocks = nn.ModuleList(GatedBlock(gated=number in (1, 2)) for number in range(4))

    def forward(self, x):
        x = self.first(x)
        gate = torch.sigmoid(self.gate(x))
        for block in self.blocks:
            x = block(x, gate)
        return self.last(x)


class GatedBlock(nn.Module):
    def __init__(self, *, gated: bool) -> None:
        super().__init__()
        self.inner, self.gated = nn.Linear(32, 32), gated
        if not gated:
            with torch.no_grad():
                self.inner.weight.mul_(10)  # the gated ones are left out first

    def forward(self, x, gate):
        y = torch.relu(self.inner(x))
        return x + (y * gate if self.gated else y)


class Pooled(nn.Module):
    """A parameter that asks, and attention whose one weight is split for queries, keys and values, as SigLIP has it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.probe = nn.Linear(16, 64), nn.Parameter(torch.randn(1, 1, 64))
        self.attention = nn.MultiheadAttention(64, 4, batch_first=True)
        self.norm, self.last = nn.LayerNorm(64), nn.Linear(64, 5)

    def forward(self, x):
        x = torch.relu(self.first(x))
        pooled = self.attention(self.probe.repeat(x.shape[0], 1, 1), x, x, need_weights=False)[0]
        return self.last(self.norm(pooled))[:, 0]


class Speech(nn.Module):
    """Convolutions over sound, one in groups whose weights have a direction and lengths, as wav2vec 2.0 has it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv1d(1, 32, 10, 5), nn.GroupNorm(32, 32)
        places = nn.Conv1d(64, 64, 8, padding=4, groups=4)
        self.project = nn.Linear(32, 64)
        self.places = nn.utils.parametrizations.weight_norm(places, dim=2)
        self.last = nn.Linear(64, 5)

    def forward(self, x):
        x = self.project(F.gelu(self.norm(self.first(x[:, None]))).transpose(1, 2))
        x = x + F.gelu(self.places(x.transpose(1, 2))[..., :-1]).transpose(1, 2)
        return self.last(x)


class Parts(nn.Module):
    """Parts of tensors are changed in place: all tokens but the first, one entry, and halves of what is empty."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.places = nn.Linear(16, 64), nn.Parameter(torch.randn(8, 64))
        self.left, self.right, self.last = nn.Linear(64, 32), nn.Linear(64, 32), nn.Linear(64, 5)

    def forward(self, x):
        x = self.first(x)
        x[:, 1:] += self.places
        x[:, 0] *= 2
        x[:, -1, :] = 0
        both = x.new_zeros(x.shape[0], x.shape[1], 64)
        both[..., :32] = self.left(x)
        both[..., 32:] = torch.relu(self.right(x))
        return self.last(both)


class Hard(nn.Module):
    """Tokens that a batch-norm for images is given, and get their shape again from what they were, as LeViT has it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.middle = nn.Linear(16, 32), nn.Linear(32, 64)
        self.norm, self.last = nn.BatchNorm1d(64), nn.Linear(64, 5)

    def forward(self, x):
        x = self.middle(F.hardswish(self.first(x)))
        x = self.norm(x.flatten(0, 1)).reshape_as(x)
        return self.last(F.logsigmoid(x))


def relative():
    return Relative(), torch.randn(1, 9, 16)


def pooled():
    return Pooled(), torch.randn(1, 9, 16)


def speech():
    return Speech(), torch.randn(1, 200)


def hard():
    return Hard(), torch.randn(1, 9, 16)


def gated():
    return Gated(), torch.randn(1, 16)


def parts():
    return Parts(), torch.randn(1, 9, 16)


SEQUENCES = (relative, gated, pooled, speech, parts, hard)
