"""Check the studies that a transfer starts from: they fit its platforms, and their files are unchanged."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from hwnas.harness.pinned import contents, identity, pinned
from hwnas.harness.platform import parse
from hwnas.search.study.result import Study
from hwnas.search.study.same import platform_of
from hwnas.supernets.contents import Contents, differences, of_records
from hwnas.supernets.errors import UsageError
from hwnas.supernets.supernet import SuperNetwork

if TYPE_CHECKING:
    from hwnas.harness.platform import Platform
    from hwnas.harness.quality import Quality

Places = dict[str, "Platform"]  # by their canonical strings


def check_studies(net: SuperNetwork, studies: Sequence[Study]) -> None:
    """Raise ``UsageError`` where a study searched another super-network, no latency, or found nothing."""
    for study in studies:
        if study.supernet != net.name:
            raise UsageError(f"study {study.name!r} searched {study.supernet}, expected {net.name}")
        if study.platform is None:
            raise UsageError(f"study {study.name!r} was not searched on any platform: expected one with a latency")
        if not study.front:
            raise UsageError(f"study {study.name!r} has no front: none of its evaluations meets its constraints")


def places_of(platforms: Sequence[Platform | str], studies: Sequence[Study]) -> tuple[Places, dict[str, Study]]:
    """Return the platforms, their files known by what they hold, and the studies that were searched on some of them.

    Args:
        platforms: those asked for; those of studies that are not among them follow. A platform whose files were moved
            since a study was searched on it is the study's.
        studies: that ``check_studies`` lets pass.

    Raises:
        UsageError: fewer than two platforms, or one twice.
    """
    given = [pinned(parse(one) if isinstance(one, str) else one) for one in platforms]
    names = [str(one) for one in given]
    places, known = dict(zip(names, given, strict=True)), {identity(one): str(one) for one in given}
    searched = []
    for study in studies:
        place = str(study.platform)
        if place not in places:
            place = known.get(str(platform_of(study.settings)), place)
        if place not in places:
            places[place] = pinned(parse(place))
            names.append(place)
        searched.append(place)
    if len(names) < 2:
        raise UsageError(f"transfer: expected at least two platforms, got {', '.join(names) or 'none'}")
    for place in names:
        if names.count(place) > 1 or searched.count(place) > 1:
            raise UsageError(f"transfer: expected each platform once, got {place} twice")
    return places, dict(zip(searched, studies, strict=True))


def quality_of(studies: Sequence[Study]) -> str | None:
    """Return the quality source that the studies share; ``None`` where there is no study.

    Raises:
        UsageError: they share none.
    """
    sources = {str(study.facts["quality"]["source"]) for study in studies if study.facts["quality"]}
    if len(sources) > 1:
        raise UsageError(f"the studies used different quality sources ({', '.join(sorted(sources))}): name one")
    return sources.pop() if sources else None


def check_files(studies: Mapping[str, Study], places: Places, quality: Quality) -> None:
    """Raise ``UsageError`` where a file holds something else than it did when a study read it; names both.

    What is measured now would be of other files than the fronts are.

    Args:
        studies: by their platforms.
        places: the platforms, by their canonical strings.
        quality: of all rows. Another source than a study's is somebody's choice; a changed file of its name is none.
    """
    for place, study in studies.items():
        then = of_records(study.settings.get("contents", {}))
        changes = differences(then, contents(places[place])) + differences(then, _of_quality(study, then, quality))
        if changes:
            raise UsageError(
                f"study {study.name!r} cannot be compared with other platforms ({'; '.join(changes)}); put back what "
                "was there, or search that platform again"
            )


def not_recorded(study: Study, place: Platform, quality: Quality) -> str:
    """Say that nobody knows whether files hold what they held when a study read them; empty where that is known.

    Studies of earlier versions were stored without.
    """
    then = of_records(study.settings.get("contents", {}))
    roles = [role for role in {**contents(place), **_of_quality(study, then, quality)} if role not in then]
    if not roles:
        return ""
    return (
        f"study {study.name!r} was stored without what its files held ({', '.join(roles)}): whether they hold the same "
        "today is not known"
    )


def _of_quality(study: Study, then: Contents, quality: Quality) -> Contents:
    """Return what the quality's files hold, as far as it is the study's quality."""
    now: Contents = getattr(quality, "contents", {})
    facts = study.facts["quality"]
    if facts is not None and facts["source"] == quality.name:
        return now
    return {role: one for role, one in now.items() if role in then and _same_file(then[role].name, one.name)}


def _same_file(one: str, other: str) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)
