"""``images:PATH``: the accuracy of sub-networks on a user's own images, in folders or in IDX files.

``images:PATH,backend=openvino,precision=int8`` is the accuracy when they run on a backend; see
``hwnas.harness.quality._deployment``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from hwnas.harness.data.argument import parse_argument
from hwnas.harness.data.image_folders import FolderImages
from hwnas.harness.data.image_set import ImageSet, has_training_images, open_images
from hwnas.harness.data.images import ImageNetwork, check_classes
from hwnas.harness.quality._deployment import KEYS, Deployment
from hwnas.harness.quality.classification import QUANTISING, STATISTICS, TESTED, Tester
from hwnas.harness.quality.evaluated import EvaluatedQuality
from hwnas.harness.quality.quality import QualityOptions
from hwnas.supernets.contents import SHOWN, Content
from hwnas.supernets.errors import DataError, NotServedError, QualityError
from hwnas.supernets.supernet import SuperNetwork

SPELLED = "images:PATH"
SUMMARY = "top-1 accuracy on your own images, in folders by class or in IDX files"

USES_WEIGHTS = True
ON_BACKENDS = True
SETS_STATISTICS = True
# So many images are enough to search by: at 76 %, the accuracies of two sub-networks are known to 1 % then.
BRIEF = 2000


def create(name: str, argument: str, net: ImageNetwork, options: QualityOptions) -> EvaluatedQuality:
    """Make the source; ``argument`` begins with a path for ``hwnas.harness.data.image_set.open_images``."""
    check_serves(name, argument, net)
    path, deployment = read_argument(name, argument)
    test = open_images(path, "test", net.channels)
    train = open_images(path, "train", net.channels) if has_training_images(path) else None
    return classifying(f"{name}:{argument}", net, options, test, train, deployment)


def serves(name: str, net: SuperNetwork) -> list[str]:
    """Return the spec of this source if ``net`` takes images; else nothing."""
    return [f"{name}:PATH"] if getattr(net, "data", None) == "images" else []


def read_argument(name: str, argument: str) -> tuple[str, Deployment | None]:
    """Return the path, and the platform that runs the sub-networks, or ``None`` for torch."""
    path, given = parse_argument(name, argument, KEYS)
    return path, Deployment.read(name, given)


def check_serves(name: str, argument: str, net: SuperNetwork) -> None:
    """Raise ``QualityError`` if there is no path, or ``net`` takes no images."""
    kind = getattr(net, "data", None)
    if kind != "images":
        raise NotServedError(f"{name}: serves super-networks of images, {net.name} takes {kind or 'no data'}")
    if not argument:
        raise QualityError(f"{name}: expected {name}:PATH")


def classifying(
    name: str,
    net: ImageNetwork,
    options: QualityOptions,
    test: ImageSet,
    train: ImageSet | None,
    deployment: Deployment | None,
) -> EvaluatedQuality:
    """Return the accuracy on ``test``, with batch-norm statistics recalibrated on ``train`` if that is given."""
    check_classes(test, net)
    if train is not None and train.classes != test.classes:
        odd = sorted(set(train.classes) ^ set(test.classes)) or ["their order"]
        raise DataError(f"{test.name}: its classes are not those of {train.name}: {', '.join(odd[:3])}")
    tester = Tester(net, options, test, train, isinstance(train, FolderImages), deployment)
    data = _Data(tester, deployment, train is not None)
    return EvaluatedQuality(
        name=name,
        metric="top1",
        unit="%",
        maximise=True,
        net=net,
        options=options,
        data=data.described(named=True),
        score=tester,
        known_by=f"{name.partition(':')[0]} ({data.described(named=False)}",
        examples=data.contents,
        network=tester.network,
    )


@dataclass(frozen=True)
class _Data:
    """Describes the test data in words.

    Attributes:
        tester: tests the sub-networks.
        deployment: the platform that runs them; ``None``: torch.
        trained: there are training images to recalibrate on.
    """

    tester: Tester
    deployment: Deployment | None
    trained: bool

    @cached_property
    def contents(self) -> dict[str, Content]:
        """The digests of the images, by their use."""
        return {role: Content(one.images.name, one.digest()) for role, one in self.tester.used.items()}

    def described(self, named: bool) -> str:
        """Return the description, with or without the names of folders and files."""
        test = self.tester.test
        parts = [f"{len(test.index):,} of {len(test.images.labels):,} images{self._which(TESTED, named)}"]
        parts.append(self._statistics(named))
        if self.deployment is not None:
            whence = "training images" if self.trained else "images tested on, without their labels"
            which = "" if named else self._which(QUANTISING, named)
            parts.append(f", run on {self.deployment}, calibrated on {whence}{which}")
        return "".join(parts)

    def _statistics(self, named: bool) -> str:
        if not self.tester.has_norms:
            return ", no batch-norm statistics to set"
        train = self.tester.used.get(STATISTICS)
        if train is None:
            return ", statistics as in the weights"
        return f", statistics set on {len(train.index):,}{self._which(STATISTICS, named)}"

    def _which(self, role: str, named: bool) -> str:
        one = self.contents[role]
        return f" in {one.name} (digest {one.digest[:SHOWN]})" if named else f" of digest {one.digest[:SHOWN]}"
