"""Make ``mutations`` importable, and one folder for all examples of a session."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

HERE = str(Path(__file__).parent)
if HERE not in sys.path:
    sys.path.append(HERE)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A folder whose files every example overwrites."""
    return tmp_path_factory.mktemp("fuzz")
