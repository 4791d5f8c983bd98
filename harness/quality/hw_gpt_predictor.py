"""``hw-gpt-predictor``: predict perplexity by HW-GPT-Bench's published predictors (Sukthanker et al., 2024).

They were fitted to sub-networks of weight-sharing super-networks that were trained and tested on OpenWebText.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hwnas.harness.quality.mlp import Mlp
from hwnas.harness.quality.quality import FunctionQuality
from hwnas.supernets.assets import Asset, locate
from hwnas.supernets.errors import NotServedError, QualityError
from hwnas.supernets.space import FloatArray, SearchSpace
from hwnas.supernets.spec import parse_spec
from hwnas.supernets.supernet import SuperNetwork

SPELLED = "hw-gpt-predictor"
SUMMARY = "HW-GPT-Bench's published predictors of perplexity: hw-gpt-s, hw-gpt-m, hw-gpt-l"

# What a user may choose without another network being built.
_MEASURED = {"prompt", "new"}

_LAYERS = ("fc1", "fc2", "fc3", "fc4", "fc5")
_PUBLISHED = (
    "https://raw.githubusercontent.com/automl/HW-GPT-Bench/1f43ee8322e6295d56c1e2004319123509fd53b8/"
    "data_collection/gpt_datasets/predictor_ckpts/metric"
)
_DIGESTS = {
    "hw-gpt-s": "e843a1afdcaa35707bd0a0659b8d88d9565ee7e2bc1ec30fb55e685f6193407b",
    "hw-gpt-m": "b2a05ec30a8b189ff7869bd02f0930687e76583e4ac67804f0c44e5cf3e19178",
    "hw-gpt-l": "4eb94732b81d45453109465fe965f46a087c5ac7cc573919bec0ecf666f5af30",
}


def create(name: str, argument: str, net: SuperNetwork) -> FunctionQuality:
    """Return the predictor of ``net``; it has no argument."""
    if argument:
        raise QualityError(f"{name}: has no argument, got {argument!r}; expected {name} alone")
    mlp = Mlp.load(locate(_asset(_served(name, net))), _LAYERS)
    return FunctionQuality(
        name=name,
        metric="perplexity",
        unit="",
        maximise=False,
        predicted=True,
        note="perplexity on OpenWebText is predicted by HW-GPT-Bench's published predictor",
        function=lambda X: mlp(features(net.space, X)),
    )


def serves(name: str, net: SuperNetwork) -> list[str]:
    """Return the spec of this source if it serves ``net``; else nothing."""
    try:
        _served(name, net)
    except NotServedError:
        return []
    return [name]


def features(space: SearchSpace, X: npt.ArrayLike) -> FloatArray:
    """Return the predictor's features of vectors: the space's own, with those of the bias as True, False."""
    own = space.one_hot(X)
    return np.hstack([own[:, :-2], own[:, :-3:-1]])


def _served(name: str, net: SuperNetwork) -> str:
    plain, options = parse_spec(net.name, net.name)
    if plain not in _DIGESTS:
        raise NotServedError(f"{name}: was trained for {', '.join(_DIGESTS)}, not for {net.name}")
    other = sorted(set(options) - _MEASURED)
    if other:
        raise NotServedError(
            f"{name}: was trained for {plain} as it was published, not with {', '.join(other)} of its own"
        )
    return plain


def _asset(plain: str) -> Asset:
    file = f"perplexity_{plain[-1]}.pt"
    return Asset(f"hwgpt/{file}", (f"{_PUBLISHED}/{file}",), _DIGESTS[plain], "Apache-2.0")
