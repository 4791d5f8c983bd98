"""Load items in background threads before they are needed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Job = TypeVar("Job")
Loaded = TypeVar("Loaded")


def in_order(load: Callable[[Job], Loaded], jobs: Iterable[Job], workers: int) -> Iterator[Loaded]:
    """Yield ``load(job)`` of each job, in order, while ``workers`` threads load the next ones.

    Args:
        load: called in several threads, which run in parallel while Pillow decodes, without Python's lock.
        jobs: the arguments of ``load``.
        workers: the number of threads; 0: load each item when it is asked for.
    """
    if workers < 1:
        yield from map(load, jobs)
        return
    with ThreadPoolExecutor(workers) as pool:
        under_way: deque[Future[Loaded]] = deque()
        try:
            for job in jobs:
                under_way.append(pool.submit(load, job))
                if len(under_way) > workers:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            for future in under_way:
                future.cancel()
