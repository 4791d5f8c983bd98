"""``images:PATH``: the accuracy of sub-networks on a user's own images, in folders or in IDX files.

``images:PATH,backend=openvino,precision=int8`` is the accuracy of what a backend makes of them; see
``harness.quality._deployment``.
"""

from __future__ import annotations

from harness.data.argument import parse_argument
from harness.data.image_set import FolderImages, ImageSet, has_training_images, open_images
from harness.data.images import ImageNetwork, check_classes
from harness.quality._deployment import KEYS, Deployment
from harness.quality.classification import CALIBRATION_IMAGES, Tester, chosen
from harness.quality.evaluated import EvaluatedQuality
from harness.quality.quality import QualityOptions
from supernets.errors import DataError, QualityError

USES_WEIGHTS = True


def create(name: str, argument: str, net: ImageNetwork, options: QualityOptions) -> EvaluatedQuality:
    """Make the source; ``argument`` begins with a path as ``harness.data.image_set.open_images`` takes it."""
    check_serves(name, argument, net)
    path, deployment = read_argument(name, argument)
    test = open_images(path, "test", net.channels)
    train = open_images(path, "train", net.channels) if has_training_images(path) else None
    return classifying(f"{name}:{argument}", net, options, test, train, deployment)


def read_argument(name: str, argument: str) -> tuple[str, Deployment | None]:
    """Return the path, and what runs the sub-networks where that is not torch."""
    path, given = parse_argument(name, argument, KEYS)
    return path, Deployment.read(name, given)


def check_serves(name: str, argument: str, net: ImageNetwork) -> None:
    """Raise ``QualityError`` where there is no path, or ``net`` takes no images."""
    if not argument:
        raise QualityError(f"{name}: expected {name}:PATH")
    kind = getattr(net, "data", None)
    if kind != "images":
        raise QualityError(f"{name}: serves super-networks of images, {net.name} takes {kind or 'no data'}")


def classifying(
    name: str,
    net: ImageNetwork,
    options: QualityOptions,
    test: ImageSet,
    train: ImageSet | None,
    deployment: Deployment | None,
) -> EvaluatedQuality:
    """Return the accuracy on ``test``, batch-norm statistics set on ``train`` where there is one."""
    check_classes(test, net)
    if train is not None and train.classes != test.classes:
        odd = sorted(set(train.classes) ^ set(test.classes)) or ["their order"]
        raise DataError(f"{test.name}: its classes are not those of {train.name}: {', '.join(odd[:3])}")
    n = len(chosen(len(test.labels), options.subset))
    words = f"{n:,} of {len(test.labels):,} images in {test.name} (digest {test.digest})"
    words += ", statistics as in the weights" if train is None else _calibration(train)
    if deployment is not None:
        words += f", run on {deployment}, {_quantising(train)}"
    return EvaluatedQuality(
        name=name,
        metric="top1",
        unit="%",
        maximise=True,
        net=net,
        options=options,
        data=words,
        score=Tester(net, options, test, train, isinstance(train, FolderImages), deployment),
    )


def _quantising(train: ImageSet | None) -> str:
    return "calibrated on images tested on, without their labels" if train is None else "calibrated on training images"


def _calibration(train: ImageSet) -> str:
    n = min(CALIBRATION_IMAGES, len(train.labels))
    return f", statistics set on {n:,} in {train.name} (digest {train.digest})"
