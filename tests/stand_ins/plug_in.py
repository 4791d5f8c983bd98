"""The scripted plug-in, installed for as long as a test wants it and never longer.

Its modules can always be imported; it is registered where ``tests/plugin``, which holds nothing but the metadata of an
installed distribution, is on the path.
"""

from __future__ import annotations

from pathlib import Path

from hwnas import backends, supernets
from hwnas.harness import quality

STAND_INS = Path(__file__).parent
METADATA = STAND_INS.parent / "plugin"
PATHS = (str(STAND_INS), str(METADATA))


def forget():
    """Make the registries look again."""
    for registry in (backends.registry, supernets.registry, quality.registry):
        registry.__dict__.pop("_providers", None)


def install(monkeypatch):
    """Register the plug-in here and, by the path that they are given, in worker processes, until ``remove``."""
    monkeypatch.syspath_prepend(METADATA)
    forget()


def remove(monkeypatch):
    """Take the plug-in away again, with all else that ``monkeypatch`` changed."""
    monkeypatch.undo()
    forget()
