"""Modules of the standard library that Windows does not have: ``None`` there."""

from __future__ import annotations

try:
    import fcntl
    import resource
except ImportError:
    fcntl = resource = None  # type: ignore[assignment]

__all__ = ["fcntl", "resource"]
