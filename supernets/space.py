"""Search spaces of elastic choices: sample, check, encode and decode batches of their points.

A point is a vector of *indices*: entry ``j`` of a vector picks ``choices[j].values[X[i, j]]``. The same point as a dict
with the keys of the literature is a *config*. Every function takes and returns batches, ``(n, n_var)``.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from hwnas.supernets.errors import ConfigError, suggestion
from hwnas.supernets.given import plain
from hwnas.supernets.shown import html_table

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Value = int | float
Config = dict[str, list[Value]]
# One config, or several; one may be a string where its space has such a form.
Configs = str | Mapping[str, Any] | Iterable[str | Mapping[str, Any]]

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
# Of one choice: each has a digit.
MOST_VALUES = len(_DIGITS)


@dataclass(frozen=True)
class Choice:
    """One elastic choice.

    Attributes:
        key: its config key ("ks").
        values: the values that can be chosen, in ascending order where they have one.
        needs: ``(column, index)``: the choice matters only if the vector's entry in ``column`` is at least ``index``
            (a layer that exists only from some depth on). ``None``: it always matters.
        same_as: for each index, the index that builds the same network; ``None``: all differ.
        ordered: larger values are more of something, as of kernel sizes and depths. Values without an order are labels,
            as of operations: nothing that searches or predicts depends on which stands beside which.
    """

    key: str
    values: tuple[Value, ...]
    needs: tuple[int, int] | None = None
    same_as: tuple[int, ...] | None = None
    # Spaces are known by how their choices are spelled, and were before there were any without an order.
    ordered: bool = field(default=True, repr=False)

    @property
    def n_distinct(self) -> int:
        """The number of values that build different networks."""
        return len(set(self.same_as)) if self.same_as else len(self.values)

    def tells_apart(self, least: int) -> bool:
        """Tell whether indices that build the same network are all at least ``least``, or all below."""
        return all((index >= least) == (other >= least) for index, other in enumerate(self.same_as or ()))


@dataclass(frozen=True)
class SearchSpace:
    """The ordered elastic choices of a super-network.

    Args:
        choices: one per variable; those with the same key form one list in a config, in order.
        fixed: config keys without a choice, with the value they always have (``{"r": [224]}``).
        ignored: keys that other tools write and that are ignored here, with the value that is accepted.
        respell: converts a config in another tool's spelling to the keys above, and returns others as they are; raises
            ``ConfigError``. ``None``: there is no other spelling.
        named: reads a config that is one string, as some publications write them; raises ``ConfigError``. ``None``:
            configs of this space have no such form.
    """

    choices: tuple[Choice, ...]
    fixed: Mapping[str, list[Value]] = field(default_factory=dict)
    ignored: Mapping[str, Any] = field(default_factory=dict)
    respell: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None
    named: Callable[[str], Mapping[str, Any]] | None = None

    def __post_init__(self) -> None:
        for column, choice in enumerate(self.choices):
            if choice.needs is not None and self.choices[choice.needs[0]].needs is not None:
                raise ValueError(f"choice {column} needs column {choice.needs[0]}, which itself needs another")
            if choice.needs is not None and not self.choices[choice.needs[0]].tells_apart(choice.needs[1]):
                raise ValueError(
                    f"choice {column} needs index {choice.needs[1]} of column {choice.needs[0]}, which by its same_as "
                    "builds the same network as one below"
                )
            if len(choice.values) > MOST_VALUES:
                raise ValueError(f"choice {column} has {len(choice.values)} values, more than {MOST_VALUES} digits")

    def __repr__(self) -> str:
        counts = Counter(choice.key for choice in self.choices)
        keys = ", ".join(f"{n} of {key}" if n > 1 else key for key, n in counts.items())
        return f"<SearchSpace: {self.n_var} choices ({keys}), {self.distinct_size:.3g} distinct sub-networks>"

    def _repr_html_(self) -> str:
        return self.html_with(repr(self).strip("<>"))

    def html_with(self, caption: str) -> str:
        """Return a table of the choices for a notebook, one row per key, with a caption."""
        rows = []
        for key in dict.fromkeys(choice.key for choice in self.choices):
            same = [choice for choice in self.choices if choice.key == key]
            values = sorted({value for choice in same for value in choice.values})
            rows.append((key, len(same), " ".join(map(str, values))))
        fixed = [(key, "fixed", " ".join(map(str, values))) for key, values in self.fixed.items()]
        return html_table(caption, ("key", "choices", "values"), [*rows, *fixed])

    # --- sizes -------------------------------------------------------------------------------------------------------

    @property
    def n_var(self) -> int:
        """The number of variables."""
        return len(self.choices)

    @cached_property
    def n_options(self) -> IntArray:
        """The number of values of each choice, ``(n_var,)``; not to be written to."""
        counts = np.array([len(choice.values) for choice in self.choices], dtype=np.int64)
        counts.setflags(write=False)
        return counts

    @cached_property
    def ordered(self) -> BoolArray:
        """Which choices' values have an order, ``(n_var,)``."""
        return np.array([choice.ordered for choice in self.choices], dtype=bool)

    @property
    def size(self) -> int:
        """The number of vectors."""
        return math.prod(len(choice.values) for choice in self.choices)

    @property
    def distinct_size(self) -> int:
        """The exact number of different networks, that is, of canonical vectors."""
        total = 1
        for column, root in enumerate(self.choices):
            if root.needs is None:
                kept = sorted(set(root.same_as)) if root.same_as else range(len(root.values))
                total *= sum(self._distinct_below(column, index) for index in kept)
        return total

    def _distinct_below(self, column: int, index: int) -> int:
        there = (c for c in self.choices if c.needs is not None and c.needs[0] == column and c.needs[1] <= index)
        return math.prod(choice.n_distinct for choice in there)

    # --- points ------------------------------------------------------------------------------------------------------

    def sample(self, n: int, seed: int | np.random.Generator) -> IntArray:
        """Draw ``n`` vectors, ``(n, n_var)``, with every choice uniform and independent.

        The same network can be drawn twice, as different vectors or as the same one.
        """
        rng = np.random.default_rng(seed)
        return rng.integers(0, self.n_options, size=(n, self.n_var), dtype=np.int64)

    def smallest(self) -> IntArray:
        """The vector of every choice's first value, ``(1, n_var)``."""
        return np.zeros((1, self.n_var), dtype=np.int64)

    def largest(self) -> IntArray:
        """The vector of every choice's last value, ``(1, n_var)``."""
        return self.n_options[None, :] - 1

    def check(self, X: npt.ArrayLike) -> IntArray:
        """Return ``X`` as ``(n, n_var)`` int64; raises ``ConfigError`` that names the first invalid entry."""
        array = np.asarray(X)
        if array.ndim != 2 or array.shape[1] != self.n_var:
            raise ConfigError(f"X: expected shape (n, {self.n_var}), got {array.shape}")
        if not np.issubdtype(array.dtype, np.integer):
            raise ConfigError(f"X: expected integers, got {array.dtype}")
        # Every batch is checked here, so only each column's maximum is compared (as unsigned numbers negative ones are
        # large), and an invalid entry is searched for only if there is one.
        unsigned = array.view(array.dtype.str.replace("i", "u"))
        if (unsigned.max(axis=0, initial=0) >= self.n_options.astype(np.uint64)).any():
            raise self._no_point(array)
        return array.astype(np.int64, copy=False)

    def _no_point(self, array: npt.NDArray[np.integer[Any]]) -> ConfigError:
        row, column = np.argwhere((array < 0) | (array >= self.n_options))[0]
        return ConfigError(
            f"X[{row}, {column}]: expected 0..{self.n_options[column] - 1} "
            f"(an index into {self.choices[column].key} = {self.choices[column].values}), got {array[row, column]}"
        )

    def active(self, X: npt.ArrayLike) -> BoolArray:
        """Return which choices have an effect on the network that is built; ``(n, n_var)``."""
        X = self.check(X)
        columns, least = self._needs
        return np.asarray(X[:, columns] >= least)

    @cached_property
    def _needs(self) -> tuple[IntArray, IntArray]:
        """The column that each choice needs and its least index there; its own and 0 where it always matters."""
        needs = [choice.needs or (column, 0) for column, choice in enumerate(self.choices)]
        columns, least = np.array(needs, dtype=np.int64).reshape(-1, 2).T
        return columns, least

    def canonical(self, X: npt.ArrayLike) -> IntArray:
        """Return the canonical vectors, ``(n, n_var)``: equal if and only if the networks are equal."""
        X = self.check(X)
        result = np.where(self.active(X), X, 0)
        for column, choice in enumerate(self.choices):
            if choice.same_as is not None:
                result[:, column] = np.asarray(choice.same_as)[result[:, column]]
        return result

    def one_hot(self, X: npt.ArrayLike) -> FloatArray:
        """Return masked one-hot features, ``(n, sum of n_options)``: inactive choices are all zero.

        Vectors of the same network have the same features.
        """
        canonical = self.canonical(X)
        offsets = np.concatenate([[0], np.cumsum(self.n_options)[:-1]])
        features = np.zeros((len(canonical), int(self.n_options.sum())))
        features[np.arange(len(canonical))[:, None], canonical + offsets] = self.active(canonical)
        return features

    def keys(self, X: npt.ArrayLike) -> list[str]:
        """Return a name of each network: its canonical vector, one base-36 digit per choice."""
        return ["".join(_DIGITS[index] for index in row) for row in self.canonical(X)]

    def from_key(self, key: str) -> IntArray:
        """Return the vector of a key, ``(1, n_var)``; raises ``ConfigError``."""
        if len(key) != self.n_var:
            raise ConfigError(f"key {key!r}: expected {self.n_var} digits, got {len(key)}")
        indices = [_DIGITS.find(digit) for digit in key]
        for column, (index, choice) in enumerate(zip(indices, self.choices, strict=True)):
            if not 0 <= index < len(choice.values):
                allowed = f"0 to {_DIGITS[len(choice.values) - 1]}"
                raise ConfigError(f"key {key!r}: digit {column + 1}: expected {allowed}, got {key[column]!r}")
        return self.canonical(np.array([indices], dtype=np.int64))

    # --- configs -----------------------------------------------------------------------------------------------------

    def decode(self, X: npt.ArrayLike) -> list[Config]:
        """Return vectors as configs."""
        X = self.check(X)
        tables = {key: self._spell(X, columns) for key, columns in self._columns().items()}
        fixed = {key: list(values) for key, values in self.fixed.items()}
        return [{key: table[row] for key, table in tables.items()} | _copied(fixed) for row in range(len(X))]

    def _spell(self, X: IntArray, columns: list[int]) -> list[list[Value]]:
        return [
            [self.choices[c].values[i] for c, i in zip(columns, row, strict=True)] for row in X[:, columns].tolist()
        ]

    def encode(self, configs: Configs) -> IntArray:
        """Return configs as vectors, ``(n, n_var)``; one config gives ``(1, n_var)``.

        Raises:
            ConfigError: names the config, the key, what was given and what is allowed.
        """
        given = [configs] if isinstance(configs, str | Mapping) else list(configs)
        rows = [self._respelled(number, plain(row)) for number, row in enumerate(given)]
        for number, row in enumerate(rows):
            self._check_keys(number, row)
        X = np.empty((len(rows), self.n_var), dtype=np.int64)
        for key, columns in self._columns().items():
            lists = [_as_list(number, key, row[key], len(columns)) for number, row in enumerate(rows)]
            for position, column in enumerate(columns):
                X[:, column] = self._indices(column, position, [values[position] for values in lists])
        return X

    def _respelled(self, number: int, row: Any) -> Any:
        read: Callable[[Any], Any] | None = None
        if isinstance(row, str):
            read = self.named
        elif isinstance(row, Mapping):
            read = self.respell
        if read is None:
            return row
        try:
            return read(row)
        except ConfigError as error:
            raise ConfigError(f"config {number}: {error}") from None

    def _indices(self, column: int, position: int, given: Sequence[Any]) -> list[int]:
        choice = self.choices[column]
        index_of = {value: index for index, value in enumerate(choice.values)}
        truth = isinstance(choice.values[0], bool)
        indices = []
        for number, value in enumerate(given):
            # bool is an int to Python and True would pass for 1; unhashable values cannot be looked up.
            ok = isinstance(value, (int, float)) and isinstance(value, bool) == truth and value in index_of
            if not ok:
                where = f"config {number}: {choice.key}[{position}]"
                raise ConfigError(f"{where}: expected one of {_listed(choice.values)}, got {value!r}")
            indices.append(index_of[value])
        return indices

    def _check_keys(self, number: int, row: Any) -> None:
        if not isinstance(row, Mapping):
            raise ConfigError(f"config {number}: expected an object like {self._example()}, got {type(row).__name__}")
        columns = self._columns()
        for key, value in row.items():
            if key in self.ignored and value == self.ignored[key]:
                continue
            if key in self.fixed:
                if _scalar_or_list(value) != list(self.fixed[key]):
                    raise ConfigError(
                        f"config {number}: {key}: is fixed at {list(self.fixed[key])} in this space, got {value!r}"
                    )
            elif key not in columns:
                raise ConfigError(f"config {number}: unknown key {key!r}{suggestion(str(key), columns)}")
        missing = [key for key in columns if key not in row]
        if missing:
            raise ConfigError(f"config {number}: missing {', '.join(missing)}; a config looks like {self._example()}")

    def _columns(self) -> dict[str, list[int]]:
        columns: dict[str, list[int]] = {}
        for column, choice in enumerate(self.choices):
            columns.setdefault(choice.key, []).append(column)
        return columns

    def _example(self) -> str:
        lengths = {key: len(columns) for key, columns in self._columns().items()}
        return "{" + ", ".join(f'"{key}": [{n} values]' for key, n in lengths.items()) + "}"


def _scalar_or_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _as_list(number: int, key: str, value: Any, length: int) -> list[Any]:
    values = _scalar_or_list(value)
    if len(values) != length:
        raise ConfigError(f"config {number}: {key}: expected {length} values, got {len(values)}")
    return values


def _listed(values: Sequence[Value]) -> str:
    return "{" + ", ".join(str(value) for value in values) + "}"


def _copied(fixed: Mapping[str, list[Value]]) -> Config:
    return {key: list(values) for key, values in fixed.items()}
