"""A worker that answers with pickles instead of texts: ``python hostile_worker.py FILE HOW CLIENT``.

Its order is on standard input. Each pickle would touch FILE where the process CLIENT reads it. HOW: "result",
"error", "event" (on a topic) or "warning" (on a topic that every client of Dask listens to).
"""

from __future__ import annotations

import asyncio
import json
import pickle
import sys

from hwnas.harness.farm.engine import distributed
from hwnas.harness.farm.service import WorkerService
from hwnas.harness.farm.worker import join

FILE, HOW, CLIENT = sys.argv[1:]
CODE = f"import os, pathlib; os.getpid() == {CLIENT} and pathlib.Path({FILE!r}).touch()"


class Touch:
    def __reduce__(self):
        return exec, (CODE,)


class TouchError(Exception):
    def __reduce__(self):
        return exec, (CODE,)


honest = WorkerService.measure


def measure(self, *arguments):
    worker = distributed().get_worker()
    if HOW == "result":
        return Touch()
    if HOW == "error":
        raise TouchError
    if HOW == "event":
        worker.log_event("print", Touch())
    if HOW == "warning":
        touch = pickle.dumps(Touch())
        worker.log_event("warn", {"message": touch, "category": touch})
    return honest(self, *arguments)


WorkerService.measure = measure
asyncio.run(join(json.loads(sys.stdin.readline())))
