"""HW-GPT-Bench's decoders (Sukthanker et al., 2024, arXiv 2405.10299): GPTs of three sizes, elastic in every layer.

One inference generates text: a prompt is read in one go (prefill), and tokens are decoded one by one on cached keys and
values. Options scale the networks down and say what is generated.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from hwnas.supernets.blocks import Block, BlockCounts, Slot
from hwnas.supernets.decoder import blocks
from hwnas.supernets.decoder.dimensions import BLOCK_SIZE, DECODE, PREFILL, GptArchitecture, GptLayerShape
from hwnas.supernets.decoder.options import DecoderOptions
from hwnas.supernets.decoder.space import EMBED_AT, LAYERS_AT, PUBLISHED, bias_at, gpt_space, heads_at, ratio_at
from hwnas.supernets.space import Config, IntArray
from hwnas.supernets.supernet import Stage

if TYPE_CHECKING:
    import torch

    from hwnas.supernets.decoder.network import Decoder
    from hwnas.supernets.shared import SharedWeights, WeightLayout

NAMES = tuple(f"hw-gpt-{letter}" for letter in PUBLISHED)


def create(name: str, options: Mapping[str, str]) -> HwGpt:
    """Make ``hw-gpt-s``, ``-m`` or ``-l``; its options are described in ``hwnas.supernets.decoder.options``."""
    return HwGpt(name, DecoderOptions.parse(name, options))


class HwGpt(BlockCounts):
    """The super-network of one size.

    The table of tokens is among its parameters; its MACs are all matrix products of one generation.

    Args:
        name: as registered.
        options: its sizes.
    """

    data = "text"
    tokeniser: str | None = None

    def __init__(self, name: str, options: DecoderOptions) -> None:
        letter = name.rpartition("-")[2]
        self.name = options.spelled(name)
        self.options = options
        self.generation = options.generation
        self.context = options.prompt + options.new
        self.vocabulary, self.positions = options.vocabulary, BLOCK_SIZE
        self.choices = PUBLISHED[letter].scaled(options.scale)
        self.summary = (
            f"HW-GPT-Bench's decoder {letter}: prefill of {options.prompt} tokens, {options.new} decoded after it"
        )
        self.default_quality = "hw-gpt-predictor" if options.published else "perplexity"
        self.space = gpt_space(letter, self.choices)
        self.slots = tuple(self._slots())

    # --- modules -----------------------------------------------------------------------------------------------------

    def module(self, config: Config | dict[str, Any]) -> Decoder:
        """Return the sub-network without weights of its own: tokens to logits."""
        from hwnas.supernets.bare import without_weights
        from hwnas.supernets.decoder.gpt import gpt

        with without_weights():
            return gpt(self.architecture(config))

    def build(self, config: Config | dict[str, Any], weights: str | None = None) -> torch.nn.Module:
        """Return the sub-network in evaluation mode.

        Args:
            config: as ``space.decode`` spells it.
            weights: a checkpoint of the super-network or of this very sub-network; ``None``: seeded random weights, see
                ``hwnas.supernets.live_init``.
        """
        return self._decoder(config, weights)

    def shared(self, weights: str | None = None, seed: int = 0) -> SharedWeights:
        """Return the shared weights, drawn from ``seed`` or read from the checkpoint ``weights``."""
        from hwnas.supernets.decoder.weights import drawn
        from hwnas.supernets.shared import SharedWeights

        layout = self.layout()
        return drawn(layout, seed) if weights is None else SharedWeights.load(layout, weights)

    def stages(self, config: Config | dict[str, Any], batch: int, weights: str | None = None) -> tuple[Stage, ...]:
        """Return prefill, which runs once, and decode, which runs once for each token."""
        from hwnas.supernets.decoder.stages import stages

        heads = [(layer.heads, self.choices.head_width) for layer in self.architecture(config).layers]
        decoder = self._decoder(config, weights)
        return stages(decoder, self.options.vocabulary, heads, self.generation, batch)

    def block_stage(self, block: Block, batch: int) -> Stage:
        """Return one block as a network of its own."""
        from hwnas.supernets.decoder.alone import block_stage

        return block_stage(block, batch)

    def layout(self) -> WeightLayout:
        """Return the layout of the super-network's checkpoints."""
        from hwnas.supernets.decoder.weights import layout

        return layout(self.name, self.module, self.space.decode(self.space.largest())[0])

    def _decoder(self, config: Config | dict[str, Any], weights: str | None) -> Decoder:
        from hwnas.supernets.decoder.gpt import gpt
        from hwnas.supernets.decoder.weights import built

        return built(lambda: gpt(self.architecture(config)), self.layout(), config, weights)

    # --- configs -----------------------------------------------------------------------------------------------------

    def architecture(self, config: Config | dict[str, Any]) -> GptArchitecture:
        """Return the dimensions of the sub-network of ``config``."""
        x = self.space.encode(config)[0]
        depth = int(self._value(x, LAYERS_AT))
        return self._network(
            self._value(x, EMBED_AT),
            bool(self._value(x, bias_at(self.choices))),
            [
                (self._value(x, ratio_at(layer)), self._value(x, heads_at(self.choices, layer)))
                for layer in range(depth)
            ],
        )

    def _value(self, x: IntArray, column: int) -> int:
        return int(self.space.choices[column].values[x[column]])

    def _network(self, embed: int, bias: bool, layers: list[tuple[int, int]]) -> GptArchitecture:
        shapes = tuple(GptLayerShape(heads, ratio * embed) for ratio, heads in layers)
        return GptArchitecture(self.options.vocabulary, embed, self.choices.head_width, bias, shapes)

    # --- blocks ------------------------------------------------------------------------------------------------------

    def _slots(self) -> Iterator[Slot]:
        once, often = self.generation.prompt, self.generation.new
        yield from self._stage_slots(PREFILL, once, 0, 1)
        yield from self._stage_slots(DECODE, 1, self.generation.past, often)

    def _stage_slots(self, stage: str, length: int, past: int, repeats: int) -> Iterator[Slot]:
        """Yield the slots of a stage; decode runs the weights that are counted in prefill."""
        vocab, choices = self.options.vocabulary, self.choices

        def slot(part: str, columns: tuple[int, ...], make: Callable[..., Block | None]) -> Slot:
            values = itertools.product(*(self.space.choices[column].values for column in columns))
            made = tuple(make(*each) for each in values)
            return Slot(f"{stage}.{part}", columns, made, repeats, stage, own=stage == PREFILL)

        @functools.cache  # the layers of a stage have the same few blocks
        def block(embed: int, ratio: int, heads: int, bias: bool) -> Block:
            network = self._network(embed, bias, [(ratio, heads)])
            return blocks.layer(network, network.layers[0], length, past)

        def layer(index: int) -> Callable[..., Block | None]:
            return lambda depth, *chosen: block(*chosen) if depth > index else None

        yield slot("wte", (EMBED_AT,), lambda embed: blocks.embedding(vocab, length, embed))
        for index in range(choices.deepest):
            own = (ratio_at(index), heads_at(choices, index))
            yield slot(f"h.{index}", (LAYERS_AT, EMBED_AT, *own, bias_at(choices)), layer(index))
        yield slot("ln_f", (EMBED_AT,), lambda embed: blocks.output(vocab, embed))
