"""Make each kind of block of the Llama family a network of its own, so that it can be measured alone."""

from __future__ import annotations

from hwnas.supernets.blocks import Block
from hwnas.supernets.causal.config import ModelShape
from hwnas.supernets.causal.llama import LayerShape, RmsNorm, llama_layer, rotary_of
from hwnas.supernets.decoder.alone import layer, logits, tokens
from hwnas.supernets.supernet import Stage


def block_stage(shape: ModelShape, block: Block, batch: int) -> Stage:
    """Return one block as a stage, with live random weights and inputs for ``batch`` texts.

    Args:
        shape: of the model that has the block.
        block: see ``hwnas.supernets.causal.blocks``.
        batch: texts.
    """
    if block.kind == "tokens":
        return tokens(block, batch)
    if block.kind == "rms-logits":
        return logits(block, batch, lambda embed: RmsNorm(embed, shape.eps), tied=shape.tied)
    sizes = LayerShape(block.option("ffn"), block.option("groups"))
    return layer(block, batch, lambda: llama_layer(shape, sizes, rotary_of(shape)), sizes.groups)
