"""The examples that an experiment fits predictors to: sub-networks with known values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from hwnas.experiments.files import Files, platform_files, quality_files, table_files
from hwnas.experiments.original import filled, is_given

if TYPE_CHECKING:
    from hwnas.search.predictors.examples import Examples
    from hwnas.supernets.supernet import SuperNetwork


@dataclass(frozen=True)
class File:
    """A published file of measured sub-networks; see ``hwnas.supernets.assets.Asset``."""

    path: str
    url: str
    sha256: str
    licence: str


@dataclass(frozen=True)
class OriginalTarget:
    """What replaces a target's stand-ins where the paper's own data are given."""

    data: tuple[str, ...]
    column: str | None = None


@dataclass(frozen=True)
class Target:
    """What is predicted; its values are from one of ``files``, ``data``, ``quality`` and ``platform``.

    Attributes:
        supernet: of whose sub-networks.
        files: published CSV files.
        data: CSV files of one's own.
        column: of the files.
        quality: a quality source that costs nothing.
        platform: one that knows its latencies.
        draw: how many random sub-networks ``quality`` or ``platform`` is asked about.
        title: on the page; empty: the name of its table.
        stands_in: what stands in for the paper's data.
        original: what to use instead where it is given.
    """

    supernet: str
    files: tuple[File, ...] = ()
    data: tuple[str, ...] = ()
    column: str = "top1"
    quality: str | None = None
    platform: str | None = None
    draw: int = 2000
    title: str = ""
    stands_in: str = ""
    original: OriginalTarget | None = None

    def resolved(self, environ: Mapping[str, str]) -> Target:
        """Return the target with the paper's own data where they are given."""
        if self.original is None or not is_given(self.original, environ):
            return self
        replaced = {"files": (), "quality": None, "platform": None, "stands_in": "", "original": None}
        return replace(self, **replaced | filled(self.original, environ))

    def files_of(self, net: SuperNetwork) -> Files:
        """Return the files that the values are from; those that are published are known by their digests."""
        from hwnas.harness import quality
        from hwnas.harness.platform import parse

        where = None if self.platform is None else parse(self.platform)
        source = None if self.quality is None else quality.get(self.quality, net)
        return platform_files(where) | quality_files(source) | table_files(self.data)

    def decisive(self, files: Files) -> dict[str, Any]:
        """Return what decides the examples, as JSON values; of its files it is what they hold."""
        named = {name: value for name, value in asdict(self).items() if name not in {"title", "stands_in", "original"}}
        return named | {name: value for name, value in files.decisive.items() if name in named}

    def examples(self, net: SuperNetwork, seed: int) -> Examples:
        """Return the sub-networks of ``net`` with their values; raises ``UsageError`` where they cannot be had."""
        from hwnas.search.predictors.examples import latency_examples, measured_examples, quality_examples

        if self.platform is not None:
            return latency_examples(net, self.platform, self.draw, seed)
        if self.quality is not None:
            return quality_examples(net, self.quality, self.draw, seed)
        return measured_examples(net, self._files(), self.column)

    def _files(self) -> list[str]:
        from hwnas.supernets.assets import Asset, locate

        published = [Asset(one.path, (one.url,), one.sha256, one.licence) for one in self.files]
        return [*self.data, *(str(locate(one)) for one in published)]
