"""Profile sub-networks of weight-sharing super-networks on real hardware, search them per platform, see what transfers.

Examples:
    >>> import hwnas
    >>> net = hwnas.supernet("ofa-mbv3-w1.2")
    >>> study = hwnas.search(net, "lut:table=note10", evals=20, progress=False)
    >>> len(study.evaluations), len(study.front) > 3
    (20, True)

The public API is what ``__all__`` names, ``hwnas.search.predictors.fit`` and ``hwnas.search.hypervolume.hypervolume``.
Super-networks and platforms are given by name or as objects. Measurements and studies are stored in ``hwnas.db`` in the
working directory, unless ``store`` names another place, or ``None``. Nothing heavy is imported until it is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

# In the repository the subpackages lie beside this folder, and are put into it where hwnas is installed (setup.py). A
# checkout works as it is.
_REPOSITORY = Path(__file__).resolve().parents[1]
if (_REPOSITORY / "setup.py").is_file() and (_REPOSITORY / "supernets" / "registry.py").is_file():
    __path__.append(str(_REPOSITORY))

from hwnas.api.elastic import elastic  # noqa: E402
from hwnas.api.fixed import Fixed  # noqa: E402
from hwnas.api.measuring import measure  # noqa: E402 - the packages have to be found first
from hwnas.api.studying import create_study, load_study  # noqa: E402
from hwnas.api.transferring import transfer  # noqa: E402
from hwnas.version import __version__  # noqa: E402

if TYPE_CHECKING:
    from hwnas.api.results import Measurements, OpenStudy, Study, TransferResult
    from hwnas.api.searching import search
    from hwnas.harness.measurement.measurement import Measurement
    from hwnas.harness.quality.own import Function, OwnQuality
    from hwnas.search.study.archive import Evaluation
    from hwnas.search.study.interrupted import SearchInterrupted
    from hwnas.supernets.errors import HwnasError
    from hwnas.supernets.supernet import SuperNetwork
else:
    # The function and the package share the name: a package that can be called.
    from hwnas import search
    from hwnas.api.package import make_callable

    make_callable(search)

__all__ = [
    "Evaluation",
    "Fixed",
    "HwnasError",
    "Measurement",
    "Measurements",
    "OpenStudy",
    "OwnQuality",
    "SearchInterrupted",
    "Study",
    "SuperNetwork",
    "TransferResult",
    "__version__",
    "create_study",
    "elastic",
    "load_study",
    "measure",
    "quality",
    "search",
    "supernet",
    "transfer",
]

# Types, which are imported when they are first asked for.
_TYPES = {
    "Evaluation": "hwnas.search.study.archive",
    "HwnasError": "hwnas.supernets.errors",
    "Measurement": "hwnas.harness.measurement.measurement",
    "Measurements": "hwnas.api.results",
    "OpenStudy": "hwnas.api.results",
    "OwnQuality": "hwnas.harness.quality.own",
    "SearchInterrupted": "hwnas.search.study.interrupted",
    "Study": "hwnas.api.results",
    "SuperNetwork": "hwnas.supernets.supernet",
    "TransferResult": "hwnas.api.results",
}

if not TYPE_CHECKING:  # a type checker knows them, and that there are no others

    def __getattr__(name: str) -> Any:
        if name not in _TYPES:
            raise AttributeError(f"module 'hwnas' has no attribute {name!r}")
        return getattr(import_module(_TYPES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def supernet(spec: str) -> SuperNetwork:
    """Make a super-network by name, such as ``ofa-mbv3-w1.2``, or with options ``ofa-mbv3-w1.2:r=160``.

    Examples:
        >>> net = hwnas.supernet("ofa-mbv3-w1.2:r=160")
        >>> X = net.space.sample(2, seed=0)
        >>> X.shape, net.macs(X).shape
        ((2, 45), (2,))

    Raises:
        UnknownNameError: no such super-network; the message suggests the nearest.
        UsageError: it does not have an option, or an option does not have the value.
    """
    from hwnas import supernets

    return supernets.get(spec)


def quality(metric: str, *, unit: str = "", maximise: bool = True) -> Callable[[Function], OwnQuality]:
    """Declare that a function is a quality of sub-networks, and what it returns.

    Examples:
        >>> @hwnas.quality("accuracy", unit="%")
        ... def accuracy(module, config):
        ...     return 70 + sum(config["d"]) / 4
        >>> study = hwnas.search("ofa-mbv3-w1.2", "lut:table=note10", quality=accuracy, evals=2, progress=False)
        >>> [one.name for one in study.objectives]
        ['latency', 'accuracy']

    Args:
        metric: the metric's name.
        unit: of the metric; empty where it has none.
        maximise: more is better.

    Returns:
        A decorator. The function takes a sub-network's module, in evaluation mode, and its config. It returns a number,
        or a dict with "value", "low" and "high" (a 95 % interval), "n" (examples) and "others" (further numbers).

    Raises:
        QualityError: no metric can have that name or unit.
    """
    from hwnas.harness.quality.own import OwnQuality

    return lambda function: OwnQuality(function, metric, unit, maximise)
