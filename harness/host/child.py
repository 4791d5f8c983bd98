"""Processes of this program that end with it, however it ends, and leave nothing in the temporary folder.

A parent that is killed can tell its children nothing. So each child holds one end of a pipe that nobody writes to: when
the parent is gone, the system closes the other end, and a thread of the child, asleep in a read until then, ends it.
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

_TRIES = 3  # what is removed may be written to meanwhile


class Child:
    """A process that runs one of our modules, whose ``main`` begins with ``joined``.

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
        """End it, at once or after it had so long to end in order, and remove what it left."""
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
    """In a child: end when the parent does. Return the arguments meant for the module.

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
    """End this process when nobody holds the other end of a pipe any more.

    Args:
        held: the descriptor of this end. Nothing may ever be written to the other one.
        clean: called before.
    """

    def wait() -> None:
        with contextlib.suppress(OSError):
            os.read(held, 1)
        clean()
        # Not in order: that would wait for threads, and for what other processes no longer send.
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait, name="hwnas-parent", daemon=True).start()


@contextmanager
def deaf_to_terminals() -> Iterator[None]:
    """Let children that are started here hear nothing of Ctrl-C and of a closed terminal.

    A terminal sends these to all processes of a program. They are the parent's to handle, which ends its children then.
    """
    # What is blocked here stays so in the child, from its first moment on; here it is only put off.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def unnamed_file() -> IO[bytes]:
    """Return a file that has no name, so that nothing of it is left however its holders end."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("hwnas"), "w+b")
    return tempfile.TemporaryFile()


def python_path() -> str:
    """Return this process's module search path, so that a child finds the same modules and plug-ins."""
    return os.pathsep.join(str(Path(entry or ".").resolve()) for entry in sys.path)


def _scratch() -> str:
    """Return a folder for a child's temporary files; empty where none can be made, and most children need none."""
    try:
        return tempfile.mkdtemp(prefix="hwnas-")
    except OSError:
        return ""


def _remove(folder: str) -> None:
    for _ in range(_TRIES):
        if not folder or not Path(folder).exists():
            return
        shutil.rmtree(folder, ignore_errors=True)
