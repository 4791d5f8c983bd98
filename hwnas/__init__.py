"""Profile sub-networks of weight-sharing super-networks on real hardware, search them per platform, see what transfers.

The public API is this module's functions, ``search.predictors.fit`` and ``search.hypervolume.hypervolume``.
Nothing heavy is imported until a function needs it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.measurement import Measurement
    from search.study import Study
    from search.transfer import TransferResult
    from supernets.supernet import SuperNetwork

__all__ = ["__version__", "measure", "search", "supernet", "transfer"]

try:
    __version__ = version("hwnas")
except PackageNotFoundError:  # a checkout on the path, nothing installed
    __version__ = "0+unknown"


def supernet(spec: str) -> SuperNetwork:
    """Make a super-network by name, such as ``ofa-mbv3-w1.2`` or ``ofa-mbv3-w1.2:r=160``.

    Raises:
        UnknownNameError: no such super-network; the message suggests the nearest.
    """
    import supernets

    return supernets.get(spec)


def measure(
    net: SuperNetwork, configs: Mapping[str, Any] | Iterable[Mapping[str, Any]], platform: str, **options: Any
) -> list[Measurement]:
    """Measure sub-networks on one platform, together, so that they can be ranked.

    Args:
        net: the super-network.
        configs: one config or several.
        platform: a platform string ("onnxruntime:threads=1").
        **options: as ``harness.measure.Measurer`` takes them (``store``, ``protocol``, ``progress``).

    Returns:
        One measurement per config, in their order. One that failed or did not settle says so in its ``status``.
    """
    from harness.measure import measure as run

    return run(net, configs, platform, **options)


def search(net: SuperNetwork, platform: str, **options: Any) -> Study:
    """Search a super-network on one platform.

    Args:
        net: the super-network.
        platform: a platform string ("lut:table=note10").
        **options: as ``search.study.search`` takes them (``quality``, ``algorithm``, ``evals``, ``seed``, ...).
    """
    from search.study import search as run

    return run(net, platform=platform, **options)


def transfer(net: SuperNetwork, platforms: Sequence[str], **options: Any) -> TransferResult:
    """Search on each platform and measure each front on all of them.

    Args:
        net: the super-network.
        platforms: two or more platform strings.
        **options: as ``search.transfer.transfer`` takes them.
    """
    from search.transfer import transfer as run

    return run(net, platforms, **options)
