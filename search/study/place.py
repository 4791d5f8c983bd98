"""The place of a study in the store: a new one, or that of the study which is resumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from hwnas.search.study.plan import Plan
from hwnas.search.study.same import check_same
from hwnas.search.study.stored import StudyCheckpoint, checkpoint_of, record_of
from hwnas.supernets.errors import UsageError
from hwnas.supernets.names import check_name
from hwnas.supernets.shown import counted
from hwnas.supernets.supernet import SuperNetwork

if TYPE_CHECKING:
    from hwnas.harness.store import Store, StudyRecord


class Placed(NamedTuple):
    """A study that has its place.

    Attributes:
        name: the study's.
        settings: see ``hwnas.search.study.plan.Plan.settings``.
        facts: see ``hwnas.search.study.plan.Plan.facts``; of a study that is resumed, those it was begun with.
        checkpoint: what the store has of it already, and how to store more.
    """

    name: str
    settings: Mapping[str, Any]
    facts: Mapping[str, Any]
    checkpoint: StudyCheckpoint


class Place:
    """Where a study is stored.

    Args:
        store: keeps it; ``None``: nothing does.
        name: the study's; ``None``: a fresh one.
        resume: go on with the study of that name.
        evals: the most evaluations there may be, those that are there already among them.
        net: the super-network.

    Raises:
        UsageError: the study is there already, or is to be resumed and is not, or cannot be called so.
    """

    def __init__(self, store: Store | None, name: str | None, resume: bool, evals: int, net: SuperNetwork) -> None:
        if evals < 1:
            raise UsageError(f"evals: expected at least 1 evaluation, got {evals}")
        if name is not None and not resume:
            check_name("study", name)
        if resume and (store is None or name is None):
            raise UsageError("resume: expected a store and the name of the study to go on with (--study NAME --resume)")
        self._store = store
        self._name = name
        self._evals = evals
        self._net = net
        self._record = self._found(resume)

    def _found(self, resume: bool) -> StudyRecord | None:
        """Return the study to resume, or ``None``; it is looked for before anything else takes time."""
        if self._store is None or self._name is None:
            return None
        if resume:
            record = record_of(self._store, self._name, self._net)
            if record.evaluations > self._evals:
                there_are = counted(record.evaluations, "evaluation")
                raise UsageError(
                    f"study {self._name!r} has {there_are} already; expected at least as many as evals, "
                    f"got {self._evals}"
                )
            return record
        there = self._store.study(self._name)
        if there is not None:
            raise UsageError(
                f"there is a study {self._name!r} already, with {counted(there.evaluations, 'evaluation')}: "
                "go on with it by --resume (resume=True), or choose another name"
            )
        return None

    @property
    def since(self) -> str | None:
        """When the study to resume was begun: what was measured for it since then is not measured again."""
        return None if self._record is None else self._record.created_at

    @property
    def begun(self) -> Mapping[str, Any]:
        """The settings that the study to resume was begun with; empty for a new one."""
        settings: Mapping[str, Any] = {} if self._record is None else self._record.settings["search"]
        return settings

    def take(self, plan: Plan, settings: Mapping[str, Any], remarks: Sequence[str] = ()) -> Placed:
        """Compare with the study that is resumed, or create it in the store.

        Args:
            plan: of the search.
            settings: the plan's, and what else decides about evaluations.
            remarks: on how the study is resumed.

        Raises:
            UsageError: the study was begun with other settings.
        """
        store, facts = self._store, plan.facts()
        if self._record is not None:
            unknown = check_same(self._record, settings, (*plan.objectives, *plan.limited))
            begun = self._record.settings["facts"]
            facts = {**begun, "remarks": [*begun.get("remarks", []), *unknown, *remarks]}
        prefix = f"{settings['supernet'].partition(':')[0]}-{settings['algorithm']}"
        if store is None:
            return Placed(self._name or f"{prefix}-1", settings, facts, StudyCheckpoint())
        record = self._record or store.create_study(self._name, {"search": settings, "facts": facts}, prefix=prefix)
        return Placed(record.name, settings, facts, checkpoint_of(store, record, self._net))
