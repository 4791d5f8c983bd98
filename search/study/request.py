"""What was asked for of a search, as a caller gives it or as a study's settings have it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hwnas.supernets.given import as_int, plain, several


@dataclass(frozen=True)
class Request:
    """What decides which sub-networks a search evaluates, beside the super-network, the platform and the quality.

    Attributes:
        algorithm: its name.
        seed: of all randomness.
        objectives: names, or those that the caller evaluates, see ``hwnas.search.study.own``; ``None``: latency and the
            quality.
        constraints: like "latency<=20ms".
        preset: named settings of the algorithm.
        settings: the algorithm's own settings.
        reference: where hypervolume is measured from, by objective, in its unit; ``None``: the default.
        warm_start: the name of the study that the search starts from.
        initial: the keys of the sub-networks that are evaluated first.
        transfer_from: where latencies are known already, and from studies other objectives too, from which their
            predictors start: one source, or several.
        transfer_known: what "known" among them stood for when the study that is resumed began; ``None``: a new one.
        transfer_until: where they ended in the store for the study that is resumed; see
            ``hwnas.search.study.origins.until_of``.

    Raises:
        UsageError: the seed is no whole number, or objectives or constraints are no list.
    """

    algorithm: str
    seed: int
    objectives: Sequence[str] | None = None
    constraints: Sequence[str] = ()
    preset: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    reference: Mapping[str, float] | None = None
    warm_start: str | None = None
    initial: tuple[str, ...] = ()
    transfer_from: str | list[str] | None = None
    transfer_known: Sequence[Mapping[str, Any]] | None = None
    transfer_until: Any = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", as_int("seed", self.seed))
        for name in ("settings", "reference"):
            object.__setattr__(self, name, plain(getattr(self, name)))
        if self.objectives is not None:
            object.__setattr__(self, "objectives", several("objectives", self.objectives, "latency"))
        object.__setattr__(self, "constraints", several("constraints", self.constraints, "latency<=20ms"))
