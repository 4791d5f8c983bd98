"""What users of language models ask: the time to the first token, the time per token after it, tokens per second."""

from __future__ import annotations

from hwnas.search.objectives._measured import rate_reading, stage_reading
from hwnas.search.objectives.latency import KnownLatency, MeasuredLatency, of_stage, stage_of
from hwnas.search.objectives.sources import Sources
from hwnas.supernets.blocks import stages_of
from hwnas.supernets.decoder.dimensions import DECODE, PREFILL
from hwnas.supernets.supernet import SuperNetwork

NAMES = ("tokens-per-second", "tpot", "ttft")
LISTED = {
    "tokens-per-second": ("/s", "more", "tokens decoded per second, of all samples in a batch: the batch over tpot"),
    "tpot": ("ms", "less", "time per output token: one run of the stage decode, latency:decode"),
    "ttft": ("ms", "less", "time to the first token: the stage prefill, latency:prefill"),
}


def create(name: str, sources: Sources) -> KnownLatency | MeasuredLatency:
    """Make the objective; raises ``UsageError`` where the super-network has not the stage."""
    stage = stage_of(name, _stage(name), sources)
    reading = rate_reading(name, *stage) if name == "tokens-per-second" else stage_reading(name, *stage)
    return of_stage(reading, stage[0], sources)


def serves(name: str, net: SuperNetwork) -> bool:
    """Return whether a super-network has the stage."""
    return _stage(name) in stages_of(net.slots)


def _stage(name: str) -> str:
    return PREFILL if name == "ttft" else DECODE
