"""The files that an experiment names are identified by their contents, not by their names.

Results that were computed with files that have changed since are computed again; results with files that were only
moved or renamed are reused. An experiment that names no file is identified by its text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hwnas.supernets.contents import Content, Contents, content_digest, differences
from hwnas.supernets.errors import ChangedError

if TYPE_CHECKING:
    from hwnas.harness.platform import Platform
    from hwnas.harness.quality import Quality


@dataclass(frozen=True)
class Files:
    """The files of something that an experiment names.

    Attributes:
        decisive: what decides in place of the names, by the name of the experiment's setting; JSON values.
        contents: what they hold.
    """

    decisive: dict[str, Any] = field(default_factory=dict)
    contents: Contents = field(default_factory=dict)

    def __or__(self, others: Files) -> Files:
        """Return these files and the others."""
        return Files({**self.decisive, **others.decisive}, {**self.contents, **others.contents})

    def check(self, now: Contents) -> None:
        """Raise ``ChangedError`` where what was found is not of these contents."""
        changes = differences(self.contents, now)
        if changes:
            raise ChangedError(
                f"{'; '.join(changes)}: changed while the experiment used it; values of the two are not mixed: put "
                "back what it held, or run the experiment again"
            )


def platform_files(platform: Platform | None) -> Files:
    """Return the files that a platform's options name."""
    from hwnas.harness.pinned import contents, identity, pinned

    if platform is None:
        return Files()
    where = pinned(platform)
    return Files({"platform": identity(where)}, contents(where)) if where.settings.contents else Files()


def unused(files: Files) -> Files:
    """Return what decides where files are named and nobody reads them: nothing does."""
    return Files(dict.fromkeys(files.decisive))


def quality_files(quality: Quality | None) -> Files:
    """Return the files of a quality source, the weights among them."""
    found: Contents = getattr(quality, "contents", {})
    # The weights are part of a source that has any.
    return Files({"quality": quality.source, "weights": None}, found) if quality is not None and found else Files()


def table_files(names: Sequence[str]) -> Files:
    """Return CSV files; one that cannot be read is left to whoever reads it to say so."""
    try:
        digests = [content_digest(name) for name in names]
    except (OSError, ValueError):  # ValueError: a name that no file can have
        return Files()
    found = {f"data {number}": Content(*one) for number, one in enumerate(zip(names, digests, strict=True), 1)}
    return Files({"data": digests}, found) if names else Files()
