"""``hwnas.create_study`` and ``hwnas.load_study``: a study whose loop is the caller's, and one that the store has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from hwnas.api.opening import StoreLike, network, opened
from hwnas.api.searching import options
from hwnas.defaults import DEFAULT_STORE

if TYPE_CHECKING:
    from hwnas.api.results import OpenStudy, Study
    from hwnas.harness.measurement.request import Given
    from hwnas.harness.platform import Platform
    from hwnas.harness.quality import QualityChoice
    from hwnas.supernets.supernet import SuperNetwork


def create_study(  # noqa: PLR0913 - every choice of a study has its name here
    net: SuperNetwork | str,
    platform: Platform | str | None = None,
    *,
    objectives: Sequence[str] | None = None,
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
    name: str | None = None,
    resume: bool = False,
    store: StoreLike = DEFAULT_STORE,
    protocol: Given = None,
    wait_s: float | None = 0.0,
) -> OpenStudy:
    """Open a study whose loop is yours: ``ask`` for sub-networks, evaluate them, ``tell`` their values.

    Examples:
        >>> with hwnas.create_study("ofa-mbv3-w1.2", objectives=["macs", "depth:min"], evals=8) as study:
        ...     while proposals := study.ask():
        ...         _ = study.tell(proposals, {"depth": [sum(one.config["d"]) for one in proposals]})
        >>> len(study.evaluations)
        8

    Args:
        net: the super-network, or its name.
        platform: where latency is known or measured; needed where hwnas evaluates the latency.
        objectives: names of what hwnas evaluates ("latency", "macs", "top1"), and objectives of your own with their
            direction: "top1:max", with a unit "energy[mJ]:min". ``None``: latency and the quality.
        quality: a quality source, or a function of a sub-network's module and its config; ``None``: the super-network's
            own source.
        weights: the file of the super-network's weights, for a quality that runs sub-networks.
        subset: how many test examples to use; ``None``: all.
        workers: threads that read and prepare examples.
        constraints: like "latency<=20ms", on objectives of your own too.
        algorithm: "linas", "nsga2", "random" and others.
        evals: the most evaluations, those of a resumed study among them.
        seed: of all randomness.
        preset: named settings of the algorithm ("paper").
        settings: the algorithm's own settings.
        name: the study's; ``None``: a generated one.
        resume: go on with the study of that name. What was asked for and not told is asked for again first.
        store: where evaluations are stored, each from the ``tell`` on that it comes with: a file's path, a database's
            URL, an open store, or ``None``.
        protocol: numbers of the timing protocol by name ({"cap_s": 4}), or the name of a profile.
        wait_s: where other programs keep the CPUs busy, wait so long for calm; 0: only say so.

    Returns:
        A context manager with ``ask``, ``tell``, ``evaluations``, ``front`` and ``result``; ``close`` ends it too.

    Raises:
        UsageError: something was asked for that cannot be, or the study is there already, or differs from the one to
            resume.
    """
    from hwnas.api.results import OpenStudy
    from hwnas.search.study.open_study import create_study as run

    made = network(net)
    with ExitStack() as stack:
        stored = stack.enter_context(opened(store))
        study = run(
            made, platform, objectives=objectives, quality=quality,
            quality_options=options(weights, subset, workers), constraints=constraints, algorithm=algorithm,
            evals=evals, seed=seed, preset=preset, settings=settings, name=name, resume=resume, store=stored,
            protocol=protocol, wait_s=wait_s, kind=OpenStudy,
        )  # fmt: skip
        study.closing(stack.pop_all())
        return cast("OpenStudy", study)


def load_study(name: str, store: StoreLike = DEFAULT_STORE) -> Study:
    """Return a study that the store has, whole or as far as it came.

    Args:
        name: the study's; ``hwnas studies`` lists them.
        store: a file's path, a database's URL, or an open store.

    Raises:
        UnknownNameError: there is no such study; the message suggests the nearest.
        StoreError: there is no such store, or it cannot be read.
    """
    from hwnas.api.results import Study
    from hwnas.search.study.stored import load
    from hwnas.supernets.errors import UsageError

    with opened(store, create=False) as stored:
        if stored is None:
            raise UsageError("load_study: expected a store that has the study, got none")
        return Study.of(load(stored, name))
