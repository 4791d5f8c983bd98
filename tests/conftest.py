"""Fixtures that several suites share: published data, and how a missing prerequisite is treated."""

from __future__ import annotations

import ast
import csv
import os
from pathlib import Path

import numpy as np
import pytest


def find_assets() -> Path | None:
    """Return the folder of published data that needs no network, where there is one."""
    named = os.environ.get("HWNAS_ASSETS")
    candidates = [Path(named)] if named else []
    candidates.append(Path(__file__).parents[1].parent / "shared" / "assets")
    return next((folder for folder in candidates if folder.is_dir()), None)


@pytest.fixture(scope="session")
def assets() -> Path:
    """The published data; a test that needs it skips with the reason, or fails where CI requires it."""
    folder = find_assets()
    if folder is None:
        reason = "published data is not on this machine (set HWNAS_ASSETS to its folder)"
        if os.environ.get("HWNAS_REQUIRE_ASSETS"):
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


@pytest.fixture(scope="session")
def dynast_rows(assets: Path) -> list[dict[str, object]]:
    """The measured rows of width 1.0: config, params, macs, top1."""
    rows = []
    for file in sorted((assets / "dynast").glob("*.csv")):
        with file.open(newline="") as lines:
            for row in csv.DictReader(lines):
                config = ast.literal_eval(row["Sub-network"])
                counts = {"params": int(row["Model Parameters"]), "macs": int(row["MACs"])}
                rows.append({"config": config, "top1": float(row["Top-1 Acc (%)"]), **counts})
    return rows


@pytest.fixture
def rng() -> np.random.Generator:
    """A seeded generator."""
    return np.random.default_rng(7)
