"""What tests of commands on a trained super-network share; ``folder`` is each module's own."""

from __future__ import annotations

import pytest


@pytest.fixture
def here(folder, monkeypatch, tmp_path):
    """The folder, and a store of the test's own."""
    monkeypatch.chdir(folder)
    return ["--store", f"sqlite:///{tmp_path / 'store.db'}", "--quiet"]
