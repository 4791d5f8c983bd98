"""What a worker tells a client of an order before it is done: that it has begun it, and what it knows so far.

It goes by an event of Dask's, a number or a JSON text. A client that is killed has in its store what it was told. None
of it is needed: where a message is lost, the answer says the same, only later.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from hwnas.harness.farm.engine import distributed
from hwnas.harness.farm.messages import InterimValue, read_message
from hwnas.harness.measurement.measurement import Measurement

_LOG = logging.getLogger(__name__)

# How long a measurement is held up by a scheduler that does not listen; after that it is told no more.
_HELD_UP_S = 5.0


class News:
    """A worker's news of one order.

    Args:
        worker: Dask's.
        topic: the client's.
        number: of the order.
    """

    def __init__(self, worker: Any, topic: str, number: int) -> None:
        self._worker, self._topic, self._number = worker, topic, number
        self._heard = True

    def begun(self) -> None:
        """Tell that it is begun: of the jobs that are lost with a worker, only those were under way."""
        self._worker.log_event(self._topic, self._number)

    def known(self, measurement: Measurement) -> Measurement:
        """Tell an interim measurement, and return it; the others are in the answer.

        It returns when the scheduler has it: nothing is sent while the next round is timed.
        """
        if measurement.interim and self._heard:
            self._tell(InterimValue(self._number, measurement.to_record()).to_text())
        return measurement

    def _tell(self, text: str) -> None:
        send, sync = self._worker.scheduler.log_event, distributed().utils.sync
        try:
            sync(self._worker.loop, send, topic=self._topic, msg=text, callback_timeout=_HELD_UP_S)
        except Exception as error:  # noqa: BLE001 - whatever a connection raises that is being lost
            self._heard = False
            _LOG.info("the client is told no more of order %d: %s", self._number, error)


def heard(said: Any) -> tuple[int, Mapping[str, Any] | None]:
    """Read an event.

    Returns:
        The number of an order, -1 where it is of none, and the record of a measurement, or ``None``: it is begun.

    Raises:
        MeasurementError: a text is not of the form that ``News`` writes.
    """
    if isinstance(said, str):
        found = read_message(InterimValue, said, "a worker's news")
        return found.number, found.measurement
    return (said if isinstance(said, int) else -1), None
