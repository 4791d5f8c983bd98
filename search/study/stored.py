"""Studies as the store has them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from hwnas.harness.measurement.measurement import Measurement
from hwnas.harness.store import decoded
from hwnas.search.objectives import Directions
from hwnas.search.study.archive import Archive, Evaluation
from hwnas.search.study.final import FinalFront
from hwnas.search.study.models import in_snapshot
from hwnas.search.study.result import Study
from hwnas.search.study.snapshots import FINAL, extend, lasting
from hwnas.supernets.errors import ConfigError, UnknownNameError
from hwnas.supernets.space import IntArray, SearchSpace
from hwnas.supernets.supernet import SuperNetwork

if TYPE_CHECKING:
    from hwnas.harness.store import Store, StudyRecord


@dataclass(frozen=True)
class Snapshot:
    """A study in the moment before its algorithm is asked: what it goes on from when it is resumed.

    It stays true whatever is evaluated after it: that belongs to what was under way, and to what is asked for next.

    Attributes:
        evaluations: how many the archive had.
        under_way: what was asked for and had not arrived: batches, ``(k, n_var)`` each, in the order of their asking.
        state: the algorithm's, see ``hwnas.search.algorithm.Restorable``.
    """

    evaluations: int
    under_way: tuple[IntArray, ...]
    state: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        batches = [X.tolist() for X in self.under_way]
        return {"evaluations": self.evaluations, "under_way": batches, "state": self.state}

    @classmethod
    def from_json(cls, record: Mapping[str, Any], space: SearchSpace) -> Self:
        """Return what ``to_json`` wrote; raises one of ``UNREADABLE`` (``hwnas.search.algorithm``) where it is not."""
        batches = (np.asarray(batch, dtype=np.int64).reshape(-1, space.n_var) for batch in record["under_way"])
        return cls(int(record["evaluations"]), tuple(space.canonical(X) for X in batches), record["state"])

    def fits(self, kept: Sequence[Evaluation], evals: int) -> bool:
        """Tell whether it is of the study with these evaluations, and a search for so many comes past it."""
        n = self.evaluations
        if not 0 < n <= len(kept) or n + sum(len(X) for X in self.under_way) > evals:
            return False
        return n == len(kept) or kept[n - 1].iteration != kept[n].iteration


@dataclass(frozen=True)
class StudyCheckpoint:
    """What is stored of a study under way, and how more of it is stored; by default nothing is.

    Attributes:
        evaluations: what there is already.
        snapshot: the latest, as JSON values; ``None``: there is none.
        put: stores evaluations; they are safe when it returns.
        save: stores a snapshot in place of the latest. What was found when the study had ended stays as long as the
            snapshot is of evaluations that there are already; it is of no use once there are more.
        final: what was measured again of the study when it had ended; ``None``: nothing yet.
        conclude: stores a final front.
        models: fixed models that were measured beside the study's front.
    """

    evaluations: Sequence[Evaluation] = ()
    snapshot: Any = None
    put: Callable[[Sequence[Evaluation]], None] = lambda _: None
    save: Callable[[Mapping[str, Any]], None] = lambda _: None
    final: FinalFront | None = None
    conclude: Callable[[FinalFront], None] = lambda _: None
    models: tuple[Measurement, ...] = ()


def checkpoint_of(store: Store, record: StudyRecord, net: SuperNetwork) -> StudyCheckpoint:
    """Return what the store has of a study, and how to keep more; raises ``StoreError`` where it is damaged."""

    def put(evaluations: Sequence[Evaluation]) -> None:
        store.add_evaluations(record, evaluations[0].index, [one.to_json() for one in evaluations])

    def conclude(final: FinalFront) -> None:
        extend(store, record, **{FINAL: final.to_json()})

    # The snapshot first: whatever writes beside this keeps evaluations before the snapshot that counts them.
    snapshot = store.snapshot(record)
    whole = _whole(store, record, net)

    def save(latest: Mapping[str, Any]) -> None:
        # A study that has ended is asked for its last batch again when it is resumed: it does not go on by that.
        more = latest["evaluations"] - len(whole.evaluations)
        store.put_snapshot(record, {**latest, **lasting(snapshot, more)})

    final, models = _final(store, record, whole, snapshot), _models(store, record, snapshot)
    return StudyCheckpoint(whole.evaluations, snapshot, put, save, final, conclude, models)


def load(store: Store, name: str, net: SuperNetwork | None = None) -> Study:
    """Return the study called ``name`` as the store has it.

    Args:
        store: has it.
        name: its name.
        net: whose sub-networks its evaluations have to be, where it is of that super-network; ``None``: that is not
            looked at.

    Raises:
        UnknownNameError: there is none; the message suggests the nearest.
        StoreError: it is there, but damaged.
    """
    record = record_of(store, name)
    snapshot = store.snapshot(record)
    whole = replace(_whole(store, record, net), models=_models(store, record, snapshot))
    final = _final(store, record, whole, snapshot)
    if final is None:
        return whole
    with understood(store, name):
        return whole.concluded(final).checked()


def _final(store: Store, record: StudyRecord, study: Study, snapshot: Any) -> FinalFront | None:
    """Return the final front in a snapshot of a study; ``None``: there is none, or the study has gone on since."""
    if not isinstance(snapshot, Mapping) or FINAL not in snapshot:
        return None
    with understood(store, record.name):
        final = FinalFront.from_json(snapshot[FINAL])
        return final if final.of(study.archive) else None


def _models(store: Store, record: StudyRecord, snapshot: Any) -> tuple[Measurement, ...]:
    with understood(store, record.name):
        return in_snapshot(snapshot)


def _whole(store: Store, record: StudyRecord, net: SuperNetwork | None) -> Study:
    evaluations = store.evaluations(record)
    with understood(store, record.name):
        study = _study(record, evaluations)
    if net is not None:
        check_networks(store, study, net)
    return study


def check_networks(store: Store, study: Study, net: SuperNetwork) -> None:
    """Raise ``StoreError`` where an evaluation is of no sub-network of the study's super-network, or of another."""
    if net.name == study.supernet:
        with understood(store, study.name):
            _check_networks(study, net.space)


def understood(store: Store, name: str) -> AbstractContextManager[None]:
    """Name the store and the study where its records are not what they should be: ``StoreError``."""
    return decoded(store.name, f"the study {name!r}")


def _check_networks(study: Study, space: SearchSpace) -> None:
    """Raise ``ValueError`` where an evaluation is of no sub-network of the space, or what it began with is none."""
    for number, key in enumerate(study.settings.get("initial", ()), 1):
        with _saying(f"initial, {number}"):
            space.from_key(key)
    if study.evaluations and not _agree(study.evaluations, space):
        for one in study.evaluations:
            with _saying(f"evaluation {one.index}"):
                space.from_key(one.key)
                if not _agree([one], space):
                    raise ValueError(f"its config is another sub-network than its key, {one.key!r}, names")


def _agree(evaluations: Sequence[Evaluation], space: SearchSpace) -> bool:
    """Tell whether the keys of evaluations name what their configs say; a config that is none does not agree."""
    try:
        X = space.canonical(space.encode([one.config for one in evaluations]))
    except ConfigError:
        return False
    return space.keys(X) == [one.key for one in evaluations]


@contextmanager
def _saying(what: str) -> Iterator[None]:
    try:
        yield
    except (ConfigError, ValueError) as error:
        raise ValueError(f"{what}: {error}") from None


def _study(record: StudyRecord, evaluations: Sequence[Mapping[str, Any]]) -> Study:
    settings, facts = record.settings["search"], record.settings["facts"]
    labels = settings["objectives"]
    archive = Archive([one["name"] for one in labels], Directions([one["maximise"] for one in labels]))
    archive.add([Evaluation.from_json(evaluation) for evaluation in evaluations])
    last = archive[len(archive) - 1] if len(archive) else None
    spent = (last.measure_s, last.search_s, last.total_s) if last else (0.0, 0.0, 0.0)
    time_s = dict(zip(("measure", "search", "total"), spent, strict=True))
    return Study(record.name, settings, facts, archive, time_s).checked()


def record_of(store: Store, name: str, net: SuperNetwork | None = None) -> StudyRecord:
    """Return what the store knows of the study ``name``, without its evaluations; see ``load``."""
    record = store.study(name)
    if record is None:
        raise UnknownNameError("study", name, (known.name for known in store.studies()))
    if net is not None:
        with understood(store, name):
            study = _study(record, ())
        check_networks(store, study, net)
    return record
