"""What a scheduler sends to workers: functions of this file by name, and texts."""

from __future__ import annotations

from hwnas.harness.farm.engine import distributed
from hwnas.harness.farm.news import News


def measure(digest: str, order: str, description: str, topic: str, number: int) -> str:
    """Carry out an order on the bench of a description, by its digest; see ``hwnas.harness.farm.service``.

    The client is told on its topic that it begins, and what is known before the end.
    """
    worker = distributed().get_worker()
    news = News(worker, topic, number)
    answer: str = worker.service.measure(digest, order, description, news.begun, news.known)
    return answer


def evaluate(digest: str, order: str, description: str, topic: str, number: int, content: bytes = b"") -> str:
    """Run a sub-network for its quality; as ``measure``, and ``content`` is the weights where they go along."""
    worker = distributed().get_worker()
    answer: str = worker.service.evaluate(digest, order, description, News(worker, topic, number).begun, content)
    return answer


def parsed(text: str) -> str:
    """Read a platform string as the worker reads it."""
    answer: str = distributed().get_worker().service.parsed(text)
    return answer
