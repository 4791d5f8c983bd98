"""A search whose every part is scripted: an algorithm that asks for what it was given, objectives that can be computed
by hand, and the loop between them."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from hwnas.search.objectives import Directions, Outcome
from hwnas.search.study.archive import Archive
from hwnas.search.study.loop import Loop
from hwnas.search.study.task import EvaluationTask
from hwnas.supernets.space import Choice, SearchSpace

SPACE = SearchSpace((Choice("w", (1, 2, 3)), Choice("k", (3, 5, 7))))
ALL = np.array([[w, k] for w in range(3) for k in range(3)])


class Scripted:
    """An algorithm that asks for what it was given, batch by batch, and remembers what it was told."""

    def __init__(self, *batches):
        self.batches, self.told = [np.array(one).reshape(-1, 2) for one in batches], []

    def ask(self):
        return self.batches.pop(0) if self.batches else np.empty((0, 2), dtype=int)

    def tell(self, X, F):
        self.told.append((X.tolist(), F.tolist()))


class Remembering(Scripted):
    """One that can be restored: its state is how many batches it has asked for."""

    def __init__(self, *batches):
        super().__init__(*batches)
        self.asked, self.restored = 0, None

    def ask(self):
        self.asked += 1
        return super().ask()

    def state(self):
        return {"asked": self.asked}

    def restore(self, state, asked):
        self.restored = (dict(state), asked.tolist())
        for _ in range(state["asked"]):
            self.batches.pop(0)
        self.asked = state["asked"]


class Objective:
    """Ten times the width and the kernel's index; nan where it is told to fail."""

    unit, source = "ms", "a script"

    def __init__(self, name="latency", *, batched=True, maximise=False, fails=(), unstable=(), exact=False):
        self.name, self.batched, self.maximise, self.exact = name, batched, maximise, exact
        self.fails, self.unstable, self.calls = fails, unstable, []

    def value(self, row):
        return float(10 * row[0] + row[1] + 1)

    def evaluate(self, X):
        self.calls.append(X.tolist())
        keys = SPACE.keys(X)
        status = tuple("failed" if k in self.fails else "unstable" if k in self.unstable else "ok" for k in keys)
        values = np.array([np.nan if s == "failed" else self.value(row) for s, row in zip(status, X, strict=True)])
        reasons = tuple("" if s == "ok" else f"it was {s}" for s in status)
        return Outcome(values, status, reasons, np.column_stack([0.9 * values, 1.1 * values]))


class Drifting(Objective):
    """One that is measured again beside others."""

    def __init__(self, **kw):
        super().__init__(**kw)
        self.again = []

    def evaluate_beside(self, X, again):
        self.again.append(again.tolist())
        beside = {key: self.value(row) for key, row in zip(SPACE.keys(again), again, strict=True)} if len(again) else {}
        return replace(self.evaluate(X), beside=(beside,) * len(X))


class Beside(Remembering):
    """One that asks while others are under way, and remembers what that was; it can be asked alone too."""

    def __init__(self, *batches):
        super().__init__(*batches)
        self.pending = []

    def ask(self, pending=None):
        self.pending.append(None if pending is None else pending.tolist())
        return super().ask()


class Devices(Objective):
    """Two devices that answer in the order in which they were asked, or in that of the numbers given.

    ``None`` stands for a moment in which nothing arrives.
    """

    devices = 2

    def __init__(self, *order, **kw):
        super().__init__(**kw)
        self.order, self.answered, self.again = list(order), [], []

    def evaluate(self, X):
        raise AssertionError("it is started, never evaluated")

    def start(self, X, again):
        self.calls.append(X.tolist())
        self.again.append(again.tolist())
        return len(self.calls) - 1

    def arrived(self, timeout_s):
        ticket = self.order.pop(0) if self.order else min(set(range(len(self.calls))) - set(self.answered))
        if ticket is None:
            return None
        self.answered.append(ticket)
        return ticket, Objective(self.name).evaluate(np.array(self.calls[ticket]))


def loop(algorithm, *objectives, limited=(), constraints=(), checkpoint=None, drifts=None, window=1, clock=None):
    """Return a loop with its archive and algorithm; with a window, the first objective is measured in parallel."""
    objectives = objectives or (Objective(),)
    archive = Archive([one.name for one in objectives], Directions([one.maximise for one in objectives]))
    task = EvaluationTask(SPACE, tuple(objectives), tuple(limited), tuple(constraints))
    measured = next((one for one in objectives if isinstance(one, Devices)), None)
    made = Loop(task, algorithm, archive, checkpoint, clock, drifts, window=window, measured=measured)
    return SimpleNamespace(loop=made, archive=archive, algorithm=algorithm)


def evaluated(batches):
    """Return what a store has after a search that asked for these batches."""
    made = loop(Scripted(*batches))
    run(made)
    return list(made.archive)


def run(made, evals=99, stop=lambda _: None, report=lambda: None):
    return made.loop.run(evals, stop, report)


def keys(archive):
    return [one.key for one in archive]


def algorithm_told(made):
    return [X for X, _ in made.algorithm.told]
