"""A study whose caller evaluates energies: what he sees in sub-networks, and how he opens it."""

from __future__ import annotations

import numpy as np
from weighed import Weighed

from hwnas.search.objectives import Outcome
from hwnas.search.study.open_study import Proposal, create_study
from hwnas.supernets.space import Choice, SearchSpace

SPACE = SearchSpace(tuple(Choice("kw"[column % 2], (1, 2, 3, 4)) for column in range(5)))
NET = Weighed(SPACE, macs=[10, 3, 1, 2, 6], params=[7, 5, 2, 9, 1])
QUICK = {"inner_evals": 60, "population": 20, "first": 6}
OWN = ["energy[mJ]:min", "macs"]


def energy(one):
    return 10.0 + float(np.dot(one.vector, [3.0, 5.0, 1.0, 2.0, 4.0]) % 11) + 0.1 * one.vector[0]


def energies(proposals):
    return {"energy": [energy(one) for one in proposals]}


SETTINGS = {"linas": QUICK, "nsga2": {"population": 8}, "random": {"batch": 5}}


def opened(algorithm="linas", evals=30, **options):
    return create_study(NET, objectives=OWN, algorithm=algorithm, settings=SETTINGS[algorithm], evals=evals, **options)


def rows(evaluations):
    return [(one.key, dict(one.objectives), one.status) for one in evaluations]


class Energy:
    """What the caller evaluates, as an objective that hwnas evaluates."""

    name, unit, maximise, source, costs_nothing, exact, batched = "energy", "mJ", False, "x", False, False, True

    def evaluate(self, X):
        return Outcome.of(np.array([energy(Proposal({}, "", tuple(x))) for x in X]), "")
