"""What can be a name: one line that a terminal, a table and a page show as it is."""

from __future__ import annotations

from hwnas.supernets.errors import UsageError
from hwnas.supernets.quoting import visible


def check_name(what: str, name: str, error: type[UsageError] = UsageError) -> None:
    r"""Raise ``UsageError`` where something cannot be called so.

    Everything that people name goes through here: studies, platforms, super-networks, models, workers, experiments.

    Args:
        what: is called so ("study"), for messages.
        name: that was given.
        error: the class to raise.

    Examples:
        >>> check_name("study", "first try")
        >>> check_name("study", "first\ntry")
        Traceback (most recent call last):
        hwnas.supernets.errors.UsageError: study 'first\ntry': expected a name in one line, without '\n'
    """
    if not name.strip():
        raise error(f"{what} {name!r}: expected a name, which is not empty")
    odd = unprintable(name)
    if odd:
        raise error(f"{what} {name!r}: expected a name in one line, without {odd!r}")


def unprintable(text: str) -> str:
    """Return the first character of a text that steers terminals or ends lines; "" where there is none."""
    return next((char for char in text if char in "\n\t" or visible(char) != char), "")
