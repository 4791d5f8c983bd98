"""Start child processes that end with their parent, even if it is killed, and leave no temporary files behind.

A parent that is killed cannot end its children. So each child holds the reading end of a pipe that nobody writes to:
when the parent is gone, the system closes the writing end, and a thread of the child, blocked in a read until then,
ends the child. On Windows, where descriptors are not passed on, the thread waits for the parent's process.
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

# Whether a child can be given open files; on Windows it opens them by their names.
PASSES_FILES = hasattr(os, "fork")
# Whether signals can be kept from a child; on Windows it is put into a group of its own, which Ctrl-C does not reach.
_MASKS_SIGNALS = hasattr(signal, "pthread_sigmask")
_OF_A_PROCESS = "process-"
_TRIES = 3  # another process may write into the folder while it is being removed


class Child:
    """A child process that runs one of our modules; the module's ``main`` has to begin with ``joined()``.

    Args:
        module: its name, as for ``python -m``.
        arguments: of the command line.
        environment: all variables.
        files: descriptors that it inherits under the same numbers, where files can be passed on.
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
        lifeline = str(held) if PASSES_FILES else f"{_OF_A_PROCESS}{os.getpid()}"
        try:
            with deaf_to_terminals():
                self.process = subprocess.Popen(  # noqa: S603 - our own modules
                    [sys.executable, "-P", "-m", module, lifeline, self._scratch, *arguments],
                    env=variables,
                    pass_fds=(held, *files) if PASSES_FILES else (),
                    creationflags=0 if _MASKS_SIGNALS else getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
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
    if len(sys.argv) < 3 or not sys.argv[1].removeprefix(_OF_A_PROCESS).isdigit():
        raise SystemExit("this module is run by hwnas itself")
    held, scratch, *arguments = sys.argv[1:]
    wait = _end_of_process if held.startswith(_OF_A_PROCESS) else _end_of
    atexit.register(_remove, scratch)
    end_after(lambda: wait(int(held.removeprefix(_OF_A_PROCESS))), lambda: _remove(scratch))
    return arguments


def _end_of(pipe: int) -> None:
    """Wait until the other end of a pipe is closed everywhere."""
    with contextlib.suppress(OSError):
        os.read(pipe, 1)


def _end_of_process(number: int) -> None:
    """Wait until another process has ended."""
    import psutil

    with contextlib.suppress(psutil.Error):
        psutil.Process(number).wait()


def end_after(wait: Callable[[], object], clean: Callable[[], None] = lambda: None) -> None:
    """End this process as soon as something has ended.

    Args:
        wait: returns when it has; it is called in a thread.
        clean: called before the process ends.
    """

    def end() -> None:
        wait()
        clean()
        # Without Python's clean-up: it would wait for threads, and for messages that will never come.
        if hasattr(signal, "SIGKILL"):
            os.kill(os.getpid(), signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=end, name="hwnas-parent", daemon=True).start()


@contextmanager
def deaf_to_terminals() -> Iterator[None]:
    """Start children in this ``with`` block such that Ctrl-C and a closed terminal do not reach them.

    A terminal signals all processes of a program. The parent handles these signals and then ends its children.
    """
    if not _MASKS_SIGNALS:
        yield
        return
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


class SharedFile:
    """A file without content that a child opens too; it disappears with the processes that hold it, if they can.

    Attributes:
        file: it is open in this process.
        address: what the child opens it by: a descriptor that is passed on, or a name.
    """

    def __init__(self) -> None:
        self._name = ""
        if PASSES_FILES:
            self.file = unnamed_file()
        else:
            descriptor, self._name = tempfile.mkstemp(prefix="hwnas-")
            self.file = os.fdopen(descriptor, "w+b")
        self.address: int | str = self._name or self.file.fileno()

    @staticmethod
    def opened(address: int | str) -> int:
        """Return the descriptor of such a file in the child."""
        return address if isinstance(address, int) else os.open(address, os.O_RDWR | getattr(os, "O_BINARY", 0))

    def close(self) -> None:
        """Close the file, and remove its name if it has one."""
        self.file.close()
        if self._name:
            with contextlib.suppress(OSError):
                Path(self._name).unlink()


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
