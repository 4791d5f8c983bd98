"""Check whether an object implements a Protocol, and say which attribute or method does not fit.

``isinstance`` with a Protocol only checks that all attributes exist. ``misfit`` also says which one is missing, whether
values have the declared types, and whether methods can be called as declared.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator
from numbers import Integral
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from hwnas.supernets.plug_ins import FAILURES, described

_MISSING = object()


def misfit(value: Any, protocol: type) -> str | None:
    """Return why ``value`` does not implement ``protocol``, or ``None`` if it does.

    Args:
        value: an object, or a module, whose functions then stand for the methods.
        protocol: a Protocol with attributes (annotated, or properties) and methods.
    """
    for name, pattern in _members(protocol):
        try:
            found = getattr(value, name, _MISSING)
        except FAILURES as error:
            return f"its {name} cannot be read: {described(error)}"
        reason = _wrong(name, found, pattern)
        if reason is not None:
            return reason
    return None


def misfit_of_all(value: Any, protocols: Collection[type]) -> str | None:
    """Return why ``value`` implements none of ``protocols``, or ``None`` if it implements one."""
    if isinstance(value, type) and protocols:
        return f"it is {_said(value)}, expected an object of it"
    reasons = [misfit(value, protocol) for protocol in protocols]
    return None if None in reasons or not reasons else " and ".join(dict.fromkeys(map(str, reasons)))


def wrong_type(name: str, value: Any, hint: Any) -> str | None:
    """Return what is wrong with the type of the attribute ``name``, or ``None``.

    Containers are checked by their items, not by their class: a list is accepted for a tuple.
    """
    return None if _is(value, hint) else f"its {name} is {_said(value)}, expected {_spelled(hint)}"


def _members(protocol: type) -> Iterator[tuple[str, Any]]:
    """Yield the names of the Protocol's members, with their type hint or the function that declares them."""
    for cls in reversed(protocol.__mro__):
        if not getattr(cls, "_is_protocol", False):
            continue
        own = {name: hint for name, hint in get_type_hints(cls).items() if name in vars(cls).get("__annotations__", {})}
        yield from own.items()
        for name, declared in vars(cls).items():
            if name.startswith("_"):
                continue
            if isinstance(declared, property) and declared.fget is not None:
                yield name, get_type_hints(declared.fget)["return"]
            elif inspect.isfunction(declared):
                yield name, declared


def _wrong(name: str, found: Any, pattern: Any) -> str | None:
    if found is _MISSING:
        return f"it has no {name}"
    if not inspect.isfunction(pattern):
        return wrong_type(name, found, pattern)
    if not callable(found):
        return f"its {name} is {_said(found)}, expected a method"
    return _uncallable(name, found, pattern)


def _uncallable(name: str, method: Callable[..., Any], pattern: Callable[..., Any]) -> str | None:
    """Return why a method cannot be called as declared, by position or by names, or ``None`` if it can."""
    try:
        signature = inspect.signature(method)
    except (TypeError, ValueError):  # a builtin without a signature
        return None
    declared = [one for one in inspect.signature(pattern).parameters.values() if one.name != "self"]
    needed = [one.name for one in declared if one.default is one.empty]
    options = [one.name for one in declared if one.default is not one.empty]
    try:
        signature.bind(*needed, **dict.fromkeys(options))
    except TypeError as error:
        try:
            signature.bind(*needed, *options)
        except TypeError:
            return f"its {name} cannot be called as {name}({', '.join([*needed, *options])}): {error}"
    return None


def _is(value: Any, hint: Any) -> bool:
    origin, given = get_origin(hint) or hint, get_args(hint)
    if origin is Any:
        return True
    if origin in (Union, UnionType):
        return any(_is(value, one) for one in given)
    if origin in (tuple, frozenset, list):
        alike = isinstance(value, Collection) and not isinstance(value, str | bytes | bytearray)
        return alike and (not given or all(_is(one, given[0]) for one in value))
    if origin is int:
        return isinstance(value, Integral) and not isinstance(value, bool)
    return isinstance(value, origin)


def _said(value: Any) -> str:
    if value is None:
        return "None"
    return f"the class {value.__name__}" if isinstance(value, type) else f"of type {type(value).__name__}"


def _spelled(hint: Any) -> str:
    origin, given = get_origin(hint) or hint, get_args(hint)
    if origin in (Union, UnionType):
        return " or ".join(_spelled(one) for one in given)
    name = "None" if hint is type(None) else str(getattr(origin, "__name__", origin))
    return f"{name} of {_spelled(given[0])}" if given else name
