"""``imagenet:DIR``: top-1 accuracy on ImageNet, measured as once-for-all does it (Cai et al., 2020).

``DIR`` has a folder ``val`` with one folder per class, or is itself that folder; batch-norm statistics are recalibrated
on images of ``DIR/train`` if there are any. The shorter side is resized to ceil(resolution / 0.875), then the centre is
cropped.
"""

from __future__ import annotations

from hwnas.harness.data.image_folders import FolderImages
from hwnas.harness.data.image_set import has_training_images, open_images
from hwnas.harness.data.images import ImageNetwork
from hwnas.harness.quality.evaluated import EvaluatedQuality
from hwnas.harness.quality.images import check_serves, classifying, read_argument, serves
from hwnas.harness.quality.quality import QualityOptions
from hwnas.supernets.errors import DataError

SPELLED = "imagenet:DIR"
SUMMARY = "top-1 accuracy on ImageNet, batch-norm statistics recalibrated as once-for-all does"

__all__ = ["USES_WEIGHTS", "create", "serves"]

USES_WEIGHTS = True
ON_BACKENDS = True
SETS_STATISTICS = True
# So many images are enough to search by: at 76 %, the accuracies of two sub-networks are known to 1 % then.
BRIEF = 2000


def create(name: str, argument: str, net: ImageNetwork, options: QualityOptions) -> EvaluatedQuality:
    """Make the source; ``argument`` begins with the folder, the rest is as in ``hwnas.harness.quality.images``."""
    check_serves(name, argument, net)
    folder, deployment = read_argument(name, argument)
    test = open_images(folder, "test", net.channels)
    if not isinstance(test, FolderImages):
        raise DataError(f"{folder}: expected folders of images, one per class, got IDX files; images: takes both")
    train = open_images(folder, "train", net.channels) if has_training_images(folder) else None
    return classifying(f"{name}:{argument}", net, options, test, train, deployment)
