"""The rooms of the house are those that the map shows, and few enough to see at a glance."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MOST = 15
# What every package has.
_ALWAYS = {"__init__", "__pycache__", "py"}


def rooms(package):
    """Return the names of a package's folders and files."""
    return {entry.name.partition(".")[0] for entry in (ROOT / package).iterdir()} - _ALWAYS


def shown(package):
    """Return the names that the map has under a package's heading."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    picture = re.search(rf"^{package} ─+\n(.*?)(?=^\w+ ─|^```)", text, re.DOTALL | re.MULTILINE)
    assert picture, f"architecture.md shows no rooms of {package}"
    names = (re.split(r"\s{2,}", line.strip())[0] for line in picture[1].splitlines() if line.startswith("  "))
    return {name.strip("/") for entry in names if entry for name in entry.split(", ")}


@pytest.mark.parametrize("package", ["harness", "search", "supernets"])
def test_the_map_shows_the_rooms(package):
    assert shown(package) == rooms(package)


@pytest.mark.parametrize("package", ["harness", "search"])
def test_the_rooms_are_few_enough_to_see_at_a_glance(package):
    assert len(rooms(package)) <= MOST
