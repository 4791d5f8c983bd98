"""Search: algorithms, predictors, studies, comparisons, transfer between platforms, and their reports.

The package can be called: ``hwnas.search(net, platform)`` is ``hwnas.search.study.run.search``.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwnas.search.study.run import Study
    from hwnas.supernets.supernet import SuperNetwork


class _Search(ModuleType):
    """This module's class."""

    def __call__(self, net: SuperNetwork, platform: str, **options: Any) -> Study:
        """Search a super-network on one platform.

        Args:
            net: the super-network.
            platform: a platform string ("lut:table=note10").
            **options: as ``hwnas.search.study.run.search`` takes them (``quality``, ``algorithm``, ``evals``, ``seed``,
                ...).
        """
        from hwnas.search.study.run import search

        return search(net, platform=platform, **options)


sys.modules[__name__].__class__ = _Search
