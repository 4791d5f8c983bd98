"""Loaded by every Python whose path begins with this folder: what Windows has not got is not there."""

import fcntl
import multiprocessing.popen_fork
import os
import runpy
import select
import signal
import stat
import subprocess
import sys
import types
from pathlib import Path

# They have other ways on other systems, and look for their own when they are loaded.
import platformdirs.unix  # noqa: F401
import psutil  # noqa: F401


def locking(descriptor, mode, length):
    """Lock bytes of a file from where it stands, as Windows does: without waiting, or for ten seconds at most."""
    if mode == msvcrt.LK_UNLCK:
        fcntl.lockf(descriptor, fcntl.LOCK_UN, length)
        return
    fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, length)


msvcrt = types.ModuleType("msvcrt")
msvcrt.LK_UNLCK, msvcrt.LK_LOCK, msvcrt.LK_NBLCK = 0, 1, 2
msvcrt.locking = locking


def sockets_alone(readable, writable, exceptional, timeout=None):
    """Wait for sockets: pipes are none."""
    for one in (*readable, *writable, *exceptional):
        if not stat.S_ISSOCK(os.fstat(one if isinstance(one, int) else one.fileno()).st_mode):
            raise OSError(10038, "An operation was attempted on something that is not a socket")
    return waiting(readable, writable, exceptional, timeout)


def started(process, *arguments, **options):
    """Start a process, to which only the three standard streams are passed on."""
    if options.get("pass_fds") or options.get("preexec_fn") or options.get("start_new_session"):
        raise ValueError("pass_fds, preexec_fn and start_new_session: not supported on Windows")
    starting(process, *arguments, **options)


def killed(process):
    """End a process, which needs no signal there."""
    if process.poll() is None:
        os.kill(process.pid, 9)


runpy.run_path(str(Path(__file__).parents[1] / "no_linux" / "sitecustomize.py"))
waiting, select.select = select.select, sockets_alone
starting, subprocess.Popen.__init__ = subprocess.Popen.__init__, started
subprocess.Popen.kill = multiprocessing.popen_fork.Popen.kill = killed
sys.modules["msvcrt"] = msvcrt
for name in ("fcntl", "resource", "pwd", "termios"):
    sys.modules[name] = None
for name in (
    "sysconf", "geteuid", "getuid", "getgid", "getloadavg", "fork", "setsid", "killpg", "mkfifo", "fchmod",
    "fchown", "posix_fallocate", "pread", "pwrite", "set_blocking",
    "O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK", "O_NOCTTY", "O_ACCMODE",
):  # fmt: skip
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGHUP", "SIGKILL", "pthread_sigmask"):
    if hasattr(signal, name):
        delattr(signal, name)
