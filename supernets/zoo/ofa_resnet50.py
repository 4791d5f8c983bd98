"""Once-for-all ResNet50 (Cai et al., 2020, arXiv 1908.09791).

Configs: ``d`` of the stem and four stages in {0, 1, 2}, ``e`` of 18 bottlenecks in {0.2, 0.25, 0.35}, ``w`` of the
stem's two widths and four stages, indices into {0.65, 0.8, 1.0}.
"""

from __future__ import annotations

from collections.abc import Mapping

from hwnas.supernets.images.options import parse_images
from hwnas.supernets.images.resnet import ElasticResNet, ResNetChoices

DEPTHS = (0, 1, 2)
EXPANDS = (0.2, 0.25, 0.35)
WIDTHS = (0.65, 0.8, 1.0)
RESOLUTIONS = tuple(range(128, 257, 4))

# The published accuracy predictor has features for these: there is none for 208 px.
PREDICTED_RESOLUTIONS = (128, 144, 160, 176, 192, 224, 240, 256)


def create(name: str, options: Mapping[str, str]) -> ElasticResNet:
    """Make ``ofa-resnet50``.

    Args:
        name: of it.
        options: ``r``: a resolution, several joined by ``+``, or ``elastic`` for those that the published predictor
            knows; the others are those of every image classifier, see ``hwnas.supernets.images.options.ImageOptions``.
    """
    images = parse_images(name, options, PREDICTED_RESOLUTIONS)
    choices = ResNetChoices(DEPTHS, EXPANDS, WIDTHS, width_values=(0, 1, 2))
    quality = images.quality("ofa-predictor")
    return ElasticResNet(images.name(name), "Once-for-all ResNet50", choices, images, quality)
