"""Run tasks in parallel processes of one thread each; for work that measures nothing."""

from __future__ import annotations

import pickle
import signal
from collections.abc import Callable, Iterator, Mapping
from multiprocessing import get_context, parent_process, resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any

from hwnas.search.threads import one_thread, one_thread_for_good
from hwnas.supernets.errors import WorkError
from hwnas.supernets.plug_ins import FAILURES, blamed, reason_of

_END_S = 1.0


def side_by_side(
    function: Callable[..., Any], tasks: Mapping[str, tuple[Any, ...]], workers: int | None
) -> Iterator[tuple[str, Any]]:
    """Call ``function`` for each task; yield its name and what came back, as soon as it is there.

    However this process ends, or the iterator is left, the others end: none of them goes on writing.

    Args:
        function: of a module, so that another process finds it.
        tasks: its arguments, by the name under which a task is reported.
        workers: processes; ``None``: as many as CPUs may be used. With one, nothing leaves this process.

    Raises:
        WorkError: a process died.
    """
    from hwnas.harness.host.cpus import allowed_cpus

    count = min(workers or allowed_cpus(), len(tasks))
    if count <= 1:
        for name, arguments in tasks.items():
            with one_thread():
                found = function(*arguments)
            yield name, found
        return
    waiting = list(tasks.items())[::-1]
    helpers: dict[Connection, _Helper] = {}
    try:
        for _ in range(count):
            helper = _Helper()
            helpers[helper.connection] = helper
            helper.begin(function, *waiting.pop())
        while helpers:
            for connection in wait(list(helpers)):
                helper = helpers[connection]  # type: ignore[index]
                name, found = helper.result()
                if waiting:
                    helper.begin(function, *waiting.pop())
                else:
                    helpers.pop(helper.connection).end()
                yield name, found
    finally:
        for helper in helpers.values():
            helper.end()


class _Helper:
    """A process that does one task after the other.

    It is spawned, not forked: a fork in the middle of a library's threads hangs. It shares pipes with this process and
    nothing else: a pool's queues have semaphores, and those stay where all processes are killed at once.
    """

    def __init__(self) -> None:
        context = get_context("spawn")
        from hwnas.harness.host.child import deaf_to_terminals

        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        if hasattr(signal, "pthread_sigmask"):  # not on Windows, which has no tracker either
            # The first process of all would start it, and that unblocks signals.
            resource_tracker.ensure_running()
        with deaf_to_terminals():
            self._process.start()
        theirs.close()
        self._name = ""

    def begin(self, function: Callable[..., Any], name: str, arguments: tuple[Any, ...]) -> None:
        """Let it do a task."""
        self._name = name
        try:
            self.connection.send((function, arguments))
        except BrokenPipeError as error:
            raise self._died() from error

    def result(self) -> tuple[str, Any]:
        """Return the name of its task and what came back; raises what the task raised, or ``WorkError``."""
        try:
            raised, found = self.connection.recv()
        except (EOFError, ConnectionResetError) as error:
            raise self._died() from error
        if raised:
            raise found
        return self._name, found

    def end(self) -> None:
        """End it, at whatever it is; what it writes is whole or not there."""
        self._process.terminate()
        self._process.join(_END_S)
        self._process.kill()
        self._process.join()
        self.connection.close()

    def _died(self) -> WorkError:
        return WorkError(f"the process of {self._name} died; was there too little memory?")


def _serve(connection: Connection) -> None:
    from hwnas.harness.host.child import end_after

    parent = parent_process()
    if parent is not None:
        end_after(parent.join)
    one_thread_for_good()
    while True:
        try:
            function, arguments = connection.recv()
        except EOFError:
            return
        connection.send(_outcome(function, arguments))


def _outcome(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[bool, Any]:
    """Return whether a function raised, and what, or what it returned."""
    try:
        return False, function(*arguments)
    except FAILURES as error:  # the parent raises it again
        return True, blamed(error) or _sendable(error)


def _sendable(error: BaseException) -> BaseException:
    """Return an error that pickle can bring to the parent: one with arguments of its own may not be."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    except Exception:  # noqa: BLE001 - whatever its class does
        return WorkError(reason_of(error))
    return error
