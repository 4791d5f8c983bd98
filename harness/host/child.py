"""Start child processes that end with their parent, even if it is killed, and leave no temporary files behind.

A parent that is killed cannot end its children. So each child holds the reading end of a pipe that nobody writes to:
when the parent is gone, the system closes the writing end, and a thread of the child, blocked in a read until then,
ends the child.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

_TRIES = 3  # another process may write into the folder while it is being removed


class Child:
    """A child process that runs one of our modules; the module's ``main`` has to begin with ``joined()``.

    Args:
        module: its name, as for ``python -m``.
        arguments: of the command line.
        environment: all variables.
        files: descriptors that it inherits under the same numbers.
        streams: ``stdin``, ``stdout`` and ``stderr``, as ``subprocess.Popen`` takes them.

    Attributes:
        process: the process.
    """

    def __init__(
        self,
        module: str,
        arguments: Sequence[str] = (),
        *,
        environment: Mapping[str, str] = os.environ,
        files: Sequence[int] = (),
        **streams: Any,
    ) -> None:
        self._scratch = _scratch()
        variables = {**environment, "PYTHONPATH": python_path(), **({"TMPDIR": self._scratch} if self._scratch else {})}
        # Python's descriptors are closed in other children, so nobody else keeps this pipe open.
        held, self._lifeline = os.pipe()
        try:
            with deaf_to_terminals():
                self.process = subprocess.Popen(  # noqa: S603 - our own modules
                    [sys.executable, "-P", "-m", module, str(held), self._scratch, *arguments],
                    env=variables,
                    pass_fds=(held, *files),
                    **streams,
                )
        except BaseException:
            os.close(self._lifeline)
            _remove(self._scratch)
            raise
        finally:
            os.close(held)

    def close(self, patience_s: float = 0.0) -> None:
        """Ask the process to end, kill it after ``patience_s`` seconds, and remove its temporary files."""
        if self._lifeline < 0:
            return
        try:
            if patience_s and self.process.poll() is None:
                self.process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(patience_s)
        finally:
            self.process.kill()
            self.process.wait()
            for file in (self.process.stdin, self.process.stdout):
                if file is not None:
                    with contextlib.suppress(OSError):
                        file.close()
            os.close(self._lifeline)
            self._lifeline = -1
            _remove(self._scratch)


def joined() -> list[str]:
    """Make this child process end when its parent does; return the arguments meant for the module.

    Raises:
        SystemExit: the module was not started by ``Child``.
    """
    if len(sys.argv) < 3 or not sys.argv[1].isdigit():
        raise SystemExit("this module is run by hwnas itself")
    held, scratch, *arguments = sys.argv[1:]
    atexit.register(_remove, scratch)
    end_with(int(held), lambda: _remove(scratch))
    return arguments


def end_with(held: int, clean: Callable[[], None] = lambda: None) -> None:
    """End this process as soon as the other end of a pipe is closed everywhere.

    Args:
        held: the descriptor of this end. Nothing may ever be written to the other end.
        clean: called before the process ends.
    """

    def wait() -> None:
        with contextlib.suppress(OSError):
            os.read(held, 1)
        clean()
        # Without Python's clean-up: it would wait for threads, and for messages that will never come.
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait, name="hwnas-parent", daemon=True).start()


@contextmanager
def deaf_to_terminals() -> Iterator[None]:
    """Start children in this ``with`` block such that Ctrl-C and a closed terminal do not reach them.

    A terminal signals all processes of a program. The parent handles these signals and then ends its children.
    """
    # The child inherits the blocked signals from its first moment on. In this process they are only delayed.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def unnamed_file() -> IO[bytes]:
    """Return a file without a name: it disappears with the processes that hold it, however they end."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("hwnas"), "w+b")
    return tempfile.TemporaryFile()


def python_path() -> str:
    """Return this process's module search path, so that a child finds the same modules and plug-ins."""
    return os.pathsep.join(str(Path(entry or ".").resolve()) for entry in sys.path)


def _scratch() -> str:
    """Return a folder for a child's temporary files, or "" if none can be made: most children need none."""
    try:
        return tempfile.mkdtemp(prefix="hwnas-")
    except OSError:
        return ""


def _remove(folder: str) -> None:
    for _ in range(_TRIES):
        if not folder or not Path(folder).exists():
            return
        shutil.rmtree(folder, ignore_errors=True)
