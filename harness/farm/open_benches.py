"""Hold the open benches of a farm worker, so that further orders for the same platform start no new process."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Mapping
from dataclasses import replace
from threading import Lock

import numpy as np

from hwnas import supernets
from hwnas.harness.bench.bench import BenchOptions
from hwnas.harness.bench.local import LocalBench
from hwnas.harness.bench.progress import OnProgress
from hwnas.harness.farm.messages import MeasureDescription
from hwnas.harness.farm.offer import Offer
from hwnas.harness.measurement.protocol import ProtocolChoice
from hwnas.harness.pinned import pinned, pinned_settings
from hwnas.harness.platform import Platform, parse, surroundings
from hwnas.supernets.contents import SHOWN
from hwnas.supernets.errors import MeasurementError

# Benches that stay open on a device, so that searches that share it do not wait for each other's processes to start.
_OPEN = 3
# How often the environment is read again: somebody may have changed the CPU governor, or a library.
_LOOK_S = 60.0


class OpenBench:
    """An open bench, and when it was last used."""

    def __init__(self, bench: LocalBench, platform: Platform) -> None:
        self.bench, self.platform = bench, platform
        self.used = self.looked = time.monotonic()


class OpenBenches:
    """The open benches of a worker, by the description of their orders.

    Args:
        offer: the worker's offer.
        progress_of: returns the callback for progress on a device.
    """

    def __init__(self, offer: Offer, progress_of: Callable[[str], OnProgress]) -> None:
        self._offer, self._progress_of = offer, progress_of
        self._open: dict[str, OpenBench] = {}
        self._lock = Lock()

    def get(self, what: MeasureDescription) -> OpenBench:
        """Return the bench of a description.

        Opens a bench if there is none, and closes the one that has not been used for longest if there are too many.

        Raises:
            MeasurementError: the environment or the platform's files are not those of the description.
        """
        key = replace(what, protocol={}, wait_s=None).to_text()
        with self._lock:
            found = self._open.pop(key, None)
        if found is None or not self._serves(found, what):
            found = self._opened(what)
        found.bench.on_progress = self._progress_of(what.device)
        with self._lock:
            self._open[key] = found
            others = [k for k, one in self._open.items() if one.platform.settings.device == what.device]
            for old in others[:-_OPEN]:
                self._open.pop(old).bench.close()
        return found

    def release(self, idle_s: float, busy: Container[str]) -> None:
        """Close the benches that have not been used for ``idle_s`` seconds, except those of ``busy`` devices."""
        with self._lock:
            for key, one in list(self._open.items()):
                if time.monotonic() - one.used > idle_s and one.platform.settings.device not in busy:
                    del self._open[key]
                    one.bench.close()

    def _serves(self, found: OpenBench, what: MeasureDescription) -> bool:
        """Return whether an open bench can measure what a description says; otherwise it is closed.

        Raises:
            MeasurementError: as ``get``.
        """
        serves = False
        try:
            serves = ProtocolChoice.from_record(what.protocol).allows(found.bench.begin())
            if serves and time.monotonic() - found.looked > _LOOK_S:
                serves = False
                self._check(what, found.platform)
                serves, found.looked = True, time.monotonic()
        finally:
            # One that nobody can find any more would hold its device for as long as this process lives.
            if not serves:
                found.bench.close()
        return serves

    def _opened(self, what: MeasureDescription) -> OpenBench:
        platform = pinned(parse(what.platform))
        self._check(what, platform)
        net = supernets.get(what.supernet)
        options = BenchOptions(
            protocol=ProtocolChoice.from_record(what.protocol),
            on_progress=self._progress_of(what.device),
            check=what.check,
            silence_s=what.silence_s,
            wait_s=what.wait_s,
        )
        anchors = np.array(what.anchors, dtype=np.int64).reshape(-1, net.space.n_var)
        bench = LocalBench(net, platform, anchors, options, unit=self._offer.unit)
        return OpenBench(bench, platform)

    def _check(self, what: MeasureDescription, platform: Platform) -> None:
        """Verify that the platform's files and the environment are those that the search began with."""
        there, meant = pinned_settings(platform).contents, what.contents
        if meant is not None and there != meant:
            raise MeasurementError(
                f"worker {self._offer.name}: {platform}: what its files hold there is {_short(there)}, the search is "
                f"of {_short(meant)}; put the same files there"
            )
        _, now = surroundings(platform)
        if now != what.fingerprint:
            raise MeasurementError(
                f"worker {self._offer.name}: its environment is {now} now, the search is of {what.fingerprint}; "
                "values of the two are not mixed: begin a new study, or put the machine back as it was"
            )


def _short(contents: Mapping[str, str]) -> str:
    return ", ".join(f"{key} {str(digest)[:SHOWN]}" for key, digest in contents.items()) or "none"
