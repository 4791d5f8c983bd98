"""Lookup tables of blocks that were never measured: each takes what a function of it says."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike

from hwnas.latency_luts.keys import key
from hwnas.latency_luts.table import Entry
from hwnas.latency_luts.write import write_table
from hwnas.supernets.blocks import Block, distinct_blocks
from hwnas.supernets.supernet import SuperNetwork


def written(
    file: str | PathLike[str], net: SuperNetwork, seconds: Callable[[Block], float], platform: str = "p"
) -> str:
    """Write the table of all blocks of ``net``; return the platform that looks latencies up in it."""
    blocks = {key(block): Entry(seconds(block)) for block in distinct_blocks(net.slots)}
    write_table(file, blocks, supernet=net.name, platform=platform, environment={}, protocol={})
    return f"lut:file={file}"
