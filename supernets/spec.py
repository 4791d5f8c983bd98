"""The grammar that super-networks and platforms are spelled in: ``NAME[:KEY=VALUE[,KEY=VALUE...]]``."""

from __future__ import annotations

from hwnas.supernets.errors import UsageError


def parse_spec(text: str, what: str, error: type[UsageError] = UsageError) -> tuple[str, dict[str, str]]:
    """Split a spec into its name and its options, in the order given.

    Args:
        text: the spec.
        what: begins the message of an error ("platform 'x:y'").
        error: what to raise where the text is not of the form.
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
