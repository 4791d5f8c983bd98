"""Read a table of a TOML file into a frozen dataclass, whose fields say which keys and types are expected.

A field may be text, a number, a truth value, a tuple of those (an array in the file), a mapping by name (a table of
tables, or of plain values), or another dataclass. A key that is no field is an error that names the nearest one.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from hwnas.experiments.naming import check_within
from hwnas.supernets.errors import UnknownNameError, UsageError, suggestion

T = TypeVar("T")

_PLAIN = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def read(kind: type[T], table: Mapping[str, Any], where: str) -> T:
    """Return the dataclass that a table spells.

    Args:
        kind: the dataclass.
        table: as ``parse_toml`` gives it.
        where: begins the message of an error ("fig5.toml: problems.mobilenetv3").

    Raises:
        UsageError: a key that there is none of, one that is missing, or a value that is of another kind.
    """
    known = {one.name: one for one in fields(kind) if one.init}  # type: ignore[arg-type]
    for key in table:
        if key not in known:
            raise UsageError(f"{where}: unknown key {key!r}{suggestion(key, known)}")
    missing = [
        name
        for name, one in known.items()
        if one.default is MISSING and one.default_factory is MISSING and name not in table
    ]
    if missing:
        raise UsageError(f"{where}: lacks {' and '.join(missing)}; its keys: {', '.join(known)}")
    hints = get_type_hints(kind)
    values = {key: _value(hints[key], value, f"{where}: {key}") for key, value in table.items()}
    try:
        return kind(**values)
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from None


def merged(base: Mapping[str, Any], over: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return ``base`` with what ``over`` says: tables are merged, all else is replaced.

    Raises:
        UnknownNameError: ``over`` speaks of an entry of a table of tables that ``base`` does not have.
    """
    result = dict(base)
    named = bool(base) and all(isinstance(one, dict) for one in base.values())
    for key, value in over.items():
        there = base.get(key)
        if isinstance(value, dict) and isinstance(there, dict):
            result[key] = merged(there, value, f"{where}.{key}")
        elif there is None and named:
            raise UnknownNameError(f"table in {where}", key, base)
        else:
            result[key] = value
    return result


def _value(hint: Any, value: Any, where: str) -> Any:
    if hint is Any:
        return value
    origin, inner = get_origin(hint), get_args(hint)
    if origin in {Union, types.UnionType}:
        (only,) = (one for one in inner if one is not type(None))
        return _value(only, value, where)
    if origin is tuple:
        return _array(inner[0], value, where)
    if origin is not None:  # Mapping[str, ...]
        entries = _expect(value, lambda one: isinstance(one, dict), "a table", where)
        check_within(entries, where)
        return {key: _value(inner[1], entry, f"{where}.{key}") for key, entry in entries.items()}
    if hint in _PLAIN:
        return _plain(hint, value, where)
    return read(hint, _expect(value, lambda one: isinstance(one, dict), "a table", where), where)


def _array(hint: Any, value: Any, where: str) -> tuple[Any, ...]:
    entries = _expect(value, lambda one: isinstance(one, list), "an array like [..., ...]", where)
    return tuple(_value(hint, entry, f"{where}, entry {number}") for number, entry in enumerate(entries, 1))


def _plain(hint: type, value: Any, where: str) -> Any:
    if hint is float and type(value) is int:
        try:
            return float(value)
        except OverflowError:
            raise UsageError(f"{where}: expected a number of at most 308 digits") from None
    # In Python true is a 1; in an experiment file it is none.
    return _expect(value, lambda one: type(one) is hint, _PLAIN[hint], where)


def _expect(value: Any, fits: Callable[[Any], bool], what: str, where: str) -> Any:
    if not fits(value):
        raise UsageError(f"{where}: expected {what}, got {value!r}")
    return value
