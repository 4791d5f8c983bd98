"""Find the CPU's instructions for products of 8-bit integers, which decide how much int8 gains."""

from __future__ import annotations

import functools
import platform
from collections.abc import Iterable
from pathlib import Path

# Linux's names. Each multiplies 8-bit numbers and adds the products in 32 bits in one instruction. x86 CPUs without one
# need three and add in 16 bits in between, which can saturate; they gain little or nothing by int8.
_X86 = ("avx512_vnni", "avx_vnni", "amx_int8", "avx_vnni_int8")
_ARM = ("asimddp", "i8mm")


def int8_instructions(flags: Iterable[str]) -> tuple[str, ...]:
    """Return those of a CPU's flags ("flags" or "Features" in /proc/cpuinfo) that stand for such instructions."""
    given = set(flags)
    return tuple(flag for flag in (*_X86, *_ARM) if flag in given)


@functools.cache
def here() -> tuple[str, ...]:
    """Return the instructions of this machine's CPU; empty if it has none, or the system does not say."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    fields = (line.partition(":") for line in lines)
    flags = next((value for name, _, value in fields if name.strip() in {"flags", "Features"}), "")
    return int8_instructions(flags.split())


def saturates() -> bool:
    """Return whether sums of 8-bit products can saturate here; weights may then use only half of their range."""
    return platform.machine().lower() in {"x86_64", "amd64", "i686"} and not here()
