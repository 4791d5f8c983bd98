"""Limit the arithmetic of algorithms and predictors to one compute thread.

The matrices of a search have some hundred rows. A second thread gains nothing on them, and where another program keeps
the other core busy, threads that spin for each other take thirty times as long. Sums come out the same, too: a search
finds the same sub-networks whether it runs alone or with nine others.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@contextmanager
def one_thread() -> Iterator[None]:
    """Let the libraries that are loaded compute with one thread; afterwards they have theirs again."""
    with _libraries(len(sys.modules)).limit(limits=1):
        yield


@functools.lru_cache(maxsize=1)
def _libraries(_n_modules: int) -> Any:
    """Find those that are loaded: it takes as long as a small fit, and only an import loads another one."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def one_thread_for_good() -> None:
    """Let this process compute with one thread, whatever it loads later."""
    from threadpoolctl import threadpool_limits

    os.environ.update(dict.fromkeys(_VARIABLES, "1"))  # read by the libraries that are loaded later
    threadpool_limits(1)  # for the libraries that are loaded already
