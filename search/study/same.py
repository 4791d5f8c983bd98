"""Is a study resumed as it was begun? Settings are compared as they are, files by what they hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hwnas.search.objectives import Objective, Renamed
from hwnas.search.study.origins import named, numbered
from hwnas.supernets.contents import Contents, differences, identified, of_records
from hwnas.supernets.errors import UsageError

if TYPE_CHECKING:
    from hwnas.harness.store import StudyRecord

# Settings that name platforms, and what the contents of their files are called in front of the option's key.
_PLATFORMS = ("platform", "transfer_from")
# What is in the settings only where it was asked for, or is not as it always was.
_ASKED = {"protocol", "effort"}
# What is compared as contents are.
_BY_CONTENT = {"contents", "transfer_until", "transfer_known"}
# Platforms that a search starts from, for the names of their contents.
WHENCE = "transfer-from "


def check_same(record: StudyRecord, settings: Mapping[str, Any], objectives: Sequence[Objective]) -> list[str]:
    """Compare what a study was begun with and what it is to go on with.

    Args:
        record: the study.
        settings: see ``hwnas.search.study.plan.Plan.settings``.
        objectives: all, those that are only constrained among them.

    Returns:
        What could not be compared, a sentence each: studies of earlier versions do not say what files held.

    Raises:
        UsageError: something differs; names it.
    """
    begun = record.settings["search"]
    then, now = of_records(begun.get("contents", {})), of_records(settings["contents"])
    unknown = now.keys() - then.keys()
    both = {role: one for role, one in now.items() if role in then}
    changed = differences(then, now) or _others(
        begun, then, settings, both, objectives if "contents" not in begun else ()
    )
    if changed:
        raise UsageError(
            f"study {record.name!r} cannot be resumed with other settings ({'; '.join(changed)}); "
            "give the same ones, or begin another study"
        )
    return [
        f"{role} {now[role].name}: the study was begun before contents were recorded, so whether it holds what it did "
        "then is not known"
        for role in sorted(unknown)
    ]


def platform_of(settings: Mapping[str, Any]) -> str | None:
    """Return the platform of a search's settings, with what its files hold in place of their names."""
    platform = settings["platform"]
    return None if platform is None else _identified(platform, of_records(settings.get("contents", {})), "")


def by_content(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with what files hold in place of their names: the same where searches are."""
    held = of_records(settings["contents"])
    platforms = {key: _identity(settings[key], held, key) for key in _PLATFORMS}
    return {**settings, **platforms, "contents": {role: one.digest for role, one in held.items()}}


def _others(
    begun: Mapping[str, Any], then: Contents, settings: Mapping[str, Any], now: Contents, renamed: Sequence[Objective]
) -> list[str]:
    """Say which settings differ but for the names of files."""
    changed = []
    for key in settings.keys() - _BY_CONTENT | _ASKED:
        old: Any = begun.get(key)
        new: Any = settings.get(key)
        if key in _PLATFORMS:
            same = _identity(old, then, key) == _identity(new, now, key)
        else:
            same = old == new or (key == "sources" and _recorded_as(old, settings[key], renamed))
        changed += [] if same else [f"{key} was {old!r}, is {new!r}"]
    return sorted(changed)


def _identity(spec: Any, contents: Contents, key: str) -> Any:
    """Return a platform's string, or several, with digests in place of the names of their files."""
    if isinstance(spec, list):
        ours = named(spec)
        each = [_identified(one, contents, numbered(WHENCE, number)) for number, one in enumerate(ours)]
        return [*each, *(one for one in spec if one not in ours)]
    return None if spec is None else _identified(spec, contents, WHENCE if key == "transfer_from" else "")


def _identified(spec: str, contents: Contents, prefix: str) -> str:
    before = f"{prefix}{spec.partition(':')[0]} "
    mine = {role.removeprefix(before): one.digest for role, one in contents.items() if role.startswith(before)}
    return identified(spec, mine)


def _recorded_as(old: Mapping[str, str] | None, new: Mapping[str, str], renamed: Sequence[Objective]) -> bool:
    """Tell whether sources of a study from before contents were recorded are, by their names, these."""
    once = {one.name: one.recorded_as for one in renamed if isinstance(one, Renamed)}
    if old is None or old.keys() != new.keys():
        return False
    return all(source == new[name] or (name in once and once[name](source)) for name, source in old.items())
