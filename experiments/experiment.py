"""Read experiment files, and list the shipped ones. ``docs/experiments.md`` describes the format."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from hwnas.experiments import kinds
from hwnas.experiments.naming import check_experiment
from hwnas.experiments.parts import digest
from hwnas.experiments.reading import merged, read
from hwnas.supernets.documents import parse_toml, read_text
from hwnas.supernets.errors import UnknownNameError, UsageError

# From the quickest to the paper's own. "full" is the file as it stands; the others are sections in it that override.
SCALES = ("smoke", "small", "full")
_ENDING = ".toml"
# Options that were added after experiments had been run, ``None`` where they are not asked for: what was run without
# them was decided by the same settings.
_LATER = frozenset({"searched", "stands_in"})


@dataclass(frozen=True)
class Head:
    """What every experiment file says first.

    Attributes:
        title: of the page.
        paper: which figure or table it is ("Figure 5"); empty for experiments of one's own.
        shows: one sentence on what there is to be seen.
        kind: a module of ``hwnas.experiments.kinds``.
        published: the file of ``hwnas.experiments.published`` to compare with; empty: none.
    """

    title: str
    kind: str
    paper: str = ""
    shows: str = ""
    published: str = ""


@dataclass(frozen=True)
class Experiment:
    """An experiment at one scale.

    Attributes:
        name: of its file, without the ending.
        scale: one of ``SCALES``.
        head: see there.
        settings: what its kind takes: that module's ``Settings``.
    """

    name: str
    scale: str
    head: Head
    settings: Any

    @property
    def kind(self) -> Any:
        """The module that runs and draws it."""
        return kinds.registry.provider(self.head.kind)

    @property
    def decided_by(self) -> str:
        """A short name of all that decides what is found: of the settings but for what is tested and drawn of it."""
        asked = asdict(self.settings, dict_factory=_asked_for)
        return digest({name: value for name, value in asked.items() if name not in {"claims", "draw"}})


def _asked_for(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the fields of settings, later options only where they are asked for; see ``_LATER``."""
    return {name: value for name, value in fields if name not in _LATER or value is not None}


def names() -> list[str]:
    """Return the names of the shipped experiments: tables, then figures in their order, then what the paper has not."""
    files = (file.name for file in _shipped().iterdir())
    return sorted((name.removesuffix(_ENDING) for name in files if name.endswith(_ENDING)), key=_order)


def shipped(name: str, scale: str = "full", over: Mapping[str, Any] | None = None) -> Experiment:
    """Read a shipped experiment; raises ``UnknownNameError`` with suggestions.

    Args:
        name: as ``names`` lists them.
        scale: one of ``SCALES``.
        over: replaces parts of the file, beyond what the scale replaces.
    """
    if name not in names():
        raise UnknownNameError("experiment", name, names())
    text = _shipped().joinpath(f"{name}{_ENDING}").read_text(encoding="utf-8")
    return parse(text, name, scale, over)


def read_file(file: str | Path, scale: str = "full") -> Experiment:
    """Read an experiment file.

    Raises:
        UsageError: it cannot be read, or says what cannot be; names the key and what is right.
    """
    path = Path(file)
    try:
        text = read_text(path)
    except (OSError, ValueError) as error:  # ValueError: no UTF-8, or a name that no file can have
        raise UsageError(f"experiment file {str(path)!r}: cannot be read: {error}") from None
    return parse(text, path.stem, scale)


def parse(text: str, name: str, scale: str = "full", over: Mapping[str, Any] | None = None) -> Experiment:
    """Read the text of an experiment file; see ``read_file``."""
    check_experiment(name)
    where = f"{name}{_ENDING}"
    check_scale(scale)
    try:
        document = parse_toml(text)
    except ValueError as error:
        raise UsageError(f"{where}: is no TOML: {error}") from None
    sections = {one: document.pop(one, {}) for one in SCALES if one != "full"}
    for one, section in sections.items():
        if not isinstance(section, dict):
            raise UsageError(f"{where}: {one}: expected a section [{one}] of what it overrides, got {section!r}")
    document = merged(document, sections.get(scale, {}), f"{where}: {scale}")
    document = merged(document, over or {}, where)
    head_keys = set(Head.__dataclass_fields__)
    head = read(Head, {key: value for key, value in document.items() if key in head_keys}, where)
    kind = kinds.registry.provider(head.kind)
    rest = {key: value for key, value in document.items() if key not in head_keys}
    with kinds.registry.at_work(head.kind):
        settings = read(kind.Settings, rest, where)
        kind.check(settings, where)
    return Experiment(name, scale, head, settings)


def check_scale(scale: str) -> None:
    """Raise ``UnknownNameError`` where there is no such scale."""
    if scale not in SCALES:
        raise UnknownNameError("scale", scale, SCALES)


def _shipped() -> Any:
    return resources.files("hwnas.experiments").joinpath("shipped")


def _order(name: str) -> tuple[int, int, str]:
    found = re.match(r"(table|fig)(\d+)", name)
    kinds_of = {"table": 0, "fig": 1}
    return (kinds_of[found[1]], int(found[2]), name) if found else (len(kinds_of), 0, name)
