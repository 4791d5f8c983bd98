"""Loaded by every Python whose path begins with this folder: no /proc, no /sys, no affinity, no memfd, as on macOS."""

import builtins
import io
import os
import sys


def _asked_by_psutil():
    """Whether it is psutil that asks, which has other ways on other systems."""
    frame = sys._getframe(2)
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith("psutil"):
            return True
        frame = frame.f_back
    return False


def _is_gone(path):
    if not isinstance(path, (str, bytes, os.PathLike)):
        return False
    return os.fsdecode(os.fspath(path)).startswith(("/proc", "/sys/")) and not _asked_by_psutil()


def _without(function):
    def call(*given, **more):
        if given and _is_gone(given[0]):
            raise FileNotFoundError(2, "No such file or directory", given[0])
        return function(*given, **more)

    return call


for name in ("open", "stat", "lstat", "listdir", "scandir", "readlink"):
    setattr(os, name, _without(getattr(os, name)))
builtins.open = io.open = _without(io.open)
for name in ("sched_getaffinity", "sched_setaffinity", "memfd_create"):
    if hasattr(os, name):
        delattr(os, name)
