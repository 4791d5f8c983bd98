"""Make the scripted backend and super-network known, here and in workers; simulated machines importable."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import backends
import supernets

PLUGIN = str(Path(__file__).parents[1] / "plugin")
if PLUGIN not in sys.path:
    sys.path.append(PLUGIN)


def forget():
    """Make the registries look again."""
    for registry in (backends.registry, supernets.registry):
        registry.__dict__.pop("_providers", None)


@pytest.fixture
def scripted(monkeypatch, tmp_path):
    """The scripted plug-in is installed, and devices are locked apart from what else runs on this machine."""
    monkeypatch.syspath_prepend(PLUGIN)
    monkeypatch.setattr("harness.lock.DIRECTORY", tmp_path)
    forget()
    yield
    monkeypatch.undo()
    forget()


@pytest.fixture(autouse=True)
def own_locks(monkeypatch, tmp_path):
    """No test waits for another program that measures."""
    monkeypatch.setattr("harness.lock.DIRECTORY", tmp_path)
