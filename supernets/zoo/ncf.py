"""Neural collaborative filtering (He et al., 2017, arXiv 1708.05031): NeuMF with elastic embeddings, depth and widths.

One inference scores 100 candidate items of one user. The choices are those of Cummings et al. (2022, arXiv 2205.10358).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from hwnas.supernets.blocks import Block, BlockCounts, Slot
from hwnas.supernets.errors import UsageError, suggestion
from hwnas.supernets.space import Choice, Config, SearchSpace
from hwnas.supernets.spec import parse_int
from hwnas.supernets.supernet import Stage

if TYPE_CHECKING:
    import torch

    from hwnas.supernets.neumf import NeuMF
    from hwnas.supernets.shared import SharedWeights, Tensors, WeightLayout

DIMS = (8, 16, 32, 64, 128)
LAYERS = 6
WIDTHS = (8, 16, 32, 64, 128, 256, 512, 1024)
CANDIDATES = 100
# Inferences from which a quantising backend learns the ranges of activations.
_CALIBRATION = 15

# MovieLens-100k has these.
_SIZES = {"users": 943, "items": 1682}

# The column of each variable in a vector; the widths follow.
_GMF, _MLP, _DEPTH, _HIDDEN = range(4)


def create(name: str, options: Mapping[str, str]) -> NeuralCollaborativeFiltering:
    """Make ``ncf``; options ``users`` and ``items``: how many of each the data has, MovieLens-100k's by default."""
    sizes = dict(_SIZES)
    for key, value in options.items():
        if key not in sizes:
            raise UsageError(f"{name}: unknown option {key!r}{suggestion(key, sizes)}")
        number = parse_int(value)
        if not number:
            raise UsageError(f"{name}: {key}={value}: expected a whole number from 1")
        sizes[key] = number
    return NeuralCollaborativeFiltering(spelled(**sizes), **sizes)


def spelled(users: int, items: int) -> str:
    """Return the name of the super-network for these numbers of users and items."""
    sizes = {"users": users, "items": items}
    return "ncf" if sizes == _SIZES else f"ncf:users={users},items={items}"


# A checkpoint has one head per depth, because a layer that is the last one at one depth is a middle one at others, and
# has to learn different things.
_HEADS = "heads"
# The prefixes of the embedding tables, which no layer sums over.
_TABLES = ("gmf_", "mlp_")
# Standard deviation of initial embeddings. With He et al.'s 0.01 a deep perceptron learns nothing in its first epochs.
_EMBEDDING = 0.05


class NeuralCollaborativeFiltering(BlockCounts):
    """The super-network for a number of users and of items; its MACs are for one user's candidates.

    Args:
        name: its name with options.
        users: the number of users.
        items: the number of items.
    """

    summary = "Neural collaborative filtering, 100 items of one user"
    default_quality = "hit-rate"
    data = "interactions"

    def __init__(self, name: str, users: int, items: int) -> None:
        self.name = name
        self.users = users
        self.items = items
        self.space = _space()
        self.slots = tuple(_slots(self.space, users, items))

    def module(self, config: Config | dict[str, Any]) -> NeuMF:
        """Return the sub-network of ``config`` on the meta device, without weights."""
        from hwnas.supernets.bare import without_weights

        with without_weights():
            return self._module(config)

    def shared(self, weights: str | None = None, seed: int = 0) -> SharedWeights:
        """Return the shared weights, freshly drawn from ``seed`` or read from the checkpoint ``weights``."""
        from hwnas.supernets.shared import SharedWeights

        layout = self._layout()
        return (
            SharedWeights(layout, _drawn(layout.shapes, seed))
            if weights is None
            else SharedWeights.load(layout, weights)
        )

    def build(self, config: Config | dict[str, Any], weights: str | None = None) -> torch.nn.Module:
        """Return the sub-network of ``config`` in evaluation mode.

        Args:
            config: as ``space.decode`` spells it.
            weights: a checkpoint of the super-network or of this very sub-network; ``None``: seeded random weights.
        """
        from hwnas.supernets.checkpoints import assign, load_into, read_state_dict
        from hwnas.supernets.live_init import build_live
        from hwnas.supernets.shared import fitted

        if weights is None:
            return build_live(lambda: self._module(config), ())
        state = read_state_dict(weights)
        if f"{_HEADS}.0.weight" in state:
            return assign(self.module(config), self._cut(fitted(self._layout(), state, weights), config))
        return load_into(self.module(config), state, weights)

    def stages(self, config: Config | dict[str, Any], batch: int, weights: str | None = None) -> tuple[Stage, ...]:
        """Return the one stage: ``batch`` users, each with its candidates."""
        inputs, *more = (
            (_ids(self.users, batch, seed=seed), _ids(self.items, batch, CANDIDATES, seed=seed))
            for seed in range(1 + _CALIBRATION)
        )
        return (Stage("network", self.build(config, weights), inputs, ("user", "items"), calibration=tuple(more)),)

    def block_stage(self, block: Block, batch: int) -> Stage:
        """Return one block as a network of its own."""
        from hwnas.supernets.live_init import build_live, random_input

        module = build_live(lambda: _layer(block), ())
        if block.kind == "embedding":
            return Stage(block.kind, module, (_ids(block.option("rows"), batch, *block.input),), ("ids",))
        if block.kind in ("pair", "product"):
            dim = block.input[-1]
            inputs = (random_input(batch, dim), random_input(batch, CANDIDATES, dim))
            return Stage(block.kind, module, inputs, ("user", "items"))
        return Stage(block.kind, module, (random_input(batch, *block.input),), ("input",))

    def _layout(self) -> WeightLayout:
        from hwnas.supernets.shared import WeightLayout

        widest = self.space.decode(self.space.largest())[0]
        shapes = {key: tuple(tensor.shape) for key, tensor in self.module(widest).state_dict().items()}
        heads = {key: shapes.pop(key) for key in ("head.weight", "head.bias")}
        for layer, (key, shape) in itertools.product(range(LAYERS), heads.items()):
            shapes[key.replace("head", f"{_HEADS}.{layer}")] = shape
        return WeightLayout(self.name, shapes, self._cut)

    def _cut(self, tensors: Tensors, config: Config | dict[str, Any]) -> dict[str, torch.Tensor]:
        """Return the sub-network's state dict: the first rows and columns of each tensor, and the head of its depth.

        A layer that reads fewer numbers has its weights scaled up, so that sums over 8 and over 1,024 of them are of
        the same size, as they are in a network that is initialised alone (He et al., 2015).
        """
        from hwnas.supernets.shared import corner

        module = self.module(config)
        own = f"{_HEADS}.{len(module.layers)}"
        state = {}
        for key, tensor in module.state_dict().items():
            whole = tensors[key.replace("head", own)]
            part = corner(whole, tuple(tensor.shape))
            if part.dim() > 1 and not key.startswith(_TABLES) and part.shape[1] < whole.shape[1]:
                part = part * math.sqrt(whole.shape[1] / part.shape[1])
            state[key] = part
        return state

    def _module(self, config: Config | dict[str, Any]) -> NeuMF:
        from hwnas.supernets.neumf import NeuMF

        x = self.space.canonical(self.space.encode(config))[0]
        hidden = [WIDTHS[index] for index in x[_HIDDEN : _HIDDEN + x[_DEPTH] + 1]]
        return NeuMF(self.users, self.items, DIMS[x[_GMF]], DIMS[x[_MLP]], hidden)


def _space() -> SearchSpace:
    # The first layer is always there, each further one from its own depth on.
    widths = (Choice("hidden", WIDTHS, needs=(_DEPTH, layer) if layer else None) for layer in range(LAYERS))
    depths = tuple(range(1, LAYERS + 1))
    return SearchSpace((Choice("gmf_dim", DIMS), Choice("mlp_dim", DIMS), Choice("n_layers", depths), *widths))


# --- blocks ----------------------------------------------------------------------------------------------------------


def _slots(space: SearchSpace, users: int, items: int) -> list[Slot]:
    def slot(name: str, columns: tuple[int, ...], make: Callable[..., Block | None]) -> Slot:
        values = [space.choices[column].values for column in columns]
        return Slot(name, columns, tuple(make(*chosen) for chosen in itertools.product(*values)))

    return [
        slot("gmf_user", (_GMF,), lambda dim: embedding(users, 1, dim)),
        slot("gmf_item", (_GMF,), lambda dim: embedding(items, CANDIDATES, dim)),
        slot("mlp_user", (_MLP,), lambda dim: embedding(users, 1, dim)),
        slot("mlp_item", (_MLP,), lambda dim: embedding(items, CANDIDATES, dim)),
        slot("product", (_GMF,), product),
        slot("first", (_MLP, _HIDDEN), pair),
        *(
            slot(f"layers.{layer - 1}", (_HIDDEN + layer - 1, _HIDDEN + layer, _DEPTH), _dense_from(layer + 1))
            for layer in range(1, LAYERS)
        ),
        *(slot(f"head.{layer}", (_HIDDEN + layer, _DEPTH), _head_at(layer + 1)) for layer in range(LAYERS)),
    ]


def _dense_from(least: int) -> Callable[[int, int, int], Block | None]:
    return lambda c_in, c_out, depth: dense(c_in, c_out) if depth >= least else None


def _head_at(wanted: int) -> Callable[[int, int], Block | None]:
    return lambda c_in, depth: head(c_in) if depth == wanted else None


def embedding(rows: int, looked_up: int, dim: int) -> Block:
    """Describe the look-up of vectors in a table."""
    return Block("embedding", (looked_up,), (looked_up, dim), (("rows", rows),), 0, rows * dim)


def product(dim: int) -> Block:
    """Describe the weighted inner product of a user's embedding with the candidates'."""
    return Block("product", (CANDIDATES, dim), (CANDIDATES, 1), (), CANDIDATES * dim, dim)


def pair(dim: int, width: int) -> Block:
    """Describe the perceptron's first layer; the user's half is computed once."""
    macs = (CANDIDATES + 1) * dim * width
    return Block("pair", (CANDIDATES, dim), (CANDIDATES, width), (), macs, 2 * dim * width + width)


def dense(c_in: int, c_out: int) -> Block:
    """Describe a further layer of the perceptron."""
    macs = CANDIDATES * c_in * c_out
    return Block("dense", (CANDIDATES, c_in), (CANDIDATES, c_out), (), macs, (c_in + 1) * c_out)


def head(c_in: int) -> Block:
    """Describe the head, which makes a score from the perceptron's last layer."""
    return Block("head", (CANDIDATES, c_in), (CANDIDATES, 1), (), CANDIDATES * c_in, c_in + 1)


def _layer(block: Block) -> torch.nn.Module:
    from torch import nn

    from hwnas.supernets.neumf import Dense, Pair, Product

    c_in, c_out = block.input[-1], block.output[-1]
    makers: dict[str, Callable[[], nn.Module]] = {
        "embedding": lambda: nn.Embedding(block.option("rows"), c_out),
        "product": lambda: Product(c_in),
        "pair": lambda: Pair(c_in, c_out),
        "dense": lambda: Dense(c_in, c_out),
        "head": lambda: nn.Linear(c_in, c_out),
    }
    return makers[block.kind]()


def _drawn(shapes: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, torch.Tensor]:
    """Return fresh weights: normal embeddings, linear layers uniform with the variance for a ReLU (He et al., 2015)."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    drawn = {}
    for key, shape in shapes.items():
        tensor = torch.zeros(shape)
        if key.startswith(_TABLES):
            tensor.normal_(0, _EMBEDDING, generator=generator)
        elif len(shape) > 1:
            bound = math.sqrt(6 / shape[1])
            tensor.uniform_(-bound, bound, generator=generator)
        drawn[key] = tensor
    return drawn


def _ids(below: int, *shape: int, seed: int = 0) -> torch.Tensor:
    """Return seeded numbers of rows."""
    import torch

    return torch.randint(below, shape, generator=torch.Generator().manual_seed(seed))
