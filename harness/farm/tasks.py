"""What a scheduler sends to workers: functions of this file by name, and texts."""

from __future__ import annotations

from typing import Any

from harness.farm.engine import distributed


def measure(description: str, order: str) -> str:
    """Carry out an order; see ``harness.farm.station``."""
    answer: str = _station().measure(description, order)
    return answer


def parsed(text: str) -> str:
    """Read a platform string as the worker reads it."""
    answer: str = _station().parsed(text)
    return answer


def itself(text: str) -> str:
    """Return the text: so the scheduler has it as a result, and hands it to each worker once."""
    return text


def _station() -> Any:
    return distributed().get_worker().station
