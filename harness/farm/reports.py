"""Report from a worker to its client, before an order is done, that it has begun and what has been measured so far.

Reports are sent as events of Dask: a number or a JSON text. The client stores interim measurements, so that little is
lost if it is killed. No report is essential: the final answer has everything.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from hwnas.harness.farm.engine import distributed
from hwnas.harness.farm.messages import InterimValue, read_message
from hwnas.harness.measurement.measurement import Measurement

_LOG = logging.getLogger(__name__)

# How long a measurement waits for a scheduler that does not respond; after that no further report is sent.
_HELD_UP_S = 5.0


class Reporter:
    """Sends the reports about one order.

    Args:
        worker: Dask's worker.
        topic: the topic of Dask's events that the client listens to.
        number: the client's number of the order.
    """

    def __init__(self, worker: Any, topic: str, number: int) -> None:
        self._worker, self._topic, self._number = worker, topic, number
        self._connected = True

    def begun(self) -> None:
        """Report that the order has begun: when a worker dies, only orders that had begun can be the reason."""
        self._worker.log_event(self._topic, self._number)

    def interim(self, measurement: Measurement) -> Measurement:
        """Report an interim measurement, and return the measurement; final ones are in the answer.

        It returns when the scheduler has the report, so that nothing is sent while the next round is timed.
        """
        if measurement.interim and self._connected:
            self._send(InterimValue(self._number, measurement.to_record()).to_text())
        return measurement

    def _send(self, text: str) -> None:
        send, sync = self._worker.scheduler.log_event, distributed().utils.sync
        try:
            sync(self._worker.loop, send, topic=self._topic, msg=text, callback_timeout=_HELD_UP_S)
        except Exception as error:  # noqa: BLE001 - whatever a connection raises that is being lost
            self._connected = False
            _LOG.info("no further reports about order %d are sent to the client: %s", self._number, error)


def read_event(event: Any) -> tuple[int, Mapping[str, Any] | None]:
    """Read an event.

    Returns:
        The number of an order, -1 if the event is of none, and the record of an interim measurement, or ``None`` if
        the event says that the order has begun.

    Raises:
        MeasurementError: the event is not of the form that ``Reporter`` sends.
    """
    if isinstance(event, str):
        found = read_message(InterimValue, event, "a worker's report")
        return found.number, found.measurement
    return (event if isinstance(event, int) else -1), None
