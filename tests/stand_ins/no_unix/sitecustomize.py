"""Loaded by every Python whose path begins with this folder: what Windows has not got is not there."""

import os
import signal
import sys

# They have other ways on other systems, and look for their own when they are loaded.
import platformdirs.unix  # noqa: F401
import psutil  # noqa: F401

for name in ("fcntl", "resource", "pwd", "termios"):
    sys.modules[name] = None
for name in ("sysconf", "geteuid", "getuid", "getloadavg", "sched_getaffinity", "sched_setaffinity", "memfd_create"):
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGHUP", "SIGKILL", "pthread_sigmask"):
    if hasattr(signal, name):
        delattr(signal, name)
