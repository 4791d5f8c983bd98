"""Profile sub-networks of weight-sharing super-networks on real hardware, search them per platform, see what transfers.

The public API is this module's functions, ``hwnas.search.predictors.fit`` and ``hwnas.search.hypervolume.hypervolume``.
Nothing heavy is imported until a function needs it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwnas.harness.measurement.measurement import Measurement
    from hwnas.search.study.open_study import OpenStudy
    from hwnas.search.study.run import Study
    from hwnas.search.transfer import TransferResult
    from hwnas.supernets.supernet import SuperNetwork

__all__ = ["__version__", "create_study", "measure", "search", "supernet", "transfer"]

# In the repository the subpackages lie beside this folder, and are put into it where hwnas is installed (setup.py). A
# checkout works as it is.
_REPOSITORY = Path(__file__).resolve().parents[1]
if (_REPOSITORY / "setup.py").is_file() and (_REPOSITORY / "supernets" / "registry.py").is_file():
    __path__.append(str(_REPOSITORY))

try:
    __version__ = version("hwnas")
except PackageNotFoundError:  # a checkout on the path, nothing installed
    __version__ = "0+unknown"


def supernet(spec: str) -> SuperNetwork:
    """Make a super-network by name, such as ``ofa-mbv3-w1.2`` or ``ofa-mbv3-w1.2:r=160``.

    Raises:
        UnknownNameError: no such super-network; the message suggests the nearest.
    """
    from hwnas import supernets

    return supernets.get(spec)


def measure(
    net: SuperNetwork, configs: Mapping[str, Any] | Iterable[Mapping[str, Any]], platform: str, **options: Any
) -> list[Measurement]:
    """Measure sub-networks on one platform, together, so that they can be ranked.

    Args:
        net: the super-network.
        configs: one config or several.
        platform: a platform string ("onnxruntime:threads=1").
        **options: as ``hwnas.harness.measure.Measurer`` takes them (``store``, ``protocol``, ``progress``).

    Returns:
        One measurement per config, in their order. One that failed or did not converge says so in its ``status``.
    """
    from hwnas.harness.measure import measure as run

    return run(net, configs, platform, **options)


def create_study(net: SuperNetwork, platform: str | None = None, **options: Any) -> OpenStudy:
    """Open a study whose loop is yours: ``ask`` for sub-networks, evaluate them, ``tell`` their values.

    Args:
        net: the super-network.
        platform: a platform string; needed where hwnas evaluates the latency.
        **options: as ``hwnas.search.study.open_study.create_study`` takes them (``objectives``, ``evals``, ``store``,
            ...).

    Returns:
        A context manager with ``ask``, ``tell``, ``evaluations``, ``front`` and ``result``.
    """
    from hwnas.search.study.open_study import create_study as run

    return run(net, platform, **options)


def transfer(net: SuperNetwork, platforms: Sequence[str], **options: Any) -> TransferResult:
    """Search on each platform and measure each front on all of them.

    Args:
        net: the super-network.
        platforms: two or more platform strings.
        **options: as ``hwnas.search.transfer.transfer`` takes them.
    """
    from hwnas.search.transfer import transfer as run

    return run(net, platforms, **options)


if TYPE_CHECKING:

    def search(net: SuperNetwork, platform: str, **options: Any) -> Study:
        """Search a super-network on one platform; see ``hwnas.search.study.run.search``."""

else:
    # A package that can be called: the function and the package share the name.
    from hwnas import search
