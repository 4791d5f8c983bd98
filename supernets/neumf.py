"""The torch modules of neural matrix factorisation (He et al., 2017, arXiv 1708.05031), stand-alone.

They score many items of one user at once. Where the paper joins two vectors before a linear layer, each half has its
own layer here and the results are added: the same function, but a user's half is computed once, not once per item.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


class NeuMF(nn.Module):
    """Neural matrix factorisation: the sum of a weighted product of embeddings and a perceptron on others.

    Args:
        users: rows of the users' tables.
        items: rows of the items' tables.
        gmf_dim: size of the embeddings that are multiplied.
        mlp_dim: size of the embeddings that the perceptron reads.
        hidden: the perceptron's layers.
    """

    def __init__(self, users: int, items: int, gmf_dim: int, mlp_dim: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.gmf_user = nn.Embedding(users, gmf_dim)
        self.gmf_item = nn.Embedding(items, gmf_dim)
        self.mlp_user = nn.Embedding(users, mlp_dim)
        self.mlp_item = nn.Embedding(items, mlp_dim)
        self.product = Product(gmf_dim)
        self.first = Pair(mlp_dim, hidden[0])
        self.layers = nn.ModuleList(map(Dense, hidden[:-1], hidden[1:]))
        self.head = nn.Linear(hidden[-1], 1)

    def forward(self, user: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """Return the logits of users ``(b,)`` and their items ``(b, n)``: ``(b, n)``."""
        hidden = self.first(self.mlp_user(user), self.mlp_item(items))
        for layer in self.layers:
            hidden = layer(hidden)
        scores: torch.Tensor = self.product(self.gmf_user(user), self.gmf_item(items)) + self.head(hidden)
        return scores.squeeze(-1)


class Product(nn.Module):
    """The weighted inner product of a user's embedding with those of items."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, 1, bias=False)

    def forward(self, user: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """Return ``(b, n, 1)`` for a user ``(b, dim)`` and items ``(b, n, dim)``."""
        product: torch.Tensor = self.linear(user.unsqueeze(1) * items)
        return product


class Pair(nn.Module):
    """The perceptron's first layer, on a user's embedding and those of items."""

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.user = nn.Linear(dim, width)
        self.item = nn.Linear(dim, width, bias=False)

    def forward(self, user: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """Return ``(b, n, width)`` for a user ``(b, dim)`` and items ``(b, n, dim)``."""
        return torch.relu(self.user(user).unsqueeze(1) + self.item(items))


class Dense(nn.Module):
    """A linear layer and a ReLU."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.linear = nn.Linear(c_in, c_out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.linear(x))
