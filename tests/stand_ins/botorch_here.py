"""BoTorch, which one algorithm needs: tests of that one skip where it is missing; CI requires it."""

from __future__ import annotations

import importlib.util
import os

import pytest


def needed_by(name):
    """Skip a test of the algorithm ``name`` where BoTorch is missing and it needs that."""
    if name != "qlognehvi" or importlib.util.find_spec("botorch") is not None:
        return
    if os.environ.get("HWNAS_REQUIRE_BOTORCH"):
        pytest.fail("BoTorch is not installed")
    pytest.skip("BoTorch is not installed (pip install 'hwnas[botorch]')")
