"""The functions that workers run for clients; the scheduler passes their names, with texts as arguments."""

from __future__ import annotations

from hwnas.harness.farm.engine import distributed
from hwnas.harness.farm.reports import Reporter


def measure(digest: str, order: str, description: str, topic: str, number: int) -> str:
    """Carry out an order on the bench of a description, by its digest; see ``hwnas.harness.farm.service``.

    Its beginning and interim measurements are reported to the client on its topic.
    """
    worker = distributed().get_worker()
    reporter = Reporter(worker, topic, number)
    answer: str = worker.service.measure(digest, order, description, reporter.begun, reporter.interim)
    return answer


def evaluate(digest: str, order: str, description: str, topic: str, number: int, content: bytes = b"") -> str:
    """Evaluate the quality of a sub-network; as ``measure``, and ``content`` is the weights if they are sent along."""
    worker = distributed().get_worker()
    answer: str = worker.service.evaluate(digest, order, description, Reporter(worker, topic, number).begun, content)
    return answer


def parsed(text: str) -> str:
    """Parse a platform string on the worker."""
    answer: str = distributed().get_worker().service.parsed(text)
    return answer
