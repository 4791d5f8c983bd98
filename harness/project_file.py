"""Read ``hwnas.toml`` of the working directory: names of platforms, and what is asked of the timing protocol."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hwnas.harness.measurement.protocol import ProtocolChoice, TimingProtocol
from hwnas.harness.measurement.request import EFFORT, Given, asked, choice
from hwnas.supernets.documents import parse_toml, read_text
from hwnas.supernets.errors import UsageError, suggestion

FILE = Path("hwnas.toml")
PLATFORMS, PROTOCOL = "platforms", "protocol"


def section(name: str, path: Path | None = None, error: type[UsageError] = UsageError) -> Any:
    """Return what the file has in the section ``name``, a table by rights; an empty one where it has none.

    Args:
        name: of the section.
        path: the file; ``None``: ``hwnas.toml`` in the working directory, where it exists.
        error: the class to raise.

    Raises:
        UsageError: the file cannot be read, or has a section that nobody reads; names the file.
    """
    file = FILE if path is None else path
    if path is None and not file.exists():
        return {}
    try:
        document = parse_toml(read_text(file))
    except (OSError, ValueError) as reason:
        raise error(f"{file}: cannot be read: {reason}") from None
    odd = sorted(set(document) - {PLATFORMS, PROTOCOL})
    if odd:
        raise error(f"{file}: unknown section [{odd[0]}]{suggestion(odd[0], [PLATFORMS, PROTOCOL])}")
    return document.get(name, {})


def requested(given: Mapping[str, Any] | str | None, path: Path | None = None) -> dict[str, Any]:
    """Return what is asked of the protocol, by name: by ``given``, and by the file where that says nothing.

    Raises:
        UsageError: there is no such profile or number, a number cannot have that value, or see ``section``.
    """
    own, table = asked(given), section(PROTOCOL, path)
    file = FILE if path is None else path
    if not isinstance(table, dict):
        raise UsageError(f"{file}: [{PROTOCOL}] holds lines like cap_s = 5, got {table!r}")
    try:
        return {**asked(table), **own}
    except UsageError as error:
        raise UsageError(f"{file}: {error}") from None


def chosen(given: Given, effort: str | None = None, base: TimingProtocol | None = None) -> ProtocolChoice:
    """Return the choice of protocol that ``given`` asks for, over what the file asks for.

    Args:
        given: a whole protocol or a choice, which is followed as it is; or a profile's name, or numbers by name.
        effort: comes before what either says; ``None``: they say it.
        base: see ``hwnas.harness.measurement.request.choice``.

    Raises:
        UsageError: see ``requested``.
    """
    if isinstance(given, TimingProtocol | ProtocolChoice):
        return ProtocolChoice.wanted(given)
    found = requested(given)
    return choice(found if effort is None else {**found, EFFORT: effort}, base)


def asked_of(given: Given) -> dict[str, Any]:
    """Return what ``chosen`` follows, by name, JSON-able; empty where nothing is asked for."""
    if not isinstance(given, TimingProtocol | ProtocolChoice):
        return requested(given)
    made = ProtocolChoice.wanted(given).to_record()
    return {**{name: made[name] for name in ("profile", "effort") if made[name]}, **made["numbers"]}
