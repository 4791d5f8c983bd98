"""Search on each platform, measure every front on all platforms, and compare."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.harness.host.environment import merged
from hwnas.harness.measurement.protocol import EFFORTS, THOROUGH
from hwnas.harness.project_file import asked_of
from hwnas.harness.quality import qualities
from hwnas.search.objectives import Sources
from hwnas.search.sampling import row_keys, sample_unseen, unseen_rows
from hwnas.search.study.archive import Evaluation
from hwnas.search.study.continued import continued
from hwnas.search.study.result import Study
from hwnas.search.study.stored import load
from hwnas.search.transfer.adapting import adapting
from hwnas.search.transfer.effects import EffectModel, enough_for_stages
from hwnas.search.transfer.everywhere import everywhere, serving_from
from hwnas.search.transfer.noise import Noise
from hwnas.search.transfer.result import TransferResult, analyse
from hwnas.search.transfer.rows import QualityLabel, SharedRows
from hwnas.search.transfer.stages import stage_rows
from hwnas.search.transfer.studies import check_files, check_studies, not_recorded, places_of, quality_of
from hwnas.search.transfer.tables import all_tabulated, allowed, fronts, in_every_table
from hwnas.supernets.errors import UsageError
from hwnas.supernets.given import as_int, several
from hwnas.supernets.space import BoolArray, IntArray, SearchSpace
from hwnas.supernets.supernet import SuperNetwork

if TYPE_CHECKING:
    from hwnas.harness.measurement.measurement import Measurement
    from hwnas.harness.measurement.request import Given
    from hwnas.harness.platform import Platform
    from hwnas.harness.quality import Quality, QualityChoice, QualityOptions
    from hwnas.harness.store import Store


@dataclass(frozen=True)
class TransferProgress:
    """How far a transfer is.

    Attributes:
        phase: "search" or "measure".
        platform: where.
        step: which of the steps it is, from 1; a step is one search, or measuring on one platform.
        steps: how many there are.
        event: what the search or the measurer reports, ``None`` when the step begins.
    """

    phase: str
    platform: str
    step: int
    steps: int
    event: Any = None


Report = Callable[[TransferProgress], None]


def transfer(  # noqa: PLR0913 - every choice has its name here, and only here
    net: SuperNetwork,
    platforms: Sequence[Platform | str] = (),
    *,
    studies: Sequence[Study | str] = (),
    quality: QualityChoice | None = None,
    quality_options: QualityOptions | None = None,
    algorithm: str = "linas",
    evals: int = 150,
    seed: int = 0,
    preset: str | None = None,
    settings: Mapping[str, Any] | None = None,
    constraints: Sequence[str] = (),
    samples: int = 30,
    fresh: bool = False,
    protocol: Given = None,
    effort: str | None = None,
    wait_s: float | None = 0.0,
    store: Store | None = None,
    progress: Report | None = None,
) -> TransferResult:
    """Tell how well what is found on one platform carries over to the others.

    Args:
        net: the super-network.
        platforms: at least two, those of ``studies`` among them. Where there is no study of one, it is searched. Where
            all are measured tables, nothing is: every sub-network that all of them have is compared.
        studies: done already, or their names in ``store``.
        quality: the quality source, or a function of a sub-network's module and config; ``None``: the source of the
            studies, else the super-network's own.
        quality_options: see ``hwnas.search.study.run.search``.
        algorithm: of the searches, as are ``evals``, ``seed``, ``preset``, ``settings`` and ``constraints``.
        evals: see ``hwnas.search.study.run.search``.
        seed: of the searches, of the random sub-networks and of the bootstrap.
        preset: see ``hwnas.search.study.run.search``.
        settings: see ``hwnas.search.study.run.search``.
        constraints: see ``hwnas.search.study.run.search``; between measured tables, of their fronts.
        samples: other sub-networks that are measured along with the fronts, which alone are too few, and too alike in
            kind, to correlate platforms by; see ``shared``. The smallest and the largest sub-network always are.
        fresh: measure the fronts anew on the platform that they were searched on too. Otherwise what the searches of
            this call have measured in full serves there as it is, and older measurements while the machine is as it
            was.
        protocol: what is asked of the timing protocol; see ``hwnas.harness.measure.Measurer``.
        effort: of what is compared: "thorough", which ``None`` stands for, "normal" or "quick". Searches are quick;
            where it is thorough, their fronts are measured again at their ends.
        wait_s: how long to wait where other programs keep the CPUs busy; see ``hwnas.harness.measure.Measurer``.
        store: for studies and measurements. The searches of this call are studies whose names follow from
            all that decides them, so the same call goes on where an earlier one was interrupted, and where that came to
            its end there is nothing left to do.
        progress: is called with a ``TransferProgress`` as things get done.

    Raises:
        UsageError: fewer than two platforms, one twice, or a study that does not belong here, or whose files have
            changed since.
    """
    evals, seed, samples = as_int("evals", evals), as_int("seed", seed, 0), as_int("samples", samples, 0)
    platforms, studies = several("platforms", platforms, "lut:table=note10"), several("studies", studies, "NAME")
    constraints = several("constraints", constraints, "latency<=20ms")
    brief = effort not in (None, THOROUGH)
    final_front = 0 if brief else None
    begun = datetime.now(tz=UTC).isoformat(timespec="seconds")
    done = [load(_needed(store), study, net) if isinstance(study, str) else study for study in studies]
    check_studies(net, done)
    where, found = places_of(platforms, done)
    places = list(where)
    spec = quality or quality_of(done)
    rng = np.random.default_rng(seed)
    with Sources(net, quality_spec=spec, store=store, quality_options=quality_options) as sources:
        if not done and not any(one.runs for one in where.values()) and all_tabulated(places):
            reading = partial(Sources, net, quality_spec=spec, quality_options=quality_options)
            X, rows = _from_tables(net, places, sources.quality, reading, constraints)
            limits = {"constraints": list(constraints)} if constraints else {}
            known = {"seed": seed, "tables": "every sub-network that all of them have", **limits}
            return _analysed(net, X, rows, rng, settings=known)
        check_files(found, where, sources.quality)
        notify = _Notifier(progress, steps=2 * len(places) - len(done))
        for place in places:
            if place not in found:
                found[place] = continued(
                    net, where[place], store, "transfer", quality=spec, quality_options=quality_options,
                    algorithm=algorithm, evals=evals, seed=seed, preset=preset, settings=settings,
                    constraints=constraints, protocol=protocol, wait_s=wait_s, final_front=final_front,
                    progress=notify.begin("search", place),
                )  # fmt: skip
                check_files({place: found[place]}, where, sources.quality)
        ordered = [found[place] for place in places]
        notes = {place: not_recorded(study, where[place], sources.quality) for place, study in found.items()}
        own = [study for study in ordered if all(study is not one for one in done)]
        X = shared(net, ordered, samples, rng)
        serving = serving_from(store, own, begun, fresh=fresh, brief=brief)
        measured, environments = everywhere(
            net, where, X, partial(notify.begin, "measure"),
            store=store, protocol=protocol, effort=effort, wait_s=wait_s, **serving,
        )  # fmt: skip
        rows = _rows(net, where, X, measured, sources.quality, _members(net.space.keys(X), ordered))
    return _analysed(
        net, X, rows, rng,
        settings={
            "algorithm": algorithm, "evals": evals, "seed": seed, "preset": preset, "constraints": list(constraints),
            "samples": samples, "fresh": fresh, **_asked(protocol), **({"effort": effort} if effort else {}),
        },
        searches=[_summary(study, notes[place]) for place, study in zip(places, ordered, strict=True)],
        environment=merged(environments),
    )  # fmt: skip


def _asked(protocol: Given) -> dict[str, Any]:
    found = asked_of(protocol)
    return {"protocol": found} if found else {}


def _analysed(
    net: SuperNetwork, X: IntArray, rows: SharedRows, rng: np.random.Generator, **more: Any
) -> TransferResult:
    """Analyse the rows, with what needs the search space too: effects of choices, and adaptation."""
    space = net.space
    by_stage = EffectModel(space, X, by_stage=True) if enough_for_stages(space, len(X)) else None
    found = adapting(space, X, rows.latency_s, rng)
    return analyse(rows, rng, effects=EffectModel(space, X), stage_effects=by_stage, adapting=found, **more)


def _from_tables(
    net: SuperNetwork,
    places: Sequence[str],
    quality: Quality,
    reading: Callable[..., Sources],
    constraints: Sequence[str],
) -> tuple[IntArray, SharedRows]:
    """Return the sub-networks that every table has, and what is known of them; fronts are of those within limits."""
    X, latency_s = in_every_table(net, places)
    value = qualities(quality, X)
    within = np.ones(latency_s.shape, dtype=bool)
    for column, place in enumerate(places if constraints else ()):
        with reading(platform=place) as sources:
            within[:, column] = allowed(sources, constraints, X, value)
    unknown, none = np.full(latency_s.shape, np.nan), ("",) * len(places)
    rows = SharedRows(
        supernet=net.name,
        platforms=tuple(places),
        keys=tuple(net.space.keys(X)),
        configs=tuple(net.space.decode(X)),
        quality=value,
        label=_label(quality),
        latency_s=latency_s,
        low_s=unknown,
        high_s=unknown,
        status=(("ok",) * len(places),) * len(X),
        reasons=(none,) * len(X),
        fronts=fronts(latency_s, -value if quality.maximise else value, within),
    )
    return X, rows


def shared(net: SuperNetwork, studies: Sequence[Study], samples: int, rng: np.random.Generator) -> IntArray:
    """Return the sub-networks to measure everywhere, ``(n, n_var)``, each once.

    All fronts, the smallest and the largest sub-network, and ``samples`` others: first those that every search has
    evaluated, for they are measured already (searches of one seed begin with the same ones), then random ones.
    """
    space = net.space
    fronts = [one for study in studies for one in study.front]
    ends = np.vstack([_vectors(space, fronts), space.smallest(), space.largest()])
    needed = _once(space.canonical(ends))
    everywhere = [one for one in studies[0].archive if all(one.key in study.archive for study in studies[1:])]
    known = _once(np.vstack([needed, _vectors(space, [one for one in everywhere if one.status != "failed"])]))
    X = known[: len(needed) + samples]
    fresh = sample_unseen(space, len(needed) + samples - len(X), rng, set(row_keys(X)))
    return np.vstack([X, fresh])


def _vectors(space: SearchSpace, evaluations: Sequence[Evaluation]) -> IntArray:
    return np.array([one.vector for one in evaluations], dtype=np.int64).reshape(len(evaluations), space.n_var)


def _once(X: IntArray) -> IntArray:
    """Return each row where it comes first."""
    return X[unseen_rows(X, ())]


class _Notifier:
    def __init__(self, progress: Report | None, steps: int) -> None:
        self._progress = progress
        self._steps = steps
        self._step = 0

    def begin(self, phase: str, platform: str) -> Callable[[Any], None]:
        """Report that a step begins; return what passes on the step's own events."""
        self._step += 1
        step = self._step

        def notify(event: Any) -> None:
            if self._progress is not None:
                self._progress(TransferProgress(phase, platform, step, self._steps, event))

        notify(None)
        return notify


def _rows(
    net: SuperNetwork,
    places: Mapping[str, Platform],
    X: IntArray,
    measured: Sequence[Sequence[Measurement]],
    quality: Quality,
    fronts: BoolArray,
) -> SharedRows:
    by_row = list(zip(*measured, strict=True))
    bounds = np.array([[one.interval for one in row] for row in by_row]).reshape(len(X), len(places), 2)
    # A table's value has itself for bounds: that is no interval.
    bounds[bounds[..., 0] == bounds[..., 1]] = np.nan
    return SharedRows(
        supernet=net.name,
        platforms=tuple(places),
        keys=tuple(net.space.keys(X)),
        configs=tuple(net.space.decode(X)),
        quality=qualities(quality, X),
        label=_label(quality),
        latency_s=np.array([[one.latency_s for one in row] for row in by_row]),
        low_s=bounds[..., 0],
        high_s=bounds[..., 1],
        status=tuple(tuple(one.status for one in row) for row in by_row),
        reasons=tuple(tuple(one.reason for one in row) for row in by_row),
        fronts=fronts,
        noise=Noise.of_measurements(measured),
        loaded=np.array([[one.load is not None for one in row] for row in by_row], dtype=bool),
        effort=_least_effort(measured),
        stages=stage_rows(net, list(places.values()), X, measured),
    )


def _least_effort(measured: Sequence[Sequence[Measurement]]) -> str | None:
    """Return the least effort with which one was measured; ``None`` where nothing was."""
    levels = [one.protocol.effort for column in measured for one in column if one.protocol is not None]
    return min(levels, key=EFFORTS.index, default=None)


def _label(quality: Quality) -> QualityLabel:
    return QualityLabel(quality.name, quality.metric, quality.unit, quality.maximise, quality.predicted, quality.note)


def _members(keys: Sequence[str], studies: Sequence[Study]) -> BoolArray:
    """Tell which rows are on which study's front, ``(n_rows, n_platforms)``."""
    fronts = [{one.key for one in study.front} for study in studies]
    return np.array([[key in front for front in fronts] for key in keys], dtype=bool)


def _needed(store: Store | None) -> Store:
    if store is None:
        raise UsageError("studies by name: expected a store that has them")
    return store


def _summary(study: Study, note: str) -> dict[str, Any]:
    return {
        "platform": study.platform,
        "study": study.name,
        "algorithm": study.algorithm,
        "evaluations": len(study.archive),
        "front": len(study.front),
        "seconds": round(study.time_s["total"], 1),
        **({"note": note} if note else {}),
    }
