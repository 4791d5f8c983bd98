"""``surrogate``: predict quality by a small regression, either a shipped one or one fitted on a measured CSV file.

The coefficients of shipped surrogates are fitted by ``scripts/fit_surrogate.py``; the model card beside them says on
which data, and how accurate they are.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
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

SPELLED = "surrogate[:FILE]"
SUMMARY = "a regression on measured sub-networks: shipped for ofa-mbv3-w1.0, or fitted on a CSV file"

FOLDER = Path(__file__).parent / "coefficients"

# The least number of distinct sub-networks. With fewer, too few are held out to estimate an error.
LEAST_ROWS = 50
# Options left out in turn to see what is predicted worse without them, and sub-networks that must have one.
_LEFT_OUT, _LEAST_WITH = 10, 5
# Options that a message names.
_SHOWN = 5
_RESOLUTION = "r"


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
    unseen = _unseen(net.space, found.lookup.vectors)
    _check_seen(f"{name}:{argument}", net.space, unseen)
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
            f"{_beyond(net.space, unseen, features, values)}"
        ),
        function=_Predictor(net.space, fit(features, groups(net.space), values)),
        source=found.source,
        contents=found.contents,
    )


# --- what its rows do not have ---------------------------------------------------------------------------------------


def _unseen(space: SearchSpace, X: IntArray) -> list[tuple[int, int]]:
    """Return the options that no row has, as variable and index; what builds the same network counts once."""
    # Masked: what a row has of a layer that it leaves out says nothing about it.
    seen = space.one_hot(X).sum(axis=0) > 0
    starts = np.cumsum([0, *space.n_options])
    return [
        (column, index)
        for column, choice in enumerate(space.choices)
        for index in range(len(choice.values))
        if not seen[starts[column] + index] and (choice.same_as is None or choice.same_as[index] == index)
    ]


def _check_seen(name: str, space: SearchSpace, unseen: Sequence[tuple[int, int]]) -> None:
    """Refuse a space with depths or resolutions that no row has: they change the network as a whole."""
    whole = {choice.needs[0] for choice in space.choices if choice.needs is not None}
    missing = [(c, i) for c, i in unseen if c in whole or space.choices[c].key == _RESOLUTION]
    if missing:
        raise QualityError(
            f"{name}: none of its sub-networks has {_named(space, missing)}, and a regression says nothing about "
            "these; measure some, or search a space without them"
        )


def _beyond(space: SearchSpace, unseen: Sequence[tuple[int, int]], features: FloatArray, values: FloatArray) -> str:
    """Return what the note says of options that no row has: the error for options that the fit has not seen."""
    if not unseen:
        return ""
    error = _error_of_unseen(features, groups(space), values)
    said = "of unknown error" if error is None else f"with a mean absolute error of {error:.3f} %"
    return f"; none of its sub-networks has {_named(space, unseen)}: what has those is predicted {said}"


def _error_of_unseen(features: FloatArray, owner: IntArray, values: FloatArray) -> float | None:
    """Return the mean absolute error, in per cent, of sub-networks with an option that the fit has not seen.

    Options that there are are left out in turn; ``None``: none has enough sub-networks with it and without.
    """
    share = features.mean(axis=0)
    enough = np.flatnonzero((share * len(values) >= _LEAST_WITH) & ((1 - share) * len(values) >= LEAST_ROWS / 2))
    errors = []
    for option in np.random.default_rng(0).permutation(enough)[:_LEFT_OUT]:
        held = features[:, option] > 0
        predicted = fit(features[~held], owner, values[~held]).predict(features[held])
        errors.append(float(np.mean(np.abs(predicted / values[held] - 1))) * 100)
    return float(np.mean(errors)) if errors else None


def _named(space: SearchSpace, options: Sequence[tuple[int, int]]) -> str:
    names = []
    for column, index in options:
        key = space.choices[column].key
        place = sum(choice.key == key for choice in space.choices[:column])
        alone = sum(choice.key == key for choice in space.choices) == 1
        names.append(f"{key}{'' if alone else f'[{place}]'}={space.choices[column].values[index]}")
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} options more" if more > 0 else "")


class _Predictor:
    """A fitted regression, callable with vectors."""

    def __init__(self, space: SearchSpace, fitted: PairwiseModel) -> None:
        self._space = space
        self._fitted = fitted

    def __call__(self, X: npt.ArrayLike) -> FloatArray:
        return self._fitted.predict(self._space.one_hot(X))


def _is_card(file: Path) -> bool:
    return file.name.endswith(".card.json")
