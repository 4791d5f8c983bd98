"""One compute thread for an algorithm's own arithmetic.

The matrices of a search have some hundred rows. A second thread gains nothing on them, and where another program keeps
the other core busy, threads that spin for each other take thirty times as long. Sums come out the same, too: a search
finds the same sub-networks beside nine others as alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@contextmanager
def one_thread() -> Iterator[None]:
    """Let the libraries that are loaded compute with one thread; afterwards they have theirs again."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield


def one_thread_for_good() -> None:
    """Let this process compute with one thread, whatever it loads later."""
    from threadpoolctl import threadpool_limits

    os.environ.update(dict.fromkeys(_VARIABLES, "1"))  # read by the libraries that are loaded later
    threadpool_limits(1)  # tells those that are loaded already
