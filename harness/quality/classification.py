"""Measure the top-1 and top-5 accuracy of image classifiers, after recalibrating their batch-norm statistics."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hwnas.backends.outputs import check_finite
from hwnas.harness.data import pixels
from hwnas.harness.data.ahead import in_order
from hwnas.harness.data.image_set import ImageSet
from hwnas.harness.data.images import ImageNetwork
from hwnas.harness.measurement.intervals import half_width, wilson
from hwnas.harness.quality._deployment import Deployment
from hwnas.harness.quality.evaluated import Score, needed_weights
from hwnas.harness.quality.quality import QualityOptions, QualityProgress
from hwnas.harness.quality.recalibrate import has_norms, recalibrate
from hwnas.supernets.space import Config, IntArray

if TYPE_CHECKING:
    import torch

# How once-for-all recalibrates batch-norm statistics.
CALIBRATION_IMAGES, CALIBRATION_BATCH = 2_000, 200
# How many images int8 is calibrated on, which is NNCF's default, and how many at a time.
QUANTISING_IMAGES, QUANTISING_BATCH = 300, 20
# Pixels tested at a time: 100 images of 224 px, whose activations take some hundred megabytes. Batches of small images
# have more images, up to a limit beyond which nothing is gained.
_TEST_PIXELS, _TEST_BATCH = 100 * 224**2, 500
# Prepared images stay in memory up to this size, since a search tests hundreds of sub-networks on the same images.
_PREPARED_BYTES = 2 << 30
_SEED = 0
# What images are used for.
TESTED, STATISTICS, QUANTISING = "images tested on", "images for statistics", "images for int8"


@dataclass(frozen=True)
class Accuracy:
    """The images that one sub-network classified correctly.

    Attributes:
        top1: for each image, whether the right class was ranked first.
        top5: for each image, whether it was among the first five.
    """

    top1: IntArray
    top5: IntArray

    def score(self) -> Score:
        """Return top-1 with its interval, and top-5, in per cent."""
        n, right = len(self.top1), int(self.top1.sum())
        low, high = wilson(right / n, n)
        return Score(100 * right / n, 100 * low, 100 * high, n, {"top5": 100 * float(self.top5.mean())})

    def score_beside(self, full: Accuracy) -> Score:
        """Return the score with, in addition, the top-1 in full precision and the loss with half its 95 % interval.

        Both were tested on the same images, so the interval is that of paired differences.
        """
        score, lost = self.score(), full.top1 - self.top1
        half = half_width() * float(lost.std()) / math.sqrt(len(lost))
        beside = {"fp32": full.score().value, "loss": 100 * float(lost.mean()), "loss ±": 100 * half}
        return replace(score, others={**score.others, **beside})


class Tester:
    """Tests sub-networks on images.

    Args:
        net: the super-network.
        options: the weights, the numbers of images and threads, and the callback for progress.
        test: the images to test on.
        train: images to recalibrate batch-norm statistics on; ``None``: use the statistics in the weights.
        varied: recalibrate on random crops of the images, as once-for-all does, and not on whole images.
        deployment: test on this platform, and the torch module for comparison; ``None``: the torch module alone.

    Attributes:
        test: the test images.
        has_norms: sub-networks have batch-norm statistics that can be recalibrated.
    """

    def __init__(
        self,
        net: ImageNetwork,
        options: QualityOptions,
        test: ImageSet,
        train: ImageSet | None,
        varied: bool,
        deployment: Deployment | None = None,
    ) -> None:
        self._net = net
        self._options = options
        self._deployment = deployment
        self.has_norms = has_norms(net, options.weights)
        self.test = PreparedImages(test, chosen(len(test.labels), options.subset), options.workers)
        self._train = None
        if train is not None and self.has_norms:
            index = chosen(len(train.labels), CALIBRATION_IMAGES)
            self._train = PreparedImages(train, index, options.workers, varied=varied)
        typical = train or test
        n = min(QUANTISING_IMAGES, len(typical.labels))
        self._quantising_batch = min(QUANTISING_BATCH, n)
        whole = n // self._quantising_batch * self._quantising_batch
        self._quantising = PreparedImages(typical, chosen(len(typical.labels), whole), options.workers)

    @property
    def used(self) -> dict[str, PreparedImages]:
        """The images that a score depends on, by their use."""
        used = {TESTED: self.test}
        if self._train is not None:
            used[STATISTICS] = self._train
        return used if self._deployment is None else {**used, QUANTISING: self._quantising}

    def __call__(self, config: Config) -> Score:
        """Return the score of the sub-network of ``config``; raises ``NotFiniteError`` if its logits are not finite."""
        module, side = self.network(config), self._net.resolution(config)
        found = self._accuracy(module, side)
        if self._deployment is None:
            return found.score()
        batches = self._quantising.batches(side, self._quantising_batch)
        with self._deployment.running(module, [images for images, _ in batches]) as run:
            return self._accuracy(run, side).score_beside(found)

    def accuracy(self, config: Config) -> Accuracy:
        """Return which images the sub-network of ``config`` classifies correctly in torch, fp32."""
        return self._accuracy(self.network(config), self._net.resolution(config))

    def network(self, config: Config) -> torch.nn.Module:
        """Return the sub-network with recalibrated batch-norm statistics, where there are images for that."""
        import torch

        module = self._net.build(config, needed_weights("accuracy", self._options))
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        side = self._net.resolution(config)
        if self._train is not None:
            batches = self._train.batches(side, CALIBRATION_BATCH)
            recalibrate(module, (images for images, _ in self._reporting(batches, "setting statistics", self._train)))
        return module

    def _accuracy(self, run: Callable[[torch.Tensor], torch.Tensor], side: int) -> Accuracy:
        import torch

        batch = min(_TEST_BATCH, max(1, _TEST_PIXELS // side**2))
        top1, top5 = [], []
        with torch.inference_mode():
            for images, labels in self._reporting(self.test.batches(side, batch), "testing", self.test):
                outputs = check_finite(run(images), "the network's logits")
                found = outputs.topk(min(5, outputs.shape[1]), dim=1).indices == labels[:, None]
                top1.append(found[:, 0])
                top5.append(found.any(dim=1))
        return Accuracy(*(torch.cat(parts).numpy().astype(np.int64) for parts in (top1, top5)))

    def _reporting(
        self, batches: Iterator[tuple[torch.Tensor, torch.Tensor]], what: str, images: PreparedImages
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield batches, and report progress."""
        import torch

        report, done, total = self._options.progress, 0, len(images.index)
        for batch, labels in batches:
            yield batch.contiguous(memory_format=torch.channels_last), labels
            done += len(labels)
            if report is not None:
                report(QualityProgress(done, total, f"{what}: {done:,} of {total:,} images"))


class PreparedImages:
    """Some images of a set, prepared in any size; the last sizes used stay in memory.

    Args:
        images: the set.
        index: indices of the images, ``(n,)``.
        workers: threads that prepare them.
        varied: use a random crop of each, the same one every time.
    """

    def __init__(self, images: ImageSet, index: IntArray, workers: int, varied: bool = False) -> None:
        self.images = images
        self.index = index
        self._workers = workers
        self._varied = varied
        self._prepared: OrderedDict[int, list[torch.Tensor]] = OrderedDict()

    def digest(self) -> str:
        """Return the digest of these images."""
        return self.images.digest_of(self.index)

    def batches(self, side: int, size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield (normalised images of ``side`` squared, labels), ``size`` at a time."""
        import torch

        jobs = [self.index[start : start + size] for start in range(0, len(self.index), size)]
        prepared = self._prepared.get(side)
        made = in_order(lambda job: self._views(job, side), jobs, self._workers) if prepared is None else iter(prepared)
        collected = []
        keeping = prepared is None and self._room(side)
        for job, images in zip(jobs, made, strict=True):
            if keeping:
                collected.append(images)
            yield pixels.normalised(images), torch.from_numpy(self.images.labels[job])
        if keeping:
            self._prepared[side] = collected

    def _views(self, index: IntArray, side: int) -> torch.Tensor:
        if self._varied:
            return self.images.cropped(index, side, np.random.default_rng([_SEED, int(index[0])]))
        return self.images.plain(index, side)

    def _room(self, side: int) -> bool:
        """Make room in memory for the images in one more size; return whether there is enough."""
        needed = 3 * side**2 * len(self.index)
        while self._prepared and needed + self._bytes() > _PREPARED_BYTES:
            self._prepared.popitem(last=False)
        return needed <= _PREPARED_BYTES

    def _bytes(self) -> int:
        return sum(images.nbytes for prepared in self._prepared.values() for images in prepared)


def chosen(n: int, subset: int | None) -> IntArray:
    """Return the indices of the images to use out of ``n``: ``subset`` random ones, always the same; ``None``: all."""
    if subset is None or subset >= n:
        return np.arange(n, dtype=np.int64)
    return np.sort(np.random.default_rng(_SEED).permutation(n)[:subset])
