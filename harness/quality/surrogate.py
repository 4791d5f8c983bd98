"""``surrogate``: predict quality by a small regression, either a shipped one or one fitted on a measured CSV file.

The coefficients of shipped surrogates are fitted by ``scripts/fit_surrogate.py``; the model card beside them says on
which data, and how accurate they are.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hwnas.harness.quality import columns
from hwnas.harness.quality.pairwise import MOST_ROWS, SCHEMA, PairwiseModel, cross_validate, fit
from hwnas.harness.quality.quality import FunctionQuality
from hwnas.supernets.errors import NotServedError, QualityError
from hwnas.supernets.space import FloatArray, IntArray, SearchSpace
from hwnas.supernets.supernet import SuperNetwork

FOLDER = Path(__file__).parent / "coefficients"

# The least number of distinct sub-networks. With fewer, too few are held out to estimate an error.
LEAST_ROWS = 50


def create(name: str, argument: str, net: SuperNetwork) -> FunctionQuality:
    """Return the shipped surrogate of ``net``, or with ``FILE[,column=COLUMN]`` fit one."""
    return _fitted(name, argument, net) if argument else _shipped(name, net)


def serves(name: str, net: SuperNetwork) -> list[str]:
    """Return the specs of this source for ``net``: plain if one is shipped, and with a measured CSV file."""
    return [*([name] if net.name in shipped() else []), f"{name}:FILE"]


def shipped() -> list[str]:
    """Return the super-networks that have a shipped surrogate."""
    return sorted(file.name.removesuffix(".json") for file in FOLDER.glob("*.json") if not _is_card(file))


def card(net_name: str) -> dict[str, Any]:
    """Return the model card of the shipped surrogate of a super-network."""
    document: dict[str, Any] = json.loads((FOLDER / f"{net_name}.card.json").read_text(encoding="utf-8"))
    return document


def model(net_name: str) -> PairwiseModel:
    """Return the shipped surrogate of a super-network."""
    document = json.loads((FOLDER / f"{net_name}.json").read_text(encoding="utf-8"))
    if document["schema"] != SCHEMA:
        raise QualityError(
            f"surrogate of {net_name}: expected schema {SCHEMA}, got {document['schema']}; install hwnas anew"
        )
    return PairwiseModel.from_json(document)


def groups(space: SearchSpace) -> IntArray:
    """Return the choice that each one-hot feature belongs to, ``(sum of n_options,)``."""
    return np.repeat(np.arange(space.n_var), space.n_options)


def _shipped(name: str, net: SuperNetwork) -> FunctionQuality:
    if net.name not in shipped():
        raise NotServedError(f"{name}: the one that is shipped serves {', '.join(shipped())} only, not {net.name}")
    figures = card(net.name)
    return FunctionQuality(
        name=name,
        metric=figures["metric"],
        unit=figures["unit"],
        maximise=True,
        predicted=True,
        note=(
            f"{figures['metric']} is predicted by a regression on {figures['distinct']:,} measured sub-networks "
            f"(5-fold Kendall tau {figures['kendall_tau']:.3f}, mean absolute error {figures['mape_percent']:.3f} %)"
        ),
        function=_Predictor(net.space, model(net.name)),
    )


def _fitted(name: str, argument: str, net: SuperNetwork) -> FunctionQuality:
    found = columns.read(name, argument, net.space)
    n = len(found.lookup.values)
    if n < LEAST_ROWS:
        raise QualityError(
            f"{name}:{argument}: {n} distinct measured sub-networks are too few to fit on, expected at least "
            f"{LEAST_ROWS}; measure more, or use table:{argument} for these alone"
        )
    used = np.sort(np.random.default_rng(0).permutation(n)[:MOST_ROWS])
    features = net.space.one_hot(found.lookup.vectors[used])
    values = found.lookup.values[used]
    error = cross_validate(features, groups(net.space), values)
    return FunctionQuality(
        name=f"{name}:{argument}",
        metric=found.metric,
        unit=found.unit,
        maximise=found.maximise,
        predicted=True,
        note=(
            f"{found.metric} is predicted by a regression on {len(used):,} of {n:,} measured sub-networks in "
            f"{argument} (5-fold Kendall tau {error.tau:.3f}, mean absolute error {error.mape:.3f} %)"
        ),
        function=_Predictor(net.space, fit(features, groups(net.space), values)),
        source=found.source,
        contents=found.contents,
    )


class _Predictor:
    """A fitted regression, callable with vectors."""

    def __init__(self, space: SearchSpace, fitted: PairwiseModel) -> None:
        self._space = space
        self._fitted = fitted

    def __call__(self, X: npt.ArrayLike) -> FloatArray:
        return self._fitted.predict(self._space.one_hot(X))


def _is_card(file: Path) -> bool:
    return file.name.endswith(".card.json")
