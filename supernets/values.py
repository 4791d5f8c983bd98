"""Check that values are valid, i.e. finite numbers, and above 0 if they are times.

Every value that enters a ranking is checked here: those of quality sources, tables and clocks, those in stores and
files, and the limits that users give. The caller handles invalid ones: the value of a sub-network is a failed
evaluation with the reason, that of an argument or a record an error.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Self, get_args

import numpy as np
import numpy.typing as npt

from hwnas.supernets.errors import WorkError
from hwnas.supernets.space import FloatArray

# A hypervolume of six objectives of this size is still a finite number. No quantity of a network comes near it; one
# that does was divided by 0 or read in the wrong unit.
LARGEST = 1e50

_TIMES = frozenset({"s", "ms", "us", "µs", "ns"})
_SHOWN = 60
# Significant digits of numbers in JSON.
_DIGITS = 9


def is_time(unit: str) -> bool:
    """Return whether values in ``unit`` are times, which have to be above 0."""
    return unit in _TIMES


def fault(value: object, *, time: bool = False) -> str | None:
    """Return what is wrong with a value ("expected a finite number, got inf"), or ``None`` if it is valid.

    Args:
        value: any object; true, false and text are not numbers.
        time: it has to be above 0.
    """
    if isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_)):
        try:
            plain = float(value)
        except OverflowError:
            plain = math.inf
        if math.isfinite(plain) and abs(plain) <= LARGEST and (plain > 0 or not time):
            return None
    return f"{_wanted(value, time)}, got {_shown(value)}"


def number(value: object, *, time: bool = False) -> float:
    """Return a value as a float; raises ``ValueError`` with its ``fault``."""
    reason = fault(value, time=time)
    if reason is not None:
        raise ValueError(reason)
    return float(value)  # type: ignore[arg-type]  # a real number


def of_kind(name: str, value: Any, kind: Any) -> Any:
    """Return a stored value of the type that it has to have; true and false are no whole numbers.

    Args:
        name: what it is, for messages.
        value: any object.
        kind: a type, or a union of types.

    Raises:
        TypeError: it is of another type.
    """
    if not isinstance(value, kind) or (isinstance(value, bool) and bool not in (get_args(kind) or (kind,))):
        raise TypeError(f"{name}: expected {getattr(kind, '__name__', kind)}, got {_shown(value)}")
    return value


def one_of(name: str, value: object, words: Collection[str]) -> str:
    """Return a stored word, one of ``words``; raises ``ValueError`` where it is another."""
    if not isinstance(value, str) or value not in words:
        raise ValueError(f"{name}: expected one of {', '.join(filter(None, words))}, got {_shown(value)}")
    return value


def json_number(value: float, digits: int | None = None) -> float | None:
    """Return a number for JSON; ``None`` in place of nan and infinity, for which JSON has no word.

    Args:
        value: the number.
        digits: significant ones; ``None``: all.
    """
    if not math.isfinite(value):
        return None
    return float(value) if digits is None else float(f"{value:.{digits}g}")


def json_numbers(values: Any) -> Any:
    """Return numbers, an array of any shape or nested lists, for JSON: nested lists, floats to nine digits."""
    if isinstance(values, (np.ndarray, list, tuple)):
        return [json_numbers(entry) for entry in values]
    if isinstance(values, (int, np.integer)):
        return int(values)
    # Nine digits are beyond any measurement, and keep a file of many rows small.
    return json_number(values, _DIGITS)


def number_or_none(value: object, *, time: bool = False) -> float:
    """Return a stored value, with nan for ``None``, which stands for a missing value; raises as ``number``."""
    return math.nan if value is None else number(value, time=time)


def bounds(low: object, high: object) -> tuple[float, float]:
    """Return the ends of a stored interval, nan for ``None``; raises ``ValueError`` if they are not in order."""
    ends = number_or_none(low), number_or_none(high)
    if ends[0] > ends[1]:
        raise ValueError(f"expected an interval from low to high, got {ends[0]} to {ends[1]}")
    return ends


@dataclass(frozen=True, eq=False)
class Values:
    """One value, or the reason why there is none, for each of ``n`` sub-networks (or runs).

    Attributes:
        values: ``(n,)``; nan for invalid ones.
        reasons: why a value is invalid; "" for valid ones.
    """

    values: FloatArray
    reasons: tuple[str, ...]

    @classmethod
    def of(
        cls, given: Any, n: int, *, source: str, missing: str, time: bool = False, asked: str = "sub-networks"
    ) -> Self:
        """Check the values that a source has returned.

        Args:
            given: an array, a sequence or a tensor of ``n`` values, or anything else, which is an error.
            n: how many values were asked for.
            source: of the values, for reasons.
            missing: the reason if a value is nan, which means that the source has none.
            time: values have to be above 0.
            asked: what each value is of, for messages.

        Raises:
            WorkError: there is not one value for each.
        """
        found = _elements(given)
        if found is None or len(found) != n:
            what = f"{len(found)} values" if found is not None else _shown(given)
            raise WorkError(f"{source} gave {what} for {n} {asked}, expected one value for each")
        if isinstance(found, np.ndarray):
            values = np.asarray(found, dtype=np.float64)
            least = np.nextafter(0, 1) if time else -LARGEST
            if ((values >= least) & (values <= LARGEST)).all():
                return cls(values, ("",) * n)
        reasons = tuple(_reason(value, source, missing, time) for value in found)
        kept = [math.nan if reason else float(value) for value, reason in zip(found, reasons, strict=True)]
        return cls(np.array(kept, dtype=np.float64).reshape(n), reasons)

    def times(self, factor: float) -> Self:
        """Return the same in another unit."""
        return type(self)(self.values * factor, self.reasons)


def _elements(given: Any) -> npt.NDArray[Any] | Sequence[Any] | None:
    """Return the values as an array of numbers or a sequence of objects; ``None`` if they are neither."""
    if not isinstance(given, np.ndarray) and hasattr(given, "__array__"):
        given = np.asarray(given)
    if isinstance(given, np.ndarray):
        if given.ndim != 1:
            return None
        return given if given.dtype.kind in "iuf" else given.tolist()
    return given if isinstance(given, (list, tuple)) else None


def _reason(value: Any, source: str, missing: str, time: bool) -> str:
    if isinstance(value, (float, np.floating)) and math.isnan(value):
        return missing
    return "" if fault(value, time=time) is None else f"{source} gave {_shown(value)}: {_wanted(value, time)}"


def _wanted(value: object, time: bool) -> str:
    plain = value.item() if isinstance(value, np.generic) else value
    large = isinstance(plain, (int, float)) and LARGEST < abs(plain) < math.inf
    limits = [*(["above 0"] if time else []), *([f"up to {LARGEST:g}"] if large else [])]
    return " ".join(["expected a finite number", " and ".join(limits)]).rstrip()


def _shown(value: object) -> str:
    """Return a short text for a value in a message; for other than plain values, its type."""
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, float):
        return f"{plain:g}"
    if isinstance(plain, int) and not isinstance(plain, bool):
        return str(plain) if abs(plain) < 10**18 else "a whole number of too many digits"
    if plain is None or isinstance(plain, (str, bytes, bool, complex)):
        text = repr(plain[: _SHOWN + 1] if isinstance(plain, (str, bytes)) else plain)
        return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
    return f"a value of type {type(plain).__name__}"
