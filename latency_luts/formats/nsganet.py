"""NSGANetV2's layout (Lu et al., 2020) of tables for once-for-all's MobileNetV3, in milliseconds.

::

    MBConv-input:56x56x24-output:28x28x40-expand:4-kernel:5-stride:2-idskip:0-se:1: {mean: 1.1, var: 2.0e-05}

``expand`` is the ratio. A key does not say which activation the block has; shapes and squeeze-excite determine it in
the networks that the tables were made for, so an entry serves either.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hwnas.latency_luts.formats._document import entry
from hwnas.latency_luts.formats._ratio import bottleneck, known_fields
from hwnas.latency_luts.table import Entry, LatencyTable
from hwnas.supernets.errors import TableError

_MS_PER_S = 1e3
_BOTTLENECK = "MBConv"
_WORDS = {
    "first_conv": "Conv",
    "final_expand_layer": "Conv_1",
    "feature_mix_layer": "Conv_2",
    "classifier": "Logits",
}
_FIELDS = frozenset({"input", "output", "expand", "kernel", "stride", "idskip", "se"})
_PLAIN_FIELDS = frozenset({"input", "output"})


def matches(document: Mapping[str, Any]) -> bool:
    """Return whether the first key is spelled like a layer of theirs."""
    word, _, rest = next(iter(document)).partition("-")
    return word in {_BOTTLENECK, *_WORDS} and rest.startswith("input:")


def read(document: Mapping[str, Any], file: str) -> LatencyTable:
    """Return the table under once-for-all's keys; raises ``TableError`` naming the key of what is malformed."""
    entries: dict[str, Entry] = {}
    for name, value in document.items():
        measured = entry(value, file, name, _MS_PER_S)
        for known, own in _keys(name, file):
            entries[known] = measured if own else Entry(0.0, 0.0, measured.count)
    return LatencyTable(file, entries)


def _keys(name: str, file: str) -> Iterator[tuple[str, bool]]:
    """Yield the keys that an entry serves, and whether its time is theirs or counted under another key already."""
    word = name.partition("-")[0]
    if word == _BOTTLENECK:
        fields = known_fields(name, _FIELDS, file)
        for hs in (0, 1):
            yield bottleneck(fields, se=int(fields["se"] == "1"), hs=hs), True
        return
    if word not in _WORDS:
        known = ", ".join([_BOTTLENECK, *_WORDS])
        raise TableError(f"{file}: {name}: unknown layer {word!r} (known: {known})")
    fields = known_fields(name, _PLAIN_FIELDS, file)
    given, result = fields["input"], fields["output"]
    yield f"{_WORDS[word]}-input:{_image(given)}-output:{result}", True
    if word == "final_expand_layer":
        # Measured together with the average pooling behind it.
        yield f"AvgPool2D-input:{result}-output:1x1x{result.rpartition('x')[2]}", False


def _image(shape: str) -> str:
    """Spell a vector as an image of one pixel: the classifier's input is ``1280`` here and ``1x1x1280`` there."""
    return shape if "x" in shape else f"1x1x{shape}"
