"""What one search starts its predictors from, as it was asked for or as its study has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from hwnas.search.algorithm import Evaluated, Known
from hwnas.search.objectives import Objective, Sources
from hwnas.search.study.known import Here, everything
from hwnas.search.study.origins import (
    KNOWN,
    Origin,
    contents_of,
    evaluated_by_all,
    listed,
    named,
    origins,
    prior_of_all,
    until_of,
)
from hwnas.search.study.prior import carries_over
from hwnas.search.study.same import WHENCE
from hwnas.supernets.contents import Content
from hwnas.supernets.errors import UsageError
from hwnas.supernets.values import is_time


class TransferFrom:
    """The sources of one search: of latencies elsewhere, and of other objectives that are the same everywhere.

    Args:
        given: their names, as a study's settings have them; ``None``: there are none.
        known: what "known" among them stood for when the study that is resumed began; ``None``: a new one.
        until: where they ended in the store for the study that is resumed; see ``origins.until_of``.
        sources: what the search reads from.
        objectives: of the search.
    """

    def __init__(
        self,
        given: str | list[str] | None,
        known: Sequence[Mapping[str, Any]] | None,
        until: Any,
        sources: Sources,
        objectives: Sequence[Objective],
    ) -> None:
        self._given, self._known_then, self._until, self._sources = given, known, until, sources
        self._times = [one for one in objectives if is_time(one.unit)]
        self._others = [one for one in objectives if carries_over(one)]

    @cached_property
    def origins(self) -> tuple[Origin, ...]:
        """The sources, as far as the search starts from them."""
        return origins(self._sources.net, named(self._given), self._known, self._sources.store, self._until)

    @cached_property
    def prior(self) -> Known | None:
        """What is known of latency from elsewhere."""
        return prior_of_all(self._sources.net, self.origins, self._others)

    def evaluated(self, objective: Objective) -> Evaluated | None:
        """Return what sources have found of an objective of the search; ``None``: too little."""
        return evaluated_by_all(self.origins, objective, self._sources.net.space)

    @cached_property
    def described(self) -> tuple[str, ...]:
        """Each source, and how much it knows."""
        return tuple(one.described(self._others) for one in self.origins)

    @property
    def contents(self) -> dict[str, Content]:
        """What the files hold that it reads, and what was observed, by role."""
        return contents_of(self.origins, WHENCE)

    def settings(self) -> dict[str, Any]:
        """Return where what was observed elsewhere ends, and what "known" stands for; nothing where nothing is."""
        ends = until_of(self.origins, bool(self._known))
        until = {} if ends is None else {"transfer_until": ends}
        return {**until, **({"transfer_known": [dict(one) for one in self._known]} if self._known else {})}

    def check(self, all_predicted: bool = False) -> None:
        """Raise ``UsageError`` where there are sources, and nothing to predict from what they know.

        Args:
            all_predicted: the algorithm predicts what is known exactly too.
        """
        if self._given is None or any(one.of(other) for one in self.origins for other in self._others):
            return
        asked = "transfer from " + ", ".join(map(repr, listed(self._given)))
        if not self._times:
            raise UsageError(f"{asked}: latency is no objective of this search, so it serves nothing; leave it out")
        if all(one.exact for one in self._times) and not all_predicted:
            raise UsageError(
                f"{asked}: there is nothing to transfer, {self._sources.where} knows the latencies; leave it out"
            )

    @cached_property
    def _known(self) -> Sequence[Mapping[str, Any]]:
        """What "known" stands for, where it is asked for."""
        if KNOWN not in listed(self._given):
            return ()
        if self._known_then is not None:
            return self._known_then
        sources, here = self._sources, None
        if sources.platform is not None:
            here = Here(str(sources.where), sources.where.settings.contents, sources.measurer.fingerprint)
        return everything(sources.net, sources.store, here, named(self._given), self._others)
