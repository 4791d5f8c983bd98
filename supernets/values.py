"""What a value may be, said in one place: a finite number, and above 0 where it is a time.

Whatever enters a ranking is checked here: what quality sources and tables answer, what clocks say, what lies in a store
or a file, what a user writes as a limit. Who calls this says what becomes of a value that may not be: one
sub-network's is a failed evaluation with the reason, an argument's or a record's is an error.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from hwnas.supernets.errors import WorkError
from hwnas.supernets.space import FloatArray

# The product of six numbers of this size, which a hypervolume is, is still a finite number; no quantity of a network
# comes near it, and what does was divided by 0 or read in the wrong unit.
LARGEST = 1e50

_TIMES = frozenset({"s", "ms", "us", "µs", "ns"})
_SHOWN = 60
# Significant digits of numbers in JSON.
_DIGITS = 9


def is_time(unit: str) -> bool:
    """Return whether values in ``unit`` are times, which have to be above 0."""
    return unit in _TIMES


def fault(value: object, *, time: bool = False) -> str | None:
    """Return what is wrong with a value ("expected a finite number, got inf"), or ``None`` where it may be one.

    Args:
        value: anything; true and false are no numbers, nor is text that spells one.
        time: it has to be above 0.
    """
    if isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_)):
        try:
            plain = float(value)
        except OverflowError:
            plain = math.inf
        if math.isfinite(plain) and abs(plain) <= LARGEST and (plain > 0 or not time):
            return None
    return f"{_wanted(time)}, got {_shown(value)}"


def number(value: object, *, time: bool = False) -> float:
    """Return a value as a float; raises ``ValueError`` with its ``fault``."""
    reason = fault(value, time=time)
    if reason is not None:
        raise ValueError(reason)
    return float(value)  # type: ignore[arg-type]  # a real number


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
    """Return a stored value, nan for ``None``, which stands for a value that is not there; raises as ``number``."""
    return math.nan if value is None else number(value, time=time)


def bounds(low: object, high: object) -> tuple[float, float]:
    """Return the ends of a stored interval, nan for ``None``; raises ``ValueError`` where they are not two in order."""
    ends = number_or_none(low), number_or_none(high)
    if ends[0] > ends[1]:
        raise ValueError(f"expected an interval from low to high, got {ends[0]} to {ends[1]}")
    return ends


@dataclass(frozen=True, eq=False)
class Values:
    """One value for each of ``n`` sub-networks (or runs), or the reason why it has none.

    Attributes:
        values: ``(n,)``; nan where there is none.
        reasons: why, where there is none; else "".
    """

    values: FloatArray
    reasons: tuple[str, ...]

    @classmethod
    def of(
        cls, given: Any, n: int, *, source: str, missing: str, time: bool = False, asked: str = "sub-networks"
    ) -> Self:
        """Take what a source answers, whatever it is.

        Args:
            given: the answer: an array, a sequence or a tensor of ``n``.
            n: how many values were asked for.
            source: what gave it, for reasons.
            missing: the reason where a value is nan, by which a source says that it knows none.
            time: values have to be above 0.
            asked: what each value is of, for messages.

        Raises:
            WorkError: it is not one value for each.
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
    """Return the answer as an array of numbers, or as a sequence of whatever it holds; ``None`` where it is neither."""
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
    return "" if fault(value, time=time) is None else f"{source} gave {_shown(value)}: {_wanted(time)}"


def _wanted(time: bool) -> str:
    return f"expected a finite number{' above 0' if time else ''}"


def _shown(value: object) -> str:
    """Spell a value for a message; what is no plain value by its type, for it may spell itself anyhow."""
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, float):
        return f"{plain:g}"
    if isinstance(plain, int) and not isinstance(plain, bool):
        return str(plain) if abs(plain) < 10**18 else "a whole number of too many digits"
    if plain is None or isinstance(plain, (str, bytes, bool, complex)):
        text = repr(plain[: _SHOWN + 1] if isinstance(plain, (str, bytes)) else plain)
        return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
    return f"a value of type {type(plain).__name__}"
