"""Parse the strings that name super-networks and platforms, ``NAME[:KEY=VALUE[,KEY=VALUE...]]``, and their integers."""

from __future__ import annotations

from hwnas.supernets.errors import UsageError

# As many digits always fit 64 bits. Python itself refuses thousands of them, and accepts digits of other scripts, signs
# and underscores, which no option means.
_DIGITS = 18


def parse_spec(text: str, what: str, error: type[UsageError] = UsageError) -> tuple[str, dict[str, str]]:
    """Split a spec into its name and its options, in the order given.

    Args:
        text: the spec.
        what: begins the message of an error ("platform 'x:y'").
        error: the class to raise if the text does not have the form.
    """
    name, _, rest = text.partition(":")
    options: dict[str, str] = {}
    for part in rest.split(",") if rest else []:
        key, equals, value = part.partition("=")
        if not equals or not key or not value:
            raise error(f"{what}: expected KEY=VALUE[,KEY=VALUE...] after ':', got {part!r}")
        if key in options:
            raise error(f"{what}: {key} is given twice")
        options[key] = value
    return name, options


def parse_int(text: str) -> int | None:
    """Return the whole number that ``text`` has in ASCII digits; ``None`` if it is not a number or has too many."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else None
