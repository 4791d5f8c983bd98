"""``hwnas.transfer``: how well what is found on one platform carries over to others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwnas.api.opening import StoreLike, network, opened
from hwnas.api.searching import options
from hwnas.api.showing import ProgressLike, bars
from hwnas.defaults import DEFAULT_STORE

if TYPE_CHECKING:
    from hwnas.api.results import Study, TransferResult
    from hwnas.harness.measurement.request import Given
    from hwnas.harness.platform import Platform
    from hwnas.harness.quality import QualityChoice
    from hwnas.supernets.supernet import SuperNetwork


def transfer(  # noqa: PLR0913 - every choice has its name here
    net: SuperNetwork | str,
    platforms: Sequence[Platform | str] = (),
    *,
    studies: Sequence[Study | str] = (),
    quality: QualityChoice | None = None,
    weights: str | Path | None = None,
    subset: int | None = None,
    workers: int = 1,
    constraints: Sequence[str] = (),
    algorithm: str = "linas",
    evals: int = 150,
    seed: int = 0,
    preset: str | None = None,
    settings: Mapping[str, Any] | None = None,
    samples: int = 30,
    fresh: bool = False,
    store: StoreLike = DEFAULT_STORE,
    effort: str | None = None,
    protocol: Given = None,
    wait_s: float | None = 0.0,
    progress: ProgressLike = True,
) -> TransferResult:
    """Search on each platform, measure each front on all of them, and tell how well results carry over.

    If it is interrupted, the same call goes on: its searches are studies in the store.

    Examples:
        >>> platforms = ["lut:table=note10", "lut:table=jetson-cpu"]
        >>> net = "ofa-mbv3-w1.2:r=160+176+192+208+224"
        >>> found = hwnas.transfer(net, platforms, evals=12, samples=10, progress=False)
        >>> found.hypervolume_ratio.shape
        (2, 2)

    Args:
        net: the super-network, or its name.
        platforms: two or more platform strings, those of ``studies`` among them.
        studies: searches that are done already, or their names in the store.
        quality: a quality source, or a function of a sub-network's module and its config; ``None``: the source of the
            studies, else the super-network's own.
        weights: the file of the super-network's weights, for a quality that runs sub-networks.
        subset: how many test examples to use; ``None``: all.
        workers: threads that read and prepare examples.
        constraints: of the searches, or of the fronts of measured tables, like "latency<=20ms".
        algorithm: of the searches.
        evals: the most evaluations of each search.
        seed: of all randomness.
        preset: named settings of the algorithm.
        settings: the algorithm's own settings.
        samples: how many other sub-networks to measure, for correlations between platforms.
        fresh: measure each front again on its own platform too.
        store: where measurements and studies are stored: a file's path, a database's URL, an open store, or ``None``.
        effort: how precisely what is compared is measured: "quick", "normal" or "thorough" (the default).
        protocol: numbers of the timing protocol by name ({"cap_s": 4}), or the name of a profile.
        wait_s: where other programs keep the CPUs busy, wait so long for calm; 0: only say so.
        progress: show bars; or a function that is given a ``TransferProgress`` now and then.

    Returns:
        The result, with ``words()``, ``plot()``, ``to_pandas()`` and ``report()``.

    Raises:
        UsageError: fewer than two platforms, one twice, or a study that does not belong here.
    """
    from hwnas.api.results import TransferResult
    from hwnas.cli.progress import transferring
    from hwnas.search.transfer import transfer as run

    made = network(net)
    with opened(store) as stored, bars(progress, transferring) as show:
        found = run(
            made, platforms, studies=studies, quality=quality, quality_options=options(weights, subset, workers),
            constraints=constraints, algorithm=algorithm, evals=evals, seed=seed, preset=preset, settings=settings,
            samples=samples, fresh=fresh, store=stored, effort=effort, protocol=protocol, wait_s=wait_s, progress=show,
        )  # fmt: skip
    return TransferResult.of(found)
