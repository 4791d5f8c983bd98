"""BoTorch, which one algorithm needs: tests of that one skip where it is missing; CI requires it."""

from __future__ import annotations

import importlib.util
import os
import warnings

import pytest


def needed_by(name):
    """Skip a test of the algorithm ``name`` where BoTorch is missing and it needs that."""
    if name != "qlognehvi":
        return
    if importlib.util.find_spec("botorch") is not None:
        _uncompiled()
        return
    if os.environ.get("HWNAS_REQUIRE_BOTORCH"):
        pytest.fail("BoTorch is not installed")
    pytest.skip("BoTorch is not installed (pip install 'hwnas[botorch]')")


def _uncompiled() -> None:
    """Let BoTorch compute in Python: its kernel in C++ is compiled for a minute, and for this very processor."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from botorch.acquisition.multi_objective import logei
    logei._load_attempted = True
