"""``hwnas.search``: the best trade-offs of a super-network on one platform."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwnas.api.fixed import ModelLike
from hwnas.api.fixed import made as made_fixed
from hwnas.api.opening import StoreLike, network, opened
from hwnas.api.showing import ProgressLike, bars, is_interactive
from hwnas.defaults import DEFAULT_STORE

if TYPE_CHECKING:
    from hwnas.api.results import Study
    from hwnas.harness.bench.side_by_side import SideBySide
    from hwnas.harness.measurement.request import Given
    from hwnas.harness.platform import Platform
    from hwnas.harness.quality import QualityChoice, QualityOptions
    from hwnas.supernets.supernet import SuperNetwork


def search(  # noqa: PLR0913 - every choice of a search has its name here
    net: SuperNetwork | str,
    platform: Platform | str | None = None,
    *,
    quality: QualityChoice | None = None,
    weights: str | Path | None = None,
    subset: int | None = None,
    workers: int = 1,
    objectives: Sequence[str] | None = None,
    constraints: Sequence[str] = (),
    algorithm: str = "linas",
    evals: int = 150,
    seed: int = 0,
    preset: str | None = None,
    settings: Mapping[str, Any] | None = None,
    study: str | None = None,
    resume: bool = False,
    store: StoreLike = DEFAULT_STORE,
    reference: Mapping[str, float] | None = None,
    target: float | None = None,
    plateau: int | None = None,
    warm_start: Study | str | None = None,
    transfer_from: str | Sequence[str] | None = None,
    parallel: int | None = None,
    effort: str | None = None,
    final_front: int | None = None,
    models: Sequence[ModelLike] = (),
    protocol: Given = None,
    wait_s: float | None = 0.0,
    progress: ProgressLike = True,
) -> Study:
    """Search a super-network for the best trade-offs of latency and quality on one platform.

    Every evaluation is stored as soon as it is there. If the search is interrupted (Ctrl-C), a notebook or a prompt
    gets the study as far as it came; in a script, ``hwnas.SearchInterrupted`` is raised, a ``KeyboardInterrupt`` that
    has the study. The same call with ``resume=True`` goes on, and evaluates nothing twice.

    Examples:
        >>> study = hwnas.search("ofa-mbv3-w1.2", "lut:table=note10", evals=30, progress=False)
        >>> study.name, len(study.evaluations)
        ('ofa-mbv3-w1.2-linas-1', 30)
        >>> best = max(study.front, key=lambda one: one.objectives["top1"])
        >>> sorted(best.objectives), best.key == study.evaluations[best.index].key
        (['latency', 'top1'], True)

    Args:
        net: the super-network, or its name ("ofa-mbv3-w1.2"); ``hwnas supernets`` lists them.
        platform: where latency is known or measured ("onnxruntime:threads=1", "lut:table=note10"); needed where latency
            is an objective. ``hwnas platforms`` lists them.
        quality: a quality source ("surrogate", "images:DIR"), or a function of a sub-network's module and its config;
            ``hwnas.quality`` declares its metric. ``None``: the super-network's own source.
        weights: the file of the super-network's weights, for a quality that runs sub-networks.
        subset: how many test examples to use; ``None``: all.
        workers: threads that read and prepare examples.
        objectives: names ("latency", "top1", "macs"); ``None``: latency and the quality.
        constraints: like "latency<=20ms", "top1>=76%", "macs<=300M".
        algorithm: "linas", "nsga2", "random" and others; ``hwnas algorithms`` lists them.
        evals: the most evaluations, those of a resumed study among them. A study may be resumed with more.
        seed: of all randomness: the same seed and the same measurements give the same evaluations.
        preset: named settings of the algorithm ("paper").
        settings: the algorithm's own settings.
        study: its name in the store; ``None``: a generated one.
        resume: go on with the study of that name; where none is named, with the latest of the same search.
        store: where measurements and evaluations go: a file's path, a database's URL, an open store, or ``None``.
        reference: the reference point of the hypervolume, by objective, in its unit; ``None``: a default.
        target: stop when the front dominates this hypervolume; needs ``reference``.
        plateau: stop when so many evaluations added less than 0.1 % to the hypervolume.
        warm_start: a study, or the name of one in the store, whose front is evaluated first.
        transfer_from: what is known already: a study in the store (its accuracies and latencies), a platform (its
            latencies), or "known", all that the store has.
        parallel: batches that are measured at a time; ``None``: one more than the farm has devices.
        effort: of measuring while searching: "quick" (the default), "normal" or "thorough".
        final_front: the most sub-networks that are measured again at the end, thoroughly; ``None``: 20.
        models: fixed models of your own that are measured when the search has ended, thoroughly and side by side:
            ``hwnas.Fixed``, or "FILE.py:FUNCTION", "FILE.onnx", "FILE.pt2". They are kept with the study.
        protocol: numbers of the timing protocol by name ({"cap_s": 4}), or the name of a profile.
        wait_s: where other programs keep the CPUs busy, wait so long for calm; 0: only say so.
        progress: show bars; or a function that is given a ``SearchProgress`` now and then.

    Returns:
        The study, with ``front`` and ``evaluations``, ``plot()``, ``to_pandas()``, ``report()`` and ``export()``.

    Raises:
        UsageError: something was asked for that cannot be, or the study is there already, or differs from the one to
            resume.
        SearchInterrupted: it was interrupted, in a script.
    """
    from hwnas.api.results import Study
    from hwnas.cli.progress import searching, telling
    from hwnas.search.study.interrupted import SearchInterrupted, interruptible
    from hwnas.search.study.models import measure_models
    from hwnas.search.study.run import search as run

    made = network(net)
    with opened(store) as stored, side_by_side(models, platform) as fixed, bars(progress, searching) as show:
        try:
            found = run(
                made, platform, quality=quality, quality_options=options(weights, subset, workers),
                objectives=objectives, constraints=constraints, algorithm=algorithm, evals=evals, seed=seed,
                preset=preset, settings=settings, study=study, resume=resume, store=stored, reference=reference,
                target=target, plateau=plateau, warm_start=warm_start, transfer_from=transfer_from, parallel=parallel,
                effort=effort, final_front=final_front, protocol=protocol, wait_s=wait_s, progress=show,
            )  # fmt: skip
            if fixed is not None:
                where = str(found.platform)
                with interruptible(lambda: found), bars(progress, functools.partial(telling, where)) as tell:
                    found = measure_models(found, fixed, where, stored, protocol=protocol, wait_s=wait_s, progress=tell)
        except SearchInterrupted as interrupted:
            so_far = Study.of(interrupted.study, made)
            saved = "nothing is stored" if stored is None else f"stored in {stored.name}"
            said = f"interrupted: study {so_far.name!r} has {len(so_far.evaluations)} evaluations, {saved}"
            if not is_interactive():
                again = "" if stored is None else f"; study={so_far.name!r}, resume=True goes on"
                raise SearchInterrupted(so_far, f"{said}{again}") from None
            if progress is not False:
                sys.stderr.write(f"{said}; resume=True goes on\n")
            return so_far
    return Study.of(found, made)


@contextmanager
def side_by_side(models: Sequence[ModelLike], platform: Platform | str | None) -> Iterator[SideBySide | None]:
    """Yield fixed models that the platform can run; ``None``: there are none. It is looked at before hours of work.

    Raises:
        UsageError: there is no platform, or a model cannot be made.
        PlatformError: the platform cannot run one of them.
    """
    from hwnas.harness.bench.side_by_side import SideBySide
    from hwnas.harness.platform import parse
    from hwnas.supernets.errors import UsageError

    if not models:
        yield None
        return
    if platform is None:
        raise UsageError("models: expected a platform to measure them on, like onnxruntime:threads=1")
    with made_fixed(models) as fixed:
        beside = SideBySide(None, (), fixed)
        beside.check([parse(platform) if isinstance(platform, str) else platform])
        yield beside


def options(weights: str | Path | None, subset: int | None, workers: int) -> QualityOptions:
    """Return the options of a quality that runs sub-networks; raises ``UsageError`` where a number can be none."""
    from hwnas.harness.quality import QualityOptions
    from hwnas.supernets.given import as_int

    examples = None if subset is None else as_int("subset", subset, 1)
    return QualityOptions(None if weights is None else str(weights), examples, as_int("workers", workers, 0))
