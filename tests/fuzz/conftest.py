"""One folder for all examples of a session."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

# In memory, where that is a file system: ten thousand cases that each wait for a disk take hours.
MEMORY = Path("/dev/shm")


@pytest.fixture(scope="session")
def folder():
    """A folder whose files every example overwrites."""
    with tempfile.TemporaryDirectory(prefix="hwnas-fuzz-", dir=MEMORY if MEMORY.is_dir() else None) as made:
        yield Path(made)
