"""Convert keys of bottlenecks with an expand ratio to once-for-all's keys, which have the middle width."""

from __future__ import annotations

from collections.abc import Mapping

from hwnas.latency_luts.keys import split
from hwnas.supernets.errors import TableError
from hwnas.supernets.images.widths import round_to_eight
from hwnas.supernets.spec import parse_int


def known_fields(name: str, known: frozenset[str], file: str) -> dict[str, str]:
    """Return a key's fields; raises ``TableError`` unless they are the ``known`` ones, with valid numbers."""
    try:
        fields = split(name)[1]
    except ValueError as error:
        raise TableError(f"{file}: {name}: {error}") from None
    if set(fields) != known:
        raise TableError(f"{file}: {name}: expected the fields {', '.join(sorted(known))}, got {', '.join(fields)}")
    for field, text in (("expand", fields.get("expand", "1")), ("input", fields["input"].rpartition("x")[2])):
        if parse_int(text) is None:
            raise TableError(f"{file}: {name}: {field}: expected a whole number, got {text!r}")
    return fields


def bottleneck(fields: Mapping[str, str], se: int, hs: int) -> str:
    """Return the key in once-for-all's spelling.

    Args:
        fields: of the other layout's key: input, output, expand, kernel, stride, idskip.
        se: whether it has a squeeze-excite block, 0 or 1.
        hs: whether its activation is a hard swish, 0 or 1.
    """
    width, given = int(fields["input"].rpartition("x")[2]), int(fields["expand"])
    # Some tables have the middle width here after all; no ratio is as large as the input's width.
    mid = given if given >= width else round_to_eight(width * given)
    rest = "-".join(f"{field}:{fields[field]}" for field in ("kernel", "stride", "idskip"))
    return f"expanded_conv-input:{fields['input']}-output:{fields['output']}-expand:{mid}-{rest}-se:{se}-hs:{hs}"
