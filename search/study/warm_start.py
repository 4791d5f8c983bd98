"""The study whose front a search evaluates first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hwnas.search.study.request import Request
from hwnas.search.study.result import Study
from hwnas.search.study.stored import load
from hwnas.supernets.errors import UsageError
from hwnas.supernets.supernet import SuperNetwork

if TYPE_CHECKING:
    from hwnas.harness.store import Store


@dataclass(frozen=True)
class WarmStart:
    """The study that a search starts from.

    Attributes:
        given: the study, or its name in the store; ``None``: there is none.
        store: has it, if it is given by its name.
        net: the super-network of the search.
    """

    given: Study | str | None
    store: Store | None
    net: SuperNetwork

    @property
    def name(self) -> str | None:
        """The study's name."""
        return self.given.name if isinstance(self.given, Study) else self.given

    def put_into(self, request: Request, begun: Mapping[str, Any]) -> Request:
        """Return a request that evaluates the study's front first.

        Args:
            request: without it.
            begun: the settings of the study that is resumed, which keeps what it was begun with; empty: a new one.

        Raises:
            UsageError: the study is not in the store, or of another super-network.
        """
        if self.given is None:
            return request
        if begun.get("warm_start") == self.name:
            return replace(request, warm_start=self.name, initial=tuple(begun["initial"]))
        study = self._study(self.given)
        if study.supernet != self.net.name:
            raise UsageError(
                f"warm start from {study.name!r}: it searched {study.supernet}, this search is of {self.net.name}"
            )
        keys = _initial(study)
        for key in keys:
            self.net.space.from_key(key)
        return replace(request, warm_start=study.name, initial=keys)

    def _study(self, given: Study | str) -> Study:
        if isinstance(given, Study):
            return given
        if self.store is None:
            raise UsageError(f"warm start from {given!r}: expected a store that has the study")
        return load(self.store, given, self.net)

    def moved_on(self, begun: Mapping[str, Any]) -> list[str]:
        """Say whether the study that a resumed one was begun from has another front by now.

        Args:
            begun: the settings of the study that is resumed, which keeps the front of then; empty: a new one.
        """
        if self.given is None or begun.get("warm_start") != self.name:
            return []
        keeps = "the search goes on from the front that it was begun with"
        study = self.given
        if isinstance(study, str):
            if self.store is None or self.store.study(study) is None:
                return [f"warm start from {self.name!r}: the study is no more in the store; {keeps}"]
            study = load(self.store, study)
        if list(_initial(study)) == list(begun["initial"]):
            return []
        now = f"of {len(study.archive)} evaluations"
        return [f"warm start from {self.name!r}: its front is another by now, {now}; {keeps}"]


def _initial(study: Study) -> tuple[str, ...]:
    """Return what a search that starts from a study evaluates first: its front, in the order of its evaluation."""
    return tuple(study.archive[index].key for index in study.archive.front)
