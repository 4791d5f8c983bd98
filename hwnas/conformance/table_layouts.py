"""What every layout of lookup tables has to hold."""

from __future__ import annotations

from typing import Any

from hwnas.conformance.check import Request, Suite, expect
from hwnas.latency_luts import formats

# Documents of nobody's layout, as YAML gives them.
_FOREIGN: tuple[dict[str, Any], ...] = ({"a": 1}, {"a": None}, {"a": [1, 2]}, {"a": {"b": "c"}}, {"": {}})


def _requested(request: Request) -> Any:
    return formats.registry.provider(request.name)


SUITE = Suite(formats.registry, _requested)


@SUITE.check()
def foreign_documents_do_not_match(layout: Any) -> None:
    """``matches`` says False of documents of other layouts, whatever their values, and leaves them alone."""
    for document in _FOREIGN:
        given = {**document}
        found = layout.matches(given)
        expect(found is False, f"matches({document!r}) is {found!r}, expected False")
        expect(given == document, f"matches({document!r}) changes the document")
