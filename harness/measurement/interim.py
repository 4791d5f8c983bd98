"""Decide which networks of a batch to report before it ends, so that a program that is killed loses little.

A batch takes up to a minute and a half, and its networks converge one by one. The loop reports between two rounds, for
the first time after the first round: nothing is timed then, and every visit drops its first runs.
"""

from __future__ import annotations

from collections.abc import Mapping

from hwnas.harness.measurement.convergence import Convergence


class Interim:
    """Which networks are due to be reported.

    Args:
        times: a network has converged when it meets all rules at this many checks in a row. A single check picks lucky
            ones.
    """

    def __init__(self, times: int) -> None:
        self._times = times
        self._met: dict[int, int] = {}
        self._reported: dict[int, int] = {}  # samples, by network
        self._converged: set[int] = set()

    def due(self, convergence: Convergence, samples: Mapping[int, int]) -> dict[int, bool]:
        """Return the networks to report after a check, and whether each has converged.

        A network is reported once it has converged, and not again; the others as ``early`` says.

        Args:
            convergence: the result of the check.
            samples: how many samples there are of each network that runs.
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
        """Return those of the networks to report that have not converged.

        They are reported whenever they have twice as many samples as the last time: often enough that fewer samples are
        lost than saved, and seldom enough that it costs little.

        Args:
            samples: how many samples there are of each network that runs and has not converged.
        """
        grown = {index: n for index, n in samples.items() if n >= max(1, 2 * self._reported.get(index, 0))}
        self._reported |= grown
        return dict.fromkeys(grown, False)
