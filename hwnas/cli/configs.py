"""Config strings: ``min``, ``max``, ``random:SEED``, a key, ``STUDY#NUMBER``, a config inline, a file of some."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hwnas.supernets.documents import parse_json, parse_object, parse_yaml, read_text
from hwnas.supernets.errors import ConfigError
from hwnas.supernets.files import expanded, is_file
from hwnas.supernets.spec import parse_int

if TYPE_CHECKING:
    from hwnas.supernets.space import IntArray, SearchSpace

FORMS = (
    "min, max, random:SEED, a key as tables print it, STUDY#NUMBER, inline JSON, a file (.json, .yml, net.config), "
    "or - for standard input"
)

# A published name of a network has more dashes than any other form.
_DASHES = 3

_FILES = (".json", ".yml", ".yaml", ".config", ".txt", ".py")
_YAML = (".yml", ".yaml")
_KEY = re.compile(r"[0-9a-z]+")
# What stands in the middle of a key that a table shortened, as it is printed and as it may be typed.
_CUT = re.compile("\N{HORIZONTAL ELLIPSIS}|\\.\\.\\.?")
# Once-for-all's file of a network, and the one beside it that says for which images.
_NET_CONFIG, _RUN_CONFIG, _IMAGE_SIZE = "blocks", "run.config", "image_size"


def read_configs(
    texts: Sequence[str], space: SearchSpace, *, supernet: str | None = None, store: str | None = None
) -> IntArray:
    """Read config strings into vectors, ``(n, n_var)``, in their order.

    Args:
        texts: the strings.
        space: of the super-network.
        supernet: its name, that a study has to be of.
        store: the store that studies are looked up in; ``None``: no study can be named.

    Raises:
        ConfigError: names the string, and the forms or values that are allowed.
        UnknownNameError: there is no such study.
        StoreError: the store cannot be read.
    """
    import numpy as np

    if not texts:
        raise ConfigError(f"no config given; expected {FORMS}")
    return np.concatenate([_read(text.strip(), space, supernet, store) for text in texts])


def _read(text: str, space: SearchSpace, supernet: str | None, store: str | None) -> IntArray:
    if text in {"min", "max"} or text.startswith("random:"):
        return _at_random(text, space)
    if text == "-":
        return _parse(_standard_input(), "standard input", space)
    if text.removeprefix("\ufeff").startswith(("{", "[")):
        return _parse(text, "the config", space)
    if _KEY.fullmatch(text) and len(text) == space.n_var:
        return space.from_key(text)
    if text.endswith(_FILES) or is_file(text):
        return _file(text, space)
    return _named(text, space, supernet, store)


def _named(text: str, space: SearchSpace, supernet: str | None, store: str | None) -> IntArray:
    """Return a study's sub-network, or that of a published name where the space has such; raises ``ConfigError``."""
    if "#" in text and store is not None:
        return _evaluation(text, space, supernet, store)
    if space.named is not None and text.count("-") > _DASHES:
        return space.encode(text)
    raise _no_config(text, space)


def _no_config(text: str, space: SearchSpace) -> ConfigError:
    if _CUT.search(text):
        return ConfigError(
            f"config {text!r}: is a key that was cut in the middle; give it whole, as --json has it, or as STUDY#NUMBER"
        )
    long = f" (a key has {space.n_var} digits, this {len(text)})" if _KEY.fullmatch(text) and len(text) > 8 else ""
    return ConfigError(f"config {text!r}: expected {FORMS}{long}")


def _at_random(text: str, space: SearchSpace) -> IntArray:
    if text == "min":
        return space.smallest()
    return space.largest() if text == "max" else space.sample(1, _seed(text))


def _seed(text: str) -> int:
    seed = parse_int(text.removeprefix("random:"))
    if seed is None:
        raise ConfigError(f"config {text!r}: expected random:SEED with SEED a whole number from 0, like random:1")
    return seed


# --- configs that are written down -----------------------------------------------------------------------------------


def _file(name: str, space: SearchSpace) -> IntArray:
    try:
        text = read_text(expanded(name))
    except (OSError, ValueError) as error:  # ValueError: no UTF-8, or a name that no file can have
        raise ConfigError(f"config file {name!r}: {getattr(error, 'strerror', None) or error}") from error
    return _parse(text, name, space)


def _standard_input() -> str:
    """Return what comes from standard input, which may be closed, a folder, or no text."""
    if sys.stdin is None:
        raise ConfigError("standard input: is closed; expected a config there")
    try:
        return sys.stdin.read()
    except (OSError, ValueError) as error:  # ValueError: no text, or closed
        raise ConfigError(f"standard input: {getattr(error, 'strerror', None) or error}") from error


def _parse(text: str, source: str, space: SearchSpace) -> IntArray:
    yaml = source.endswith(_YAML)
    try:
        found: Any = parse_yaml(text) if yaml else parse_object(text)
    except ValueError as error:
        raise ConfigError(f"{source} is not {'YAML' if yaml else 'JSON'}: {error}") from error
    if isinstance(found, list) and not found:
        raise ConfigError(f"{source} is an empty list")
    if not isinstance(found, (dict, list)):
        raise ConfigError(f"{source}: expected a config or a list of configs, got {type(found).__name__}")
    if isinstance(found, dict) and _NET_CONFIG in found:
        found = _with_image_size(found, source)
    try:
        return space.encode(found)
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from None


def _with_image_size(net_config: dict[str, Any], source: str) -> Mapping[str, Any]:
    """Return once-for-all's net.config with the size of its images, where a ``run.config`` beside it says that."""
    beside = expanded(source).parent / _RUN_CONFIG
    if _IMAGE_SIZE in net_config or not is_file(source) or not is_file(beside):
        return net_config
    try:
        run = parse_json(read_text(beside))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{beside}: is not JSON: {error}") from error
    if not isinstance(run, dict) or not isinstance(run.get(_IMAGE_SIZE), int):
        raise ConfigError(f"{beside}: expected an object with {_IMAGE_SIZE!r}, a whole number of pixels")
    return {**net_config, _IMAGE_SIZE: run[_IMAGE_SIZE]}


# --- evaluations of a study ------------------------------------------------------------------------------------------


def _evaluation(text: str, space: SearchSpace, supernet: str | None, location: str) -> IntArray:
    """Return the sub-network of ``STUDY#NUMBER``, or of ``STUDY#KEY`` with a key that may be cut in the middle."""
    from hwnas.harness.store import Store
    from hwnas.search.study.stored import record_of, understood

    name, _, which = text.rpartition("#")
    with Store.open(location, create=False) as store:
        study = record_of(store, name)
        rows = store.evaluations(study)
        with understood(store, name):
            keys = {int(row["index"]): str(row["key"]) for row in rows}
            of = str(study.settings["search"]["supernet"])
        if supernet is not None and of != supernet:
            raise ConfigError(f"config {text!r}: the study is of {of}, not of {supernet}")
        key = _chosen(text, which, keys)
        with understood(store, name):
            return _stored(key, space)


def _stored(key: str, space: SearchSpace) -> IntArray:
    """Return the sub-network that a stored key names; raises ``ValueError``."""
    try:
        return space.from_key(key)
    except ConfigError as error:
        raise ValueError(str(error)) from None


def _chosen(text: str, which: str, keys: Mapping[int, str]) -> str:
    number = parse_int(which)
    if number is not None and number in keys:
        return keys[number]
    head, *tail = _CUT.split(which, maxsplit=1)
    fit = {key for key in keys.values() if key == which or (tail and key.startswith(head) and key.endswith(tail[0]))}
    if len(fit) == 1:
        return fit.pop()
    last = max(keys, default=-1)
    found = f"{len(fit)} evaluations fit" if fit else "there is none"
    raise ConfigError(f"config {text!r}: {found}; expected STUDY#NUMBER with an evaluation of 0 to {last}, or its key")
