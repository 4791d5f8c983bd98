"""What objectives read from: the platform, the quality source, and what measures."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from hwnas.harness.measurement.protocol import QUICK
from hwnas.supernets.contents import Content
from hwnas.supernets.errors import UsageError
from hwnas.supernets.supernet import SuperNetwork

if TYPE_CHECKING:
    from hwnas.harness.measure import Measurer
    from hwnas.harness.measurement.request import Given
    from hwnas.harness.platform import Platform
    from hwnas.harness.quality import Quality, QualityChoice, QualityOptions
    from hwnas.harness.store import Store


class Used(NamedTuple):
    """What of ``Sources`` was asked for; ``None``: was not.

    Attributes:
        platform: its files known by what they hold.
        quality: the source.
    """

    platform: Platform | None
    quality: Quality | None


@dataclass
class Sources:
    """What objectives read from; a context manager that releases what was opened.

    Attributes:
        net: the super-network.
        platform: where latency is known or measured; ``None``: nowhere.
        quality_spec: the quality source, or a function; ``None``: the super-network's own source.
        store: where measurements are stored and looked up; ``None``: nowhere.
        progress: is given the measurer's progress events; ``None``: nothing is.
        quality_options: for a quality source that runs sub-networks: which weights, on how much of the data.
        since: what was measured since then (ISO 8601, UTC) is not measured again; see
            ``hwnas.harness.measure.Measurer``.
        older: use stored measurements from before ``since`` at all; see ``Measurer``.
        protocol: what is asked of the timing protocol; see ``Measurer``.
        wait_s: how long to wait where other programs keep the CPUs busy; see ``Measurer``.
        effort: of measuring: "quick", "normal" or "thorough"; ``None``: thorough. A quick one evaluates the quality on
            a part of the examples, where its source says how many are enough.
        shared: what objectives of one search share, by a name that they agree on.
    """

    net: SuperNetwork
    platform: Platform | str | None = None
    quality_spec: QualityChoice | None = None
    _: KW_ONLY
    store: Store | None = None
    progress: Callable[[Any], None] | None = None
    since: str | None = None
    older: bool = True
    quality_options: QualityOptions | None = None
    protocol: Given = None
    wait_s: float | None = 0.0
    effort: str | None = None
    shared: dict[str, Any] = field(default_factory=dict, repr=False)
    _opened: ExitStack = field(default_factory=ExitStack, repr=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._opened.close()

    @cached_property
    def where(self) -> Platform:
        """The platform, parsed, its files known by what they hold; raises ``UsageError`` where none is given."""
        from hwnas.harness.pinned import pinned
        from hwnas.harness.platform import parse

        if self.platform is None:
            raise UsageError(
                "latency needs a platform (-p): expected one like onnxruntime:threads=1 or lut:table=note10"
            )
        where = parse(self.platform) if isinstance(self.platform, str) else self.platform
        if not hasattr(where, "settings"):
            raise UsageError(f"platform: expected one, like onnxruntime:threads=1, got a {type(where).__name__}")
        return pinned(where)

    @cached_property
    def quality(self) -> Quality:
        """The quality source; raises ``QualityError`` where it does not serve the super-network."""
        from hwnas.harness import quality
        from hwnas.harness.quality.quality import EvaluatesElsewhere

        options = self.quality_options or quality.QualityOptions()
        if self.brief_quality:
            options = replace(options, subset=quality.brief_subset(self.quality_spec, self.net))
        found = quality.get(self.quality_spec, self.net, replace(options, store=self.store, progress=self.progress))
        if not isinstance(self.platform, EvaluatesElsewhere) or found.costs_nothing:
            return found
        spec = self.quality_spec if isinstance(self.quality_spec, str) else self.net.default_quality
        elsewhere = self.platform.evaluating(found, spec)
        if elsewhere is not found:
            self._opened.callback(getattr(elsewhere, "close", lambda: None))
        return elsewhere

    @property
    def brief_quality(self) -> bool:
        """Whether the quality is evaluated on a part of its examples, which is enough while a search goes on."""
        from hwnas.harness import quality

        given = self.quality_options is not None and self.quality_options.subset is not None
        return self.effort == QUICK and not given and bool(quality.brief_subset(self.quality_spec, self.net))

    @property
    def used(self) -> Used:
        """What was asked for already: a search that needs no latency may name no platform, or no quality."""
        made = vars(self)
        return Used(made.get("where"), made.get("quality"))

    @property
    def contents(self) -> dict[str, Content]:
        """What the files hold that the platform and the quality source read, as far as these were asked for."""
        from hwnas.harness.pinned import contents

        used = self.used
        found = {} if used.platform is None else contents(used.platform)
        return {**found, **getattr(used.quality, "contents", {})}

    @property
    def timings(self) -> dict[str, float]:
        """Where the time of measuring has gone, in seconds, by phase; empty where nothing was measured."""
        return self.measurer.timings if "measurer" in vars(self) else {}

    @cached_property
    def measurer(self) -> Measurer:
        """The measurer on the platform, started; the exit closes it."""
        from hwnas.harness.measure import Measurer

        made = Measurer(
            self.net,
            self.where,
            store=self.store,
            progress=self.progress,
            since=self.since,
            older=self.older,
            protocol=self.protocol,
            wait_s=self.wait_s,
            effort=self.effort,
        )
        return self._opened.enter_context(made)
