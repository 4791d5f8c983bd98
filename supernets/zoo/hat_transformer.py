"""HAT's Transformer (Wang et al., 2020, arXiv 2005.14187): an elastic encoder-decoder for translation.

One inference translates one sentence: the encoder runs once, the decoder once for each token, with cached keys and
values and all beams at once. The search space is that of HAT's WMT models; options scale it down for small data.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from hwnas.supernets.blocks import Block, BlockCounts, Slot
from hwnas.supernets.space import Config, IntArray
from hwnas.supernets.supernet import Stage
from hwnas.supernets.transformer import blocks
from hwnas.supernets.transformer.dimensions import ENCODER, STEP, Architecture, DecoderLayerShape, EncoderLayerShape
from hwnas.supernets.transformer.options import TransformerOptions
from hwnas.supernets.transformer.space import Columns, HatSpace

if TYPE_CHECKING:
    import torch

    from hwnas.supernets.shared import SharedWeights, WeightLayout


def create(name: str, options: Mapping[str, str]) -> HatTransformer:
    """Make ``hat-transformer``; its options are described in ``hwnas.supernets.transformer.options``."""
    return HatTransformer(name, TransformerOptions.parse(name, options))


class HatTransformer(BlockCounts):
    """The super-network.

    The embedding table is among its parameters; its MACs are all matrix products in the translation of one sentence.

    Args:
        name: as registered.
        options: its sizes.
    """

    default_quality = "bleu"
    data = "translation"

    def __init__(self, name: str, options: TransformerOptions) -> None:
        self.context = options.steps
        self.name = options.spelled(name)
        self.options = options
        self.choices, self.common, self.sentence = options.choices, options.common, options.sentence
        self.summary = (
            f"HAT's Transformer for translation: {self.sentence.source} source tokens, {self.sentence.steps} decoder "
            f"steps, beam {self.sentence.beam}"
        )
        self.space = HatSpace(self.choices)
        self._columns = Columns.of(self.choices.layers)
        self.slots = tuple(self._slots())

    # --- modules -----------------------------------------------------------------------------------------------------

    def module(self, config: Config | dict[str, Any]) -> torch.nn.Module:
        """Return the sub-network without weights of its own: tokens of source and target to logits."""
        from hwnas.supernets.bare import without_weights
        from hwnas.supernets.transformer.network import Translator

        with without_weights():
            return Translator(self.architecture(config))

    def build(self, config: Config | dict[str, Any], weights: str | None = None) -> torch.nn.Module:
        """Return the sub-network in evaluation mode.

        Args:
            config: as ``space.decode`` spells it.
            weights: a checkpoint of the super-network, hwnas's or HAT's, or a state dict of this very sub-network;
                ``None``: seeded random weights, see ``hwnas.supernets.live_init``.
        """
        from hwnas.supernets.checkpoints import assign, load_into
        from hwnas.supernets.live_init import build_live
        from hwnas.supernets.transformer.weights import shared, tensors_in

        if weights is None:
            return build_live(lambda: self.module(config), ())
        tensors = tensors_in(weights)
        if "embed_tokens.weight" in tensors:
            return load_into(self.module(config), tensors, weights)
        return assign(self.module(config), shared(self.layout(), tensors, weights).state(config))

    def shared(self, weights: str | None = None, seed: int = 0) -> SharedWeights:
        """Return the shared weights, drawn from ``seed`` or read from the checkpoint ``weights``."""
        from hwnas.supernets.transformer.weights import drawn, read

        return drawn(self.layout(), seed) if weights is None else read(self.layout(), weights)

    def stages(self, config: Config | dict[str, Any], batch: int, weights: str | None = None) -> tuple[Stage, ...]:
        """Return the encoder, which runs once, and the decoder step, which runs once for each token."""
        from hwnas.supernets.transformer.network import Translator
        from hwnas.supernets.transformer.stages import stages

        module = self.build(config, weights)
        assert isinstance(module, Translator)  # noqa: S101 - what build returns
        return stages(module, self.sentence, batch)

    def block_stage(self, block: Block, batch: int) -> Stage:
        """Return one block as a network of its own."""
        from hwnas.supernets.transformer.alone import block_stage

        return block_stage(self.common, block, batch)

    # --- configs -----------------------------------------------------------------------------------------------------

    def architecture(self, config: Config | dict[str, Any]) -> Architecture:
        """Return the dimensions of the sub-network of ``config``."""
        return self._architecture(self.space.encode(config)[0])

    def layout(self) -> WeightLayout:
        """Return the layout of the super-network's checkpoints."""
        from hwnas.supernets.shared import WeightLayout
        from hwnas.supernets.transformer.weights import cut, shapes

        largest = self._architecture(self.space.largest()[0])
        return WeightLayout(self.name, shapes(largest), lambda tensors, config: cut(tensors, self.architecture(config)))

    def _architecture(self, x: IntArray) -> Architecture:
        at, choices, choice = self._columns, self.choices, self.space.choices
        value = [int(choice[column].values[index]) for column, index in enumerate(x.tolist())]
        encoder = (
            EncoderLayerShape(value[at.encoder_embed], value[ffn], value[heads])
            for ffn, heads in zip(at.encoder_ffn, at.encoder_heads, strict=True)
        )
        decoder = (
            DecoderLayerShape(
                value[at.decoder_embed],
                value[at.decoder_ffn[layer]],
                value[at.self_heads[layer]],
                value[at.cross_heads[layer]],
                reach=choices.arbitrary.index(value[at.arbitrary[layer]]) + 1,
            )
            for layer in range(value[at.decoder_layers])
        )
        return Architecture(self.common, tuple(encoder), tuple(decoder))

    # --- blocks ------------------------------------------------------------------------------------------------------

    def _slots(self) -> Iterator[Slot]:
        at, common, sentence = self._columns, self.common, self.sentence
        yield self._slot(
            "embed_tokens",
            ENCODER,
            (at.encoder_embed, at.decoder_embed),
            lambda encoder, decoder: blocks.table(common, sentence, max(encoder, decoder)),
        )
        for layer in range(self.choices.layers):
            yield self._slot(
                f"encoder.layers.{layer}",
                ENCODER,
                (at.encoder_embed, at.encoder_ffn[layer], at.encoder_heads[layer]),
                lambda embed, ffn, heads: blocks.encoder_layer(common, sentence, EncoderLayerShape(embed, ffn, heads)),
            )
        for layer in range(self.choices.layers):
            yield from self._decoder_slots(layer)
        yield self._slot("output", STEP, (at.decoder_embed,), lambda embed: blocks.output(common, sentence, embed))

    def _decoder_slots(self, layer: int) -> Iterator[Slot]:
        at, common, sentence = self._columns, self.common, self.sentence
        reach = {value: index + 1 for index, value in enumerate(self.choices.arbitrary)}

        def memory(depth: int, embed: int, heads: int, arbitrary: int) -> Block | None:
            return blocks.cross_memory(common, sentence, embed, heads, reach[arbitrary]) if depth > layer else None

        def step(depth: int, embed: int, ffn: int, self_heads: int, cross_heads: int, arbitrary: int) -> Block | None:
            shape = DecoderLayerShape(embed, ffn, self_heads, cross_heads, reach[arbitrary])
            return blocks.decoder_layer(common, sentence, shape) if depth > layer else None

        cross = (at.cross_heads[layer], at.arbitrary[layer])
        reading = (at.decoder_layers, at.encoder_embed, *cross)
        yield self._slot(f"decoder.layers.{layer}.memory", ENCODER, reading, memory)
        own = (at.decoder_embed, at.decoder_ffn[layer], at.self_heads[layer])
        yield self._slot(f"decoder.layers.{layer}", STEP, (at.decoder_layers, *own, *cross), step)

    def _slot(self, name: str, stage: str, columns: tuple[int, ...], make: Callable[..., Block | None]) -> Slot:
        """Tabulate ``make`` over the values of ``columns``."""
        values = itertools.product(*(self.space.choices[column].values for column in columns))
        repeats = self.sentence.steps if stage == STEP else 1
        return Slot(name, columns, tuple(make(*each) for each in values), repeats, stage)
