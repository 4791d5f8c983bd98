"""``python:FILE.py:FUNCTION``: a quality of the user's own, from a function in a file.

``,metric=NAME[UNIT]:max`` or ``:min`` declares what it returns; otherwise the decorator ``hwnas.quality`` in the file
does, or the metric has the function's name, and more is better.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hwnas.harness.data.argument import parse_argument
from hwnas.harness.quality.evaluated import EvaluatedQuality
from hwnas.harness.quality.metric import Metric
from hwnas.harness.quality.own import OwnQuality, evaluated
from hwnas.harness.quality.quality import QualityOptions
from hwnas.supernets.errors import QualityError
from hwnas.supernets.own_code import load, printing_aside
from hwnas.supernets.space import Config
from hwnas.supernets.supernet import SuperNetwork

SPELLED = "python:FILE.py:FUNCTION"
SUMMARY = "a function of your own, which is given the sub-network and its config"

USES_WEIGHTS = True


def serves(name: str, net: SuperNetwork) -> list[str]:  # noqa: ARG001 - a function may test any super-network
    """Return the spec of this source."""
    return [f"{name}:FILE.py:FUNCTION"]


def create(name: str, argument: str, net: SuperNetwork, options: QualityOptions) -> EvaluatedQuality:
    """Make the source of ``FILE.py:FUNCTION[,metric=NAME[UNIT]:max]``."""
    spec, given = parse_argument(name, argument, ("metric",)) if argument else ("", {})
    found = load(spec, name, QualityError)
    quality = OwnQuality.of(found.function)
    if "metric" in given:
        quality = _declared(f"{name}:{argument}", quality, given["metric"])
    aside = replace(quality, function=_Aside(quality))
    return evaluated(f"{name}:{argument}", aside, net, options, found.content, found.content.name)


def _declared(what: str, quality: OwnQuality, spelled: str) -> OwnQuality:
    metric = Metric.parse(spelled)
    if metric is None:
        raise QualityError(
            f"{what}: metric={spelled}: expected NAME:max or NAME:min, or with a unit, like metric=accuracy[%]:max"
        )
    return replace(quality, metric=metric.name, unit=metric.unit, maximise=metric.maximise)


class _Aside:
    """Calls a function of a file; what it prints goes to standard error, where no document is."""

    def __init__(self, quality: OwnQuality) -> None:
        self._function = quality.function
        self.__wrapped__ = quality.function  # of which inspect.signature speaks
        self.__qualname__ = quality.name

    def __call__(self, module: Any, config: Config) -> Any:
        with printing_aside():
            return self._function(module, config)
