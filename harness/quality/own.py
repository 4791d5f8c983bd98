"""A quality of the user's own: a function of a sub-network's module and its config.

::

    @hwnas.quality("accuracy", unit="%")
    def accuracy(module, config):
        return 100 * right_of(module) / len(images)
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from hwnas.harness.quality.evaluated import EvaluatedQuality
from hwnas.harness.quality.metric import Metric
from hwnas.harness.quality.quality import QualityOptions, Score
from hwnas.supernets.contents import SHOWN, Content
from hwnas.supernets.errors import QualityError, suggestion
from hwnas.supernets.named_outputs import name_outputs
from hwnas.supernets.own_code import check_takes, code_digest, explained
from hwnas.supernets.plug_ins import FAILURES
from hwnas.supernets.quoting import shortened
from hwnas.supernets.space import Config
from hwnas.supernets.supernet import SuperNetwork
from hwnas.supernets.values import bounds, fault

if TYPE_CHECKING:
    import torch

Function: TypeAlias = Callable[["torch.nn.Module", Config], "float | Mapping[str, Any] | Score"]
# How a quality is chosen: by the spec of a source, or as a function.
QualityChoice: TypeAlias = "str | Function | OwnQuality"

_KEYS = ("value", "low", "high", "n", "others")


@dataclass(frozen=True)
class OwnQuality:
    """A function that says how good a sub-network is; it is still called as the function is.

    Attributes:
        function: takes the sub-network's module, in evaluation mode, and its config. It returns a number, or a dict
            with "value", "low" and "high" (a 95 % interval), "n" (examples tested) and "others" (further numbers).
        metric: the metric's name.
        unit: of the metric ("%"); empty where it has none.
        maximise: more is better.
    """

    function: Function
    metric: str
    unit: str = ""
    maximise: bool = True

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise QualityError(f"quality: expected a function, got a {type(self.function).__name__}")
        spelled = f"{self.metric}{f'[{self.unit}]' if self.unit else ''}:{'max' if self.maximise else 'min'}"
        if Metric.parse(spelled) != Metric(self.metric, self.unit, self.maximise):
            raise QualityError(
                f"quality: metric {self.metric!r} with unit {self.unit!r}: expected a name of letters, digits and "
                "._@-, and a unit without spaces and brackets"
            )

    def __call__(self, module: torch.nn.Module, config: Config) -> Any:
        return self.function(module, config)

    @classmethod
    def of(cls, function: Function | OwnQuality) -> OwnQuality:
        """Return a function as a quality: the metric has its name, or is called "quality", and more is better."""
        if isinstance(function, cls):
            return function
        if not callable(function):
            raise QualityError(f"quality: expected the name of a source or a function, got a {type(function).__name__}")
        name = str(getattr(function, "__name__", ""))
        return cls(function, name if Metric.parse(f"{name}:max") else "quality")

    @property
    def name(self) -> str:
        """The function's name, for messages."""
        return str(getattr(self.function, "__qualname__", type(self.function).__name__))


def own(quality: Function | OwnQuality, net: SuperNetwork, options: QualityOptions) -> EvaluatedQuality:
    """Return the quality source of a function in this process.

    Its values are part of studies, and are not stored beside them for other studies: what a function depends on beside
    its code is not known.

    Raises:
        QualityError: it cannot be called with a module and a config, or ``subset`` is given.
    """
    made = OwnQuality.of(quality)
    name = f"python:{made.name}"
    content = Content(made.name, code_digest(made.function))
    return evaluated(name, made, net, replace(options, store=None), content)


def evaluated(
    name: str,
    quality: OwnQuality,
    net: SuperNetwork,
    options: QualityOptions,
    content: Content,
    file: str | None = None,
) -> EvaluatedQuality:
    """Return the quality source of a function.

    Args:
        name: the source's.
        quality: the function and its metric.
        net: the super-network.
        options: the weights of sub-networks; ``None``: random ones.
        content: identifies the function.
        file: of the function; ``None``: it is defined in this process.
    """
    if options.subset is not None:
        raise QualityError(f"{name}: chooses its examples itself, so it has no use for subset")
    check_takes(quality.function, ("module", "config"), name, QualityError)
    return EvaluatedQuality(
        name=name,
        metric=quality.metric,
        unit=quality.unit,
        maximise=quality.maximise,
        net=net,
        options=options,
        data=f"what the function {quality.name} tests",
        score=_Scorer(name, quality, net, options.weights, file),
        known_by=f"python ({quality.name} of digest {content.digest[:SHOWN] or 'unknown'}",
        examples={"python quality": content} if content.digest else {},
        weights_needed=False,
        here_only=True,
    )


@dataclass(frozen=True)
class _Scorer:
    """Builds a sub-network and calls the function with it.

    Attributes:
        name: of the quality source.
        quality: the function.
        net: the super-network.
        weights: the file of its weights.
        file: of the function.
    """

    name: str
    quality: OwnQuality
    net: SuperNetwork
    weights: str | None
    file: str | None

    def __call__(self, config: Config) -> Score:
        module = name_outputs(self.net.build(config, self.weights), self.net)
        try:
            given = self.quality(module, copy.deepcopy(config))
        except FAILURES as error:
            return Score(math.nan, reason=f"{self.name} failed: {explained(error, self.file)}")
        try:
            return _score(given)
        except (TypeError, ValueError) as error:
            return Score(math.nan, reason=f"{self.name} returned no quality: {error}")


def _score(given: Any) -> Score:
    """Return what a function has returned as a score; raises ``TypeError`` or ``ValueError`` if it is none."""
    if isinstance(given, Score):
        given = {name: getattr(given, name) for name in _KEYS}
    if not isinstance(given, Mapping):
        return Score(_number("the value", given))
    unknown = [str(name) for name in given if name not in _KEYS]
    if unknown:
        raise ValueError(f"unknown key {shortened(unknown[0])!r}{suggestion(unknown[0], _KEYS)}")
    if "value" not in given:
        raise ValueError("expected a number, or a dict with the key 'value'")
    low, high = (_end(name, given.get(name)) for name in ("low", "high"))
    n, others = given.get("n", 0), given.get("others", {})
    if not isinstance(others, Mapping):
        raise TypeError(f"others: expected a dict of numbers, got a {type(others).__name__}")
    if _number("n", n) < 0 or int(n) != n:
        raise ValueError(f"n: expected a whole number of examples, got {n}")
    further = {str(name): _number(f"others[{str(name)!r}]", one) for name, one in others.items()}
    return Score(_number("value", given["value"]), *bounds(low, high), int(n), further)


def _number(what: str, given: Any) -> float:
    """Return a number, or what a tensor or array of one number holds; raises ``ValueError`` if it is none."""
    plain = given.item() if hasattr(given, "item") and getattr(given, "shape", None) == () else given
    reason = fault(plain)
    if reason is not None:
        raise ValueError(f"{what}: {reason}")
    return float(plain)


def _end(what: str, given: Any) -> float | None:
    """Return an end of an interval; ``None`` if there is none."""
    missing = given is None or (isinstance(given, float) and math.isnan(given))
    return None if missing else _number(what, given)
