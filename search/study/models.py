"""Fixed models that a search is seen beside: measured when it has ended, and kept with its study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hwnas.harness.measurement.measurement import Measurement
from hwnas.search.study.snapshots import MODELS, extend

if TYPE_CHECKING:
    from hwnas.harness.bench.progress import OnProgress
    from hwnas.harness.bench.side_by_side import SideBySide
    from hwnas.harness.measurement.request import Given
    from hwnas.harness.platform import Platform
    from hwnas.harness.store import Store
    from hwnas.search.study.result import Study


def measure_models(
    study: Study,
    models: SideBySide,
    platform: Platform | str,
    store: Store | None,
    *,
    protocol: Given = None,
    wait_s: float | None = 0.0,
    progress: OnProgress | None = None,
) -> Study:
    """Measure fixed models thoroughly and side by side, and return a study with them beside its front.

    Args:
        study: it may have some models already; those of the same names are replaced.
        models: the models, without sub-networks.
        platform: to measure them on.
        store: has the study; the measurements are stored there too. ``None``: nothing is kept.
        protocol: what is asked of the timing protocol, see ``hwnas.harness.measure.Measurer``.
        wait_s: how long to wait where other programs keep the CPUs busy; see there.
        progress: is called with a ``MeasuringProgress`` now and then.
    """
    from hwnas.harness.measure import Measurer

    # The measurer stores nothing: ``SideBySide`` stores what is measured under the models' own names.
    with Measurer(models.net, platform, store=None, protocol=protocol, wait_s=wait_s, progress=progress) as measurer:
        return _with_models(study, models.measure(measurer.measure, store), store)


def _with_models(study: Study, measured: Sequence[Measurement], store: Store | None) -> Study:
    """Return a study with fixed models beside its front, and keep them with it.

    Args:
        study: it may have some already; those of the same names are replaced.
        measured: of the models.
        store: has the study; ``None``: nothing is kept.
    """
    by_name = {one.key: one for one in (*study.models, *measured)}
    found = replace(study, models=tuple(by_name.values()))
    record = None if store is None else store.study(study.name)
    if store is not None and record is not None:
        extend(store, record, **{MODELS: [one.to_record() for one in found.models]})
    return found


def in_snapshot(snapshot: Any) -> tuple[Measurement, ...]:
    """Return the models that a study's snapshot has; none where it has none.

    Raises:
        StoreError: one is damaged.
        TypeError: the form is another.
    """
    if not isinstance(snapshot, Mapping) or MODELS not in snapshot:
        return ()
    if not isinstance(snapshot[MODELS], list):
        raise TypeError(f"{MODELS}: expected a list")
    return tuple(Measurement.from_record(one) for one in snapshot[MODELS])
