"""Devices are locked apart from what else runs on this machine."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def own_locks(monkeypatch, tmp_path):
    """No test waits for another program that measures."""
    monkeypatch.setattr("hwnas.harness.host.lock.DIRECTORY", tmp_path)
