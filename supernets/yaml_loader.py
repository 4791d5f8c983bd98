"""How YAML is read: safely, and with every key given once."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import yaml

# The C loader reads a table of 96 blocks eight times as fast; a PyYAML without libyaml lacks it.
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


# Tables have a depth of 4, configs of other tools 6.
_DEEPEST = 60


def check_shape(text: str) -> None:
    """Raise ``YAMLError`` where a document is nested deeper than it is safe to read, or grows by what it repeats.

    It is asked before anything is built: libyaml's loader calls itself for each level, and ends the process where the
    stack does; a few lines of repetitions of repetitions stand for more values than memory holds.
    """
    open_nodes: list[bool] = []  # whether each has a name, so that it can be repeated
    for event in yaml.parse(text, Loader=_Base):
        if isinstance(event, yaml.events.CollectionStartEvent):
            open_nodes.append(event.anchor is not None)
            if len(open_nodes) > _DEEPEST:
                raise yaml.YAMLError(f"is nested deeper than {_DEEPEST} levels")
        elif isinstance(event, yaml.events.CollectionEndEvent):
            open_nodes.pop()
        elif isinstance(event, yaml.events.AliasEvent) and any(open_nodes):
            raise yaml.YAMLError(f"repeats *{event.anchor} within what can be repeated itself")


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
