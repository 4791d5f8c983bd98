"""BootstrapNAS ResNet50 (Munoz et al., 2022, arXiv 2112.10878), to be run in INT8 (Cummings et al., 2022, appendix F).

The paper gives the values of the choices, ``d`` in {0, 1}, ``w`` in {0.65, 0.8, 1.0} and ``e`` in {0.2, 0.25}, and the
size of the space, about 1e7, but not where the choices are. So the positions are an option. By default they are those
of four stages' depths and widths and of every bottleneck's ratio: 2.1e7 vectors, 6.7e6 distinct networks.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from hwnas.supernets.errors import UsageError
from hwnas.supernets.images.options import parse_images
from hwnas.supernets.images.resnet import STAGES, ElasticResNet, ResNetChoices
from hwnas.supernets.zoo.ofa_resnet50 import RESOLUTIONS

DEPTHS = (0, 1)
EXPANDS = (0.2, 0.25)
WIDTHS = (0.65, 0.8, 1.0)

_LAYERS = ResNetChoices(DEPTHS, EXPANDS, WIDTHS, WIDTHS).layers
_POSITIONS = {
    f"d{d}+w{w}+e{e}": (d, w, e)
    for d, w, e in itertools.product((STAGES, STAGES + 1), (STAGES, STAGES + 1, STAGES + 2), (STAGES, sum(_LAYERS)))
}
_DEFAULT = f"d{STAGES}+w{STAGES}+e{sum(_LAYERS)}"


def create(name: str, options: Mapping[str, str]) -> ElasticResNet:
    """Make ``bootstrapnas-resnet50``.

    Args:
        name: of it.
        options: ``positions``: ``dN+wN+eN``, at how many positions depth (4: stages, 5: and the stem's), width (4:
            stages, 5: and the stem's last, 6: and its first) and expand ratio (4: stages, 14: bottlenecks) are elastic;
            the others are those of every image classifier, see ``hwnas.supernets.images.options.ImageOptions``.
    """
    positions = options.get("positions", _DEFAULT)
    if positions not in _POSITIONS:
        raise UsageError(f"positions={positions!r}: expected one of {', '.join(_POSITIONS)}")
    others = {key: value for key, value in options.items() if key != "positions"}
    images = parse_images(name, others, RESOLUTIONS[::4])
    n_d, n_w, n_e = _POSITIONS[positions]
    choices = ResNetChoices(DEPTHS, EXPANDS, WIDTHS, WIDTHS, n_d, n_w, n_e)
    spelled = images.name(name, "" if positions == _DEFAULT else f"positions={positions}")
    net = ElasticResNet(spelled, "BootstrapNAS ResNet50, for INT8", choices, images, images.quality("imagenet"))
    net.summary += f", {net.space.size:.1e} vectors"
    return net
