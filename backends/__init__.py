"""Backends: runtimes that execute a sub-network's stages, and tables that look its latency up.

``names()`` lists them and ``get(name)`` makes one. ``hwnas.backends.runner.BatchRunner`` turns a stage into a function.
"""

from __future__ import annotations

from hwnas.backends.backend import Backend, KnowingBackend, Option, RunningBackend, Session, Settings, Tabulated
from hwnas.supernets.registry import Registry

__all__ = [
    "Backend",
    "KnowingBackend",
    "Option",
    "RunningBackend",
    "Session",
    "Settings",
    "Tabulated",
    "get",
    "names",
    "registry",
]

registry = Registry(
    "backend",
    "hwnas.backends",
    "hwnas.backends",
    makes=(RunningBackend, KnowingBackend),
)


def names() -> list[str]:
    """Return the names of all backends, usable here or not."""
    return registry.names()


def get(name: str) -> Backend:
    """Make the backend ``name``; raises ``UnknownNameError`` with suggestions."""
    backend: Backend = registry.create(name)
    return backend
