"""Train a small super-network from scratch, measure its sub-networks, search it: the figures of ``docs/training.md``.

    python scripts/training_study.py train DATA             # ten minutes on one core; killed, it goes on where it was
    python scripts/training_study.py accuracy DATA          # 60 random sub-networks on two halves of the test images
    python scripts/training_study.py search DATA            # LINAS and random search, 100 evaluations, 3 seeds each
    python scripts/training_study.py report                 # the tables

``DATA`` is the folder of Fashion-MNIST's IDX files. Everything is kept in the folder ``--out``: what is there
already is not done again, so that ``search`` can be run in pieces (``--minutes``).
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hwnas import supernets
from hwnas.harness import data
from hwnas.harness.data.image_set import open_images
from hwnas.harness.measurement.statistics import tau
from hwnas.harness.quality import QualityOptions
from hwnas.harness.quality.classification import Tester
from hwnas.harness.store import Store
from hwnas.search.hypervolume import hypervolume
from hwnas.search.study.result import Study
from hwnas.search.study.run import search
from hwnas.search.study.stored import load
from hwnas.supernets.space import FloatArray
from hwnas.supernets.supernet import SuperNetwork
from hwnas.supernets.training import TrainingOptions
from hwnas.supernets.training.loop import TrainingProgress, train
from hwnas.supernets.writing import write_file

SUPERNET = "ofa-resnet50:r=12+16+20+24+28,classes=10,channels=1,scale=0.125,stem_stride=2"
PLATFORM = "onnxruntime:threads=1"
ALGORITHMS = ("linas", "random")
SUBNETWORKS = 60
# Of the test images, in searches: accuracies are known to about a point then, and searches differ by much more.
IMAGES = 2_000
_SEED = 20


def main() -> None:
    """Run one part of the study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("train", "accuracy", "search", "report"))
    parser.add_argument("data", nargs="?", default="/usr/share/datasets/fashion-mnist")
    parser.add_argument("--out", type=Path, default=Path("training-study"))
    parser.add_argument("--supernet", default=SUPERNET)
    parser.add_argument("--epochs", type=float, default=2.6)
    parser.add_argument("--evals", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=None, help="begin no search after so many")
    given = parser.parse_args()
    given.out.mkdir(exist_ok=True)
    study = TrainingStudy(supernets.get(given.supernet), given.data, given.out)
    if given.part == "train":
        study.train(given.epochs)
    elif given.part == "accuracy":
        study.accuracy()
    elif given.part == "search":
        study.search(given.evals, given.seeds, given.minutes)
    else:
        study.report()


class TrainingStudy:
    """The study of one super-network on one set of images.

    Args:
        net: the super-network.
        images: where the images are.
        out: the folder that everything is kept in.
    """

    def __init__(self, net: SuperNetwork, images: str, out: Path) -> None:
        self.net: Any = net
        self.images = images
        self.weights = out / "supernet.pt"
        self.halves = out / "halves.json"
        self.training = out / "training.json"
        self._store = out / "study.db"

    def train(self, epochs: float) -> None:
        """Train the super-network, or go on with it."""
        begun = time.process_time()
        task = data.get(f"images:{self.images},batch=128,smoothing=0.1", self.net)
        options = training_options(round(epochs * task.batches_per_epoch))
        done = train(
            self.net, task, options, self.weights, resume=self.weights.exists(), checkpoint_s=30, progress=_tell
        )
        facts = {"supernet": self.net.name, "images": task.note, "options": vars(options)}
        # Of this run: on a machine that does other work too, the time that the training would take alone.
        facts |= {"seconds": done.elapsed_s, "processor_seconds": time.process_time() - begun}
        write_file(self.training, json.dumps(facts | {"loss": done.loss}, indent=1).encode())

    def accuracy(self) -> None:
        """Test random sub-networks, the smallest and the largest one, on two halves of the test images."""
        net, options = self.net, QualityOptions(str(self.weights))
        test, calibration = (open_images(self.images, part, net.channels) for part in ("test", "train"))
        tester = Tester(net, options, test, calibration, varied=False)
        X = np.concatenate([net.space.smallest(), net.space.largest(), net.space.sample(SUBNETWORKS, _SEED)])
        half = np.random.default_rng(_SEED).permutation(len(test.labels)) % 2 == 0
        rows = []
        for number, (key, config) in enumerate(zip(net.space.keys(X), net.space.decode(X), strict=True)):
            right = tester.accuracy(config).top1
            halves = [100 * right[half].mean(), 100 * right[~half].mean()]
            rows.append({"key": key, "r": config["r"][0], "halves": halves})
            _say(f"{number + 1} of {len(X)}: {100 * right.mean():.2f} %")
        write_file(self.halves, json.dumps(rows, indent=1).encode())

    def search(self, evals: int, seeds: int, minutes: float | None) -> None:
        """Search with each algorithm and seed that there is no finished search of yet."""
        begun = time.monotonic()
        options = QualityOptions(str(self.weights), IMAGES)
        with Store.open(str(self._store)) as store:
            for seed, algorithm in itertools.product(range(seeds), ALGORITHMS):
                if minutes is not None and time.monotonic() - begun > 60 * minutes:
                    return
                name = f"{algorithm}-{seed}"
                there = store.study(name)
                if there is not None and there.evaluations >= evals:
                    continue
                search(
                    self.net, PLATFORM, quality=f"images:{self.images}", quality_options=options, algorithm=algorithm,
                    evals=evals, seed=seed, store=store, study=name, resume=there is not None,
                    progress=lambda event: _say(f"{event.study}: {event.done} of {event.total}"),
                )  # fmt: skip

    def report(self) -> None:
        """Write the tables to standard output."""
        sys.stdout.writelines(f"{line}\n" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        facts = json.loads(self.training.read_text())
        yield f"{facts['supernet']}, {facts['images']}"
        minutes, processor = facts["seconds"] / 60, facts["processor_seconds"] / 60
        yield f"{facts['options']['steps']} steps in {minutes:.1f} minutes ({processor:.1f} of a processor's time)"
        yield ""
        yield from accuracy_table(json.loads(self.halves.read_text()))
        if self._store.exists():
            yield ""
            yield from self._search_table()

    def _search_table(self) -> Iterator[str]:
        with Store.open(str(self._store), create=False) as store:
            studies = {one.name: load(store, one.name) for one in store.studies()}
        values = {name: front_values(study) for name, study in studies.items()}
        if not values:
            return
        corner = np.nanmax(np.concatenate(list(values.values())), axis=0)
        yield "| algorithm | seed | evaluations | hypervolume | front | fastest ms, top-1 | best ms, top-1 | minutes |"
        yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
        for name in sorted(studies):
            study, points = studies[name], values[name]
            algorithm, _, seed = name.rpartition("-")
            front = points[study.archive.front]
            fast, best = front[front[:, 0].argmin()], front[front[:, 1].argmin()]
            yield (
                f"| {algorithm} | {seed} | {len(study.archive)} | {dominated(points, corner):.4f} | {len(front)} "
                f"| {fast[0]:.3f}, {-fast[1]:.2f} % | {best[0]:.3f}, {-best[1]:.2f} % "
                f"| {study.time_s['total'] / 60:.1f} |"
            )


def training_options(steps: int) -> TrainingOptions:
    """Return how the super-network of the study is trained."""
    return TrainingOptions(steps=steps, lr=0.2, warmup=min(100, steps // 5), samples=2, distillation=0.5)


def front_values(study: Study) -> FloatArray:
    """Return all evaluations, minimised: latency in ms, and -top-1 in per cent, ``(n, 2)``; nan where one failed."""
    return np.array([[one.objectives["latency"], -one.objectives["top1"]] for one in study.archive])


def dominated(points: FloatArray, corner: FloatArray) -> float:
    """Return the hypervolume between ``points``, failed ones left out, and ``corner``."""
    return float(hypervolume(points[np.isfinite(points).all(axis=1)], corner))


def accuracy_table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Yield what the two halves say: the first two rows are the smallest and the largest sub-network."""
    values = np.array([row["halves"] for row in rows])
    both, random = values.mean(axis=1), values[2:]
    yield f"smallest {both[0]:.2f} %, largest {both[1]:.2f} %"
    yield f"{len(random)} random ones: {both[2:].min():.2f} % to {both[2:].max():.2f} %, deviation {both[2:].std():.2f}"
    yield f"Kendall tau between the halves: {tau(random[:, 0], random[:, 1]):.3f}"
    for side in sorted({row["r"] for row in rows}):
        same = np.array([row["r"] == side for row in rows[2:]])
        if same.sum() > 1:
            inner = tau(random[same, 0], random[same, 1])
            yield f"at {side} px: {same.sum()} of them, mean {both[2:][same].mean():.2f} %, tau {inner:.3f}"


def _tell(event: TrainingProgress) -> None:
    if event.step % 50 == 0:
        _say(f"{event.step} of {event.steps}: loss {event.loss:.3f}, {event.elapsed_s:.0f} s")


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    main()
