"""One folder for all examples of a session."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A folder whose files every example overwrites."""
    return tmp_path_factory.mktemp("fuzz")
