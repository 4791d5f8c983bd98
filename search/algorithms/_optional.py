"""Packages that only some algorithms need."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from hwnas.supernets.errors import UsageError


def optional(algorithm: str, package: str, called: str, extra: str) -> Any:
    """Return a package; raises ``UsageError``, which says how to install it, where it is not there.

    Args:
        algorithm: the name of the algorithm that needs it.
        package: as it is imported.
        called: as people call it.
        extra: of hwnas, which installs it.
    """
    try:
        return import_module(package)
    except ImportError:
        raise UsageError(
            f"algorithm {algorithm!r} needs {called}, which is not installed: python -m pip install 'hwnas[{extra}]'"
        ) from None
