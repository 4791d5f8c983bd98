"""Load YAML safely, refuse duplicate keys, and limit nesting and aliases."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import yaml

from hwnas.supernets.documents import DEEPEST, LONGEST_NUMBER

# The C loader reads a table of 96 blocks eight times as fast; a PyYAML without libyaml lacks it.
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


# The most values that a document may repeat by aliases; a table of 100 blocks has 500 values.
_MOST_REPEATED = 100_000


def check_shape(text: str) -> None:
    """Raise ``YAMLError`` if a document is nested too deeply, or grows too much by aliases.

    This is checked before anything is built: libyaml's loader is recursive and ends the process on a stack overflow,
    and a few lines of nested aliases can stand for more values than fit into memory.
    """
    open_nodes: list[tuple[str | None, int]] = []  # the name by which each can be repeated, and where it begins
    sizes: dict[str, int] = {}
    repeated = 0
    for number, event in enumerate(yaml.parse(text, Loader=_Base)):
        if isinstance(event, yaml.events.CollectionStartEvent):
            open_nodes.append((event.anchor, number))
            if len(open_nodes) > DEEPEST:
                raise yaml.YAMLError(f"is nested deeper than {DEEPEST} levels")
        elif isinstance(event, yaml.events.CollectionEndEvent):
            name, begun = open_nodes.pop()
            if name is not None:
                sizes[name] = number - begun
        elif isinstance(event, yaml.events.AliasEvent):
            if any(name is not None for name, _ in open_nodes):
                raise yaml.YAMLError(f"repeats *{event.anchor} within what can be repeated itself")
            repeated += sizes.get(str(event.anchor), 1)
            if repeated > _MOST_REPEATED:
                raise yaml.YAMLError(f"stands for {_MOST_REPEATED:,} values more than it says, by what it repeats")


class Loader(_Base):  # type: ignore[misc]  # the base is chosen at run time
    """A safe loader that refuses duplicate keys, of which PyYAML would silently use the last."""

    def construct_yaml_int(self, node: Any) -> int:
        """Return a whole number; raises ``ConstructorError`` for one so long that it would take quadratic time."""
        if len(node.value) > LONGEST_NUMBER:
            said = f"has a whole number of more than {LONGEST_NUMBER:,} characters"
            raise yaml.constructor.ConstructorError(None, None, said, node.start_mark)
        return int(super().construct_yaml_int(node))

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        """Return a mapping; raises ``ConstructorError`` for a duplicate key."""
        seen = set()
        for key_node, _ in node.value:
            name = key_node.value
            if isinstance(name, str) and name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{name!r} is given twice", key_node.start_mark)
            seen.add(name if isinstance(name, str) else id(name))
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep=deep)
        return mapping


# The base has its own method under this tag.
Loader.add_constructor("tag:yaml.org,2002:int", Loader.construct_yaml_int)
