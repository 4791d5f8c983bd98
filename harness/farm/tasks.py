"""What a scheduler sends to workers: functions of this file by name, and texts."""

from __future__ import annotations

from typing import Any

from harness.farm.engine import distributed


def measure(digest: str, order: str, description: str = "") -> str:
    """Carry out an order on the bench of a description, by its digest; see ``harness.farm.station``."""
    answer: str = _station().measure(digest, order, description)
    return answer


def parsed(text: str) -> str:
    """Read a platform string as the worker reads it."""
    answer: str = _station().parsed(text)
    return answer


def _station() -> Any:
    return distributed().get_worker().station
