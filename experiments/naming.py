"""Check names that an experiment's author chooses, and derive file names from them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from hwnas.supernets.errors import UsageError
from hwnas.supernets.names import unprintable

# Bytes of an experiment's name, to which a scale and an ending are added: file systems take 255.
LONGEST = 200
# Of a problem, an algorithm, a target: it stands in tables, in titles and in the names of studies.
LONGEST_WITHIN = 100
# What every file system takes as it is, even where it ignores the case of letters.
_PLAIN = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


def check_experiment(name: str) -> None:
    """Raise ``UsageError`` where no file can be called after an experiment."""
    said = _fault(name, LONGEST) or ("there is a slash in it" if "/" in name or "\\" in name else None)
    if said is not None:
        raise UsageError(
            f"the experiment {name!r}: its page, its CSV and its studies are called as its file is, and {said}; "
            "rename the file"
        )


def check_within(names: Iterable[str], where: str) -> None:
    """Raise ``UsageError`` where something in an experiment's file cannot be called so."""
    for name in names:
        said = _fault(name, LONGEST_WITHIN)
        if said is not None:
            raise UsageError(f"{where}: {name!r} is no name: {said}")


def check_distinct(names: Iterable[str]) -> None:
    """Raise ``UsageError`` where results of two experiments would be written to the same files."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.get(name.casefold())
        if other is not None:
            alike = "twice" if other == name else f"along with {other!r}, and some systems do not distinguish the two"
            raise UsageError(f"the experiment {name!r} is asked for {alike}; one's results would replace the other's")
        seen[name.casefold()] = name


def file_name(name: str) -> str:
    """Return what a file is called after something: the name itself where every system takes it so.

    Other names get a digest, so that none leads out of its folder, and no two lead to the same file.
    """
    if _PLAIN.fullmatch(name):
        return name
    readable = re.sub(r"[^a-z0-9]+", "-", name.lower())[:40].strip("-")
    return f"{readable}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:10]}"


def _fault(name: str, longest: int) -> str | None:
    if not name.strip(". "):
        return "it is empty, or of dots alone"
    if unprintable(name):
        return "there are characters in it that cannot be printed"
    size = len(name.encode())
    return f"it has {size} bytes, expected at most {longest}" if size > longest else None
