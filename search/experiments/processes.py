"""Work that measures nothing, side by side in processes of one thread each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

from search.threads import one_thread, one_thread_for_good
from supernets.errors import WorkError


def side_by_side(
    function: Callable[..., Any], tasks: Mapping[str, tuple[Any, ...]], workers: int | None
) -> Iterator[tuple[str, Any]]:
    """Call ``function`` for each task; yield its name and what came back, as soon as it is there.

    Args:
        function: of a module, so that another process finds it.
        tasks: its arguments, by the name under which a task is reported.
        workers: processes; ``None``: as many as CPUs may be used. With one, nothing leaves this process.

    Raises:
        WorkError: a process died.
    """
    from harness.threads import allowed_cpus

    count = min(workers or allowed_cpus(), len(tasks))
    if count <= 1:
        for name, arguments in tasks.items():
            with one_thread():
                found = function(*arguments)
            yield name, found
        return
    # Spawned, not forked: a fork in the middle of a library's threads hangs.
    executor = ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=one_thread_for_good)
    with _ended(executor):
        futures = {executor.submit(function, *arguments): name for name, arguments in tasks.items()}
        for future in as_completed(futures):
            name = futures[future]
            try:
                found = future.result()
            except BrokenProcessPool as error:
                raise WorkError(f"the process of {name} died; was there too little memory?") from error
            yield name, found


@contextmanager
def _ended(executor: ProcessPoolExecutor) -> Iterator[None]:
    """Leave nothing running or waiting behind, whatever happens."""
    try:
        yield
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
