"""``ofa-predictor``: predict ImageNet top-1 by once-for-all's published accuracy predictors (Cai et al., 2020).

They rank well within one resolution but not across resolutions, and are some points above measured accuracy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwnas.harness.quality.mlp import Mlp
from hwnas.harness.quality.quality import FunctionQuality
from hwnas.supernets.assets import Asset, locate
from hwnas.supernets.errors import NotServedError, QualityError
from hwnas.supernets.space import FloatArray, IntArray, SearchSpace
from hwnas.supernets.spec import parse_spec
from hwnas.supernets.supernet import SuperNetwork

SPELLED = "ofa-predictor"
SUMMARY = "once-for-all's published accuracy predictors: ofa-mbv3-w1.2, ofa-resnet50"


@dataclass(frozen=True)
class PublishedPredictor:
    """One published predictor.

    Attributes:
        supernet: the super-network it was trained for.
        asset: its checkpoint.
        layers: names of the checkpoint's linear layers.
        base: name of a number that is added to their result, or "".
        resolutions: the resolutions it has features for, in pixels.
        features: maps vectors, ``(n, n_var)``, to features, ``(n, inputs)``.
    """

    supernet: str
    asset: Asset
    layers: tuple[str, ...]
    base: str | None
    resolutions: tuple[int, ...]
    features: Callable[[SearchSpace, npt.ArrayLike], FloatArray]


def create(name: str, argument: str, net: SuperNetwork) -> FunctionQuality:
    """Return the predictor of ``net``; it has no argument."""
    if argument:
        raise QualityError(f"{name}: has no argument, got {argument!r}; expected {name} alone")
    published = _of(name, net)
    mlp = Mlp.load(locate(published.asset), published.layers, published.base)
    return FunctionQuality(
        name=name,
        metric="top1",
        unit="%",
        maximise=True,
        predicted=True,
        note=(
            "top1 is predicted by once-for-all's published predictor: it ranks well within one resolution, "
            "its values lie some points above measured ones"
        ),
        function=lambda X: 100 * mlp(published.features(net.space, X)),
    )


def serves(name: str, net: SuperNetwork) -> list[str]:
    """Return the spec of this source if it serves ``net``; else nothing."""
    try:
        _of(name, net)
    except NotServedError:
        return []
    return [name]


def _of(name: str, net: SuperNetwork) -> PublishedPredictor:
    plain, spelled = parse_spec(net.name, net.name)
    options = set(spelled) - {"r"}
    found = next((published for published in _PUBLISHED if published.supernet == plain), None)
    if found is None:
        served = ", ".join(published.supernet for published in _PUBLISHED)
        raise NotServedError(f"{name}: was trained for {served}, not for {net.name}")
    if options:
        raise NotServedError(
            f"{name}: was trained for {plain} as it was published, not with {', '.join(sorted(options))} of its own"
        )
    odd = [value for value in _resolutions(net.space) if value not in found.resolutions]
    if odd:
        known = ", ".join(map(str, found.resolutions))
        raise NotServedError(
            f"{name}: knows the resolutions {known}, not {odd[0]}; it serves {plain}:r={found.resolutions[-1]}, say"
        )
    return found


def _resolutions(space: SearchSpace) -> list[int]:
    elastic = [int(value) for choice in space.choices if choice.key == "r" for value in choice.values]
    return elastic or [int(value) for value in space.fixed["r"]]


# --- OFA MobileNetV3: kernels 60 | expand ratios 60 | resolutions 8, no depths ----------------------------------------

_MOBILENET_RESOLUTIONS = tuple(range(112, 225, 16))
_LAYER_FEATURES = 120


def _mobilenet(space: SearchSpace, X: npt.ArrayLike) -> FloatArray:
    X = space.check(X)
    # The space's own features begin with kernels and expand ratios, all zero for absent layers, as the predictor wants.
    layers = space.one_hot(X)[:, :_LAYER_FEATURES]
    return np.hstack([layers, _one_hot_resolution(space, X, _MOBILENET_RESOLUTIONS)])


# --- OFA ResNet50: resolutions 8 | residual convolution of the stem 2 | widths 18 | expand ratios 54 ------------------

_RESNET_RESOLUTIONS = (128, 144, 160, 176, 192, 224, 240, 256)  # once-for-all trained it on these: 208 is not there


def _resnet(space: SearchSpace, X: npt.ArrayLike) -> FloatArray:
    X = space.check(X)
    one_hot = space.one_hot(X)
    # The space's own features: depths 15, expand ratios 54, widths 18. The predictor's feature for
    # the stem's depth, 0 or 2, is whether it is 0.
    depths, expands, widths, _ = np.split(one_hot, (15, 69, 87), axis=1)
    resolution = _one_hot_resolution(space, X, _RESNET_RESOLUTIONS)
    return np.hstack([resolution, depths[:, [0, 2]], widths, expands])


def _one_hot_resolution(space: SearchSpace, X: IntArray, known: tuple[int, ...]) -> FloatArray:
    values = np.array(_resolutions(space))
    columns = [column for column, choice in enumerate(space.choices) if choice.key == "r"]
    chosen = values[X[:, columns[0]]] if columns else np.full(len(X), values[0])
    features: FloatArray = np.equal(chosen[:, None], np.array(known)).astype(np.float64)
    return features


_OFA = "https://raw.githubusercontent.com/mit-han-lab/once-for-all/698a5c10b434172056a565b340c46ce11df18629"

_PUBLISHED = (
    PublishedPredictor(
        supernet="ofa-mbv3-w1.2",
        asset=Asset(
            path="ofa/acc_predictor.pth",
            urls=(
                f"{_OFA}/tutorial/checkpoints/acc_predictor.pth",
                "https://raw.githubusercontent.com/han-cai/files/master/ofa/acc_predictor.pth",
            ),
            sha256="48685122a3540636b06699af66cd816456b25f29b69563e2fda9bed4018eeba0",
            licence="MIT",
        ),
        layers=("0", "2", "4", "6"),
        base=None,
        resolutions=_MOBILENET_RESOLUTIONS,
        features=_mobilenet,
    ),
    PublishedPredictor(
        supernet="ofa-resnet50",
        asset=Asset(
            path="ofa/ofa_resnet50_acc_predictor.pth",
            urls=(
                "https://raw.githubusercontent.com/han-cai/files/master/ofa/ofa_resnet50_acc_predictor.pth",
                "https://hanlab.mit.edu/files/OnceForAll/tutorial/ofa_resnet50_acc_predictor.pth",
            ),
            sha256="68912b4b4be38feb504c5b773dc847af23a637984d5eaabf548de72cd0f79529",
            licence="none stated",
        ),
        layers=("layers.0.0", "layers.1.0", "layers.2.0", "layers.3"),
        base="base_acc",
        resolutions=_RESNET_RESOLUTIONS,
        features=_resnet,
    ),
)
