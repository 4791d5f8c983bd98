"""What of a batch is reported before it ends, so that a program that is killed in the midst of it has lost little.

A batch takes up to a minute and a half, and its networks settle one by one. The loop reports between two rounds, when
it has looked at the stopping rules anyway: nothing is timed then, and every visit drops its first runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from harness.settling import Settling


class Interim:
    """Which networks are due to be reported.

    Args:
        times: a network has settled when it meets all rules at so many looks in a row. One look alone picks lucky ones.
    """

    def __init__(self, times: int) -> None:
        self._times = times
        self._met: dict[int, int] = {}
        self._reported: dict[int, int] = {}  # samples, by network
        self._settled: set[int] = set()

    def due(self, settling: Settling, samples: Mapping[int, int]) -> dict[int, bool]:
        """Return the networks to report after a look, and whether each has settled.

        One that settles is reported then, and no more. The others are reported whenever they have twice as many samples
        as the last time: so often that what is lost is less than what is there, and so seldom that it costs nothing.

        Args:
            settling: what the look has shown.
            samples: how many there are, of the networks that run.
        """
        for index in samples:
            met = index in settling.narrow and settling.rules(index).met
            self._met[index] = self._met.get(index, 0) + 1 if met else 0
        settled = {index for index in samples if self._met[index] >= self._times} - self._settled
        grown = self._grown(samples.keys() - self._settled, samples)
        self._settled |= settled
        found = {index: index in settled for index in sorted(settled | grown)}
        self._reported |= {index: samples[index] for index in found}
        return found

    def _grown(self, open_: Iterable[int], samples: Mapping[int, int]) -> set[int]:
        return {index for index in open_ if samples[index] >= max(1, 2 * self._reported.get(index, 0))}
