"""How every parser is tried: how often, what it may raise, where its files lie."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

from supernets.errors import HwnasError

N = int(os.environ.get("HWNAS_FUZZ", "40"))
fuzz = settings(
    max_examples=N,
    deadline=None,
    database=None,
    derandomize=N < 1000,  # the ordinary suite tries the same each time; a long run tries new ones
    suppress_health_check=list(HealthCheck),
)


def refused_or_read(read):
    """Call ``read``; what it raises must be ours, with a message that can be printed. Return what it returned."""
    try:
        return read()
    except HwnasError as error:
        said = str(error)
    assert said.strip()
    return None


def put(folder, name, content):
    """Write a file and return its path."""
    (folder / name).write_bytes(content)
    return folder / name
