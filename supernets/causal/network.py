"""The super-network of a Hugging Face folder: an elastic decoder that begins with the model's own weights."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwnas.supernets.blocks import Block, BlockCounts, Slot
from hwnas.supernets.causal.config import read_config, shape_of
from hwnas.supernets.causal.space import Choices
from hwnas.supernets.contents import Content
from hwnas.supernets.decoder.dimensions import DECODE, PREFILL, Generation
from hwnas.supernets.errors import UsageError, suggestion
from hwnas.supernets.space import Config
from hwnas.supernets.spec import parse_int
from hwnas.supernets.supernet import Stage

if TYPE_CHECKING:
    import torch

    from hwnas.supernets.causal.llama import LayerShape
    from hwnas.supernets.causal.order import Order
    from hwnas.supernets.decoder.network import Decoder
    from hwnas.supernets.shared import SharedWeights, WeightLayout

AnyConfig = Config | dict[str, Any]

_PATHS = ("path", "calibration")
_NUMBERS = {"prompt": 64, "new": 32}


def from_options(name: str, options: Mapping[str, str]) -> CausalLm:
    """Make the super-network of a folder; see ``hwnas.supernets.zoo.causal_lm``."""
    for key in options:
        if key not in (*_PATHS, *_NUMBERS):
            raise UsageError(f"{name}: unknown option {key!r}{suggestion(key, (*_PATHS, *_NUMBERS))}")
    if "path" not in options:
        raise UsageError(f"{name}: expected path=DIR, the folder of a model in Hugging Face's form")
    folder = str(Path(options["path"]).absolute())
    text = str(Path(options["calibration"]).absolute()) if "calibration" in options else None
    numbers = {key: _number(name, key, options.get(key, str(default))) for key, default in _NUMBERS.items()}
    return CausalLm(name, folder, text, Generation(numbers["prompt"], numbers["new"]))


class CausalLm(BlockCounts):
    """The super-network of one folder.

    Args:
        name: as registered.
        folder: with the model.
        text: files or a folder whose text says what is important; ``None``: the weights do.
        generation: what is measured.

    Attributes:
        vocabulary: the number of tokens.
        positions: the most tokens that it reads at a time.
        tokeniser: the file of the folder's tokeniser; ``None``: it has none.
        context: positions in the cache at the end of the inference that is measured.
    """

    data = "text"
    default_quality = "perplexity"

    def __init__(self, name: str, folder: str, text: str | None, generation: Generation) -> None:
        from hwnas.supernets.causal.folder import tokeniser_of

        self.name = _spelled(name, folder, text, generation)
        self.folder, self.text, self.generation = folder, text, generation
        self.config = read_config(folder)
        self.shape = shape_of(self.config, folder)
        self.vocabulary, self.positions = self.shape.vocab, self.shape.positions
        self.context = generation.prompt + generation.new
        if self.context > self.positions:
            asked = f"prompt={generation.prompt} and new={generation.new}"
            raise UsageError(f"{name}: {asked}: expected at most {self.positions} tokens together")
        self.tokeniser = tokeniser_of(folder)
        self.summary = f"an elastic {self.shape.family} of {self.shape.layers} layers"
        layers = tuple(range(self.shape.layers)) if text is None else self._order.layers
        self.choices = Choices.of(self.shape, layers)
        self.space = self.choices.space()
        self.slots = tuple(self._slots())

    @property
    def own_weights(self) -> Content:
        """The digest of the folder's weights, which it has where no others are given, and of what orders them."""
        from hwnas.supernets.causal.folder import content_of
        from hwnas.supernets.contents import combined
        from hwnas.supernets.decoder.text import Text

        ordered = [] if self.text is None else [Text.read(self.text).digest]
        return Content(self.folder, combined([content_of(self.folder).digest, *ordered]))

    # --- modules -----------------------------------------------------------------------------------------------------

    def module(self, config: AnyConfig) -> Decoder:
        """Return the sub-network without weights: tokens to logits."""
        return self._bare([layer for _, layer in self.layers(config)])

    def build(self, config: AnyConfig, weights: str | None = None) -> torch.nn.Module:
        """Return the sub-network in evaluation mode.

        Args:
            config: as ``space.decode`` spells it.
            weights: a checkpoint of the super-network; ``None``: the folder's own weights.
        """
        return self._decoder(config, weights)

    def shared(self, weights: str | None = None, seed: int = 0) -> SharedWeights:  # noqa: ARG002 - nothing is drawn
        """Return the shared weights: those of the folder, the most important parts first, or of a checkpoint."""
        from hwnas.supernets.shared import SharedWeights

        if weights is not None:
            return SharedWeights.load(self.layout(), weights)
        return SharedWeights(self.layout(), {key: tensor.clone() for key, tensor in self._own.items()})

    def stages(self, config: AnyConfig, batch: int, weights: str | None = None) -> tuple[Stage, ...]:
        """Return prefill, which runs once, and decode, which runs once for each token."""
        from hwnas.supernets.decoder.stages import stages

        heads = [(layer.groups, self.shape.head_width) for _, layer in self.layers(config)]
        return stages(self._decoder(config, weights), self.vocabulary, heads, self.generation, batch)

    def block_stage(self, block: Block, batch: int) -> Stage:
        """Return one block as a network of its own."""
        from hwnas.supernets.causal.alone import block_stage

        return block_stage(self.shape, block, batch)

    def layout(self) -> WeightLayout:
        """Return the layout of the super-network's checkpoints."""
        from hwnas.supernets.shared import WeightLayout, corner

        def cut(tensors: Mapping[str, torch.Tensor], config: AnyConfig) -> dict[str, torch.Tensor]:
            numbers = [number for number, _ in self.layers(config)]
            wanted = self.module(config).state_dict()
            return {key: corner(tensors[_whole(key, numbers)], tuple(one.shape)) for key, one in wanted.items()}

        return WeightLayout(self.name, self._shapes, cut)

    def layers(self, config: AnyConfig) -> list[tuple[int, LayerShape]]:
        """Return the layers that a sub-network keeps, in order: their numbers in the model, and their sizes."""
        from hwnas.supernets.causal.llama import LayerShape

        x = self.space.encode(config)[0]
        values = [choice.values[index] for choice, index in zip(self.space.choices, x, strict=True)]
        n = self.shape.layers
        sizes = zip(values[1 : 1 + n], values[1 + n :], strict=True)
        layers = ((number, LayerShape(int(ffn), int(groups))) for number, (ffn, groups) in enumerate(sizes))
        return [one for one in layers if self.choices.rank[one[0]] < values[0]]

    def transformers_files(self, config: AnyConfig, weights: str | None = None) -> dict[str, bytes]:
        """Return the files of a folder that transformers loads as the sub-network.

        A folder has one number of hidden units and one of groups for all layers: the largest among those that are kept.
        Layers that have fewer are filled up with zeros, which change no output. So it is as small as its largest layer
        allows, and no smaller.
        """
        from hwnas.supernets.causal.folder import files_of
        from hwnas.supernets.causal.padding import padded

        made = padded(self.config, self.shape, [layer for _, layer in self.layers(config)])
        state = made.filled(self._decoder(config, weights).state_dict(), self._bare(made.layers).state_dict())
        return files_of(self.folder, made.config, state, self.shape.tied)

    def _decoder(self, config: AnyConfig, weights: str | None) -> Decoder:
        from hwnas.supernets.checkpoints import assign, read_state_dict
        from hwnas.supernets.decoder.network import Decoder
        from hwnas.supernets.shared import fitted

        layout = self.layout()
        tensors = self._own if weights is None else fitted(layout, read_state_dict(weights), weights)
        made = assign(self.module(config), layout.cut(tensors, config))
        assert isinstance(made, Decoder)  # noqa: S101 - what module returns
        return made

    def _bare(self, layers: list[LayerShape]) -> Decoder:
        from hwnas.supernets.bare import without_weights
        from hwnas.supernets.causal.llama import llama

        with without_weights():
            return llama(self.shape, layers)

    # --- weights -----------------------------------------------------------------------------------------------------

    @cached_property
    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return {key: tuple(tensor.shape) for key, tensor in self._bare(self._whole_layers).state_dict().items()}

    @property
    def _whole_layers(self) -> list[LayerShape]:
        from hwnas.supernets.causal.llama import LayerShape

        return [LayerShape(self.shape.ffn, self.shape.groups)] * self.shape.layers

    @cached_property
    def _read(self) -> dict[str, torch.Tensor]:
        from hwnas.supernets.causal.folder import read_weights

        return read_weights(self.folder, self._shapes)

    @cached_property
    def _order(self) -> Order:
        from hwnas.supernets.causal.order import by_activations, by_weights
        from hwnas.supernets.checkpoints import assign
        from hwnas.supernets.decoder.network import Decoder

        model = assign(self._bare(self._whole_layers), self._read)
        assert isinstance(model, Decoder)  # noqa: S101 - what was made
        return by_weights(model) if self.text is None else by_activations(model, self._calibration())

    def _calibration(self) -> Any:
        from hwnas.supernets.decoder.text import Text
        from hwnas.supernets.decoder.tokens import BYTES, N_BYTES, check_vocabulary, tokeniser

        if self.tokeniser is None and self.vocabulary != N_BYTES:
            raise UsageError(f"{self.folder}: has no tokenizer.json, which calibration={self.text} needs")
        found = tokeniser(self.tokeniser or BYTES)
        check_vocabulary(found, self.vocabulary, self.folder)
        return Text.read(str(self.text)).tokens(found)

    @cached_property
    def _own(self) -> dict[str, torch.Tensor]:
        from hwnas.supernets.causal.order import rearranged

        return rearranged(self._read, self._order, self.shape.head_width, self.shape.shared_by)

    # --- blocks ------------------------------------------------------------------------------------------------------

    def _slots(self) -> Iterator[Slot]:
        once, often = self.generation.prompt, self.generation.new
        yield from self._stage_slots(PREFILL, once, 0, 1)
        yield from self._stage_slots(DECODE, 1, self.generation.past, often)

    def _stage_slots(self, stage: str, length: int, past: int, repeats: int) -> Iterator[Slot]:
        """Yield the slots of a stage; decode runs the weights that are counted in prefill."""
        from hwnas.supernets.causal import blocks
        from hwnas.supernets.causal.llama import LayerShape

        def slot(part: str, columns: tuple[int, ...], make: Callable[..., Block | None]) -> Slot:
            values = itertools.product(*(self.space.choices[column].values for column in columns))
            return Slot(
                f"{stage}.{part}", columns, tuple(make(*each) for each in values), repeats, stage, stage == PREFILL
            )

        @functools.cache  # the layers of a stage have the same few blocks
        def block(ffn: int, groups: int) -> Block:
            return blocks.layer(self.shape, LayerShape(ffn, groups), length, past)

        def layer(rank: int) -> Callable[..., Block | None]:
            return lambda depth, *sizes: block(*sizes) if depth > rank else None

        yield slot("wte", (), lambda: blocks.embedding(self.shape, length))
        for number, rank in enumerate(self.choices.rank):
            yield slot(f"h.{number}", (0, 1 + number, 1 + self.shape.layers + number), layer(rank))
        yield slot("ln_f", (), lambda: blocks.output(self.shape))


def _whole(key: str, numbers: list[int]) -> str:
    """Return the key in the whole model of a tensor of a sub-network that keeps the layers ``numbers``."""
    head, dot, rest = key.partition(".")
    if head != "h":
        return key
    position, _, part = rest.partition(".")
    return f"{head}{dot}{numbers[int(position)]}.{part}"


def _spelled(name: str, folder: str, text: str | None, generation: Generation) -> str:
    parts = {"path": folder} | ({} if text is None else {"calibration": text})
    given = {"prompt": generation.prompt, "new": generation.new}
    parts |= {key: str(value) for key, value in given.items() if value != _NUMBERS[key]}
    return f"{name}:{','.join(f'{key}={value}' for key, value in parts.items())}"


def _number(name: str, key: str, text: str) -> int:
    number = parse_int(text)
    if number is None or not number:
        raise UsageError(f"{name}: {key}={text}: expected a whole number from 1")
    return number
