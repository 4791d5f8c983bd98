"""What of a batch is reported before it ends, so that a program that is killed in the midst of it has lost little.

A batch takes up to a minute and a half, and its networks settle one by one. The loop reports between two rounds, first
after the very first: nothing is timed then, and every visit drops its first runs.
"""

from __future__ import annotations

from collections.abc import Mapping

from hwnas.harness.measurement.convergence import Convergence


class Interim:
    """Which networks are due to be reported.

    Args:
        times: a network has settled when it meets all rules at so many looks in a row. One look alone picks lucky ones.
    """

    def __init__(self, times: int) -> None:
        self._times = times
        self._met: dict[int, int] = {}
        self._reported: dict[int, int] = {}  # samples, by network
        self._converged: set[int] = set()

    def due(self, convergence: Convergence, samples: Mapping[int, int]) -> dict[int, bool]:
        """Return the networks to report after a look, and whether each has settled.

        One that settles is reported then, and no more; of the others those of ``early``.

        Args:
            convergence: what the look has shown.
            samples: how many there are, of the networks that run.
        """
        for index in samples:
            met = index in convergence.narrow and convergence.rules(index).met
            self._met[index] = self._met.get(index, 0) + 1 if met else 0
        converged = {index for index in samples if self._met[index] >= self._times} - self._converged
        open_ = {index: n for index, n in samples.items() if index not in self._converged | converged}
        self._converged |= converged
        self._reported |= {index: samples[index] for index in converged}
        return dict(sorted((dict.fromkeys(converged, True) | self.early(open_)).items()))

    def early(self, samples: Mapping[int, int]) -> dict[int, bool]:
        """Return the networks to report before any look, none of which has settled.

        They are reported whenever they have twice as many samples as the last time: so often that what is lost is less
        than what is there, and so seldom that it costs little.

        Args:
            samples: how many there are, of the networks that run and have not settled.
        """
        grown = {index: n for index, n in samples.items() if n >= max(1, 2 * self._reported.get(index, 0))}
        self._reported |= grown
        return dict.fromkeys(grown, False)
