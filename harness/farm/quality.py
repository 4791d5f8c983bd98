"""Evaluate quality on a farm: each sub-network goes to any free worker, since accuracy is the same on all of them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hwnas.harness.farm import tasks
from hwnas.harness.farm.cluster import Cluster, Job
from hwnas.harness.farm.engine import VERSION
from hwnas.harness.farm.messages import Answer, Died, EvaluateAnswer, EvaluateDescription, EvaluateOrder
from hwnas.harness.farm.offer import ACCURACY
from hwnas.harness.quality.evaluated import EvaluatedQuality, Score, needed_weights
from hwnas.harness.validation import Refusal, validating
from hwnas.supernets.contents import content_digest
from hwnas.supernets.errors import MeasurementError

_WAIT_S = 1.0


@dataclass(frozen=True, eq=False)
class FarmQuality(EvaluatedQuality):
    """An evaluated quality whose sub-networks are run by workers; the client looks up and stores the values.

    The data has to be on the workers under the same names. The weights are sent once to each worker that has no file
    with their content. Files beside them (subwords) are not sent; a worker without them reports an error.

    Attributes:
        spec: the string of the quality source, for the workers.
        cluster: a connection of its own.
    """

    spec: str = ""
    cluster: Cluster | None = None

    @property
    def parallel(self) -> bool:
        """Whether to pass a batch at once: it stores each value as soon as it arrives."""
        return True

    @classmethod
    def of(cls, quality: EvaluatedQuality, spec: str, cluster: Cluster) -> FarmQuality:
        """Return the same quality, run by workers."""
        here = {field.name: getattr(quality, field.name) for field in fields(EvaluatedQuality)}
        return cls(**here, spec=spec, cluster=cluster)

    def scores(self, X: npt.ArrayLike) -> list[Score]:
        """Return the score of each sub-network; nan if its workers died."""
        if self.cluster is None:
            return super().scores(X)
        X = self.net.space.canonical(X)
        keys = self.net.space.keys(X)
        known = self.stored(keys)
        under_way = {
            self.cluster.send(self._job(row)): key
            for key, row in dict(zip(keys, X, strict=True)).items()
            if key not in known
        }
        while under_way:
            arrived = self.cluster.next(_WAIT_S)
            if arrived is not None and arrived[0] in under_way:
                key = under_way.pop(arrived[0])
                known[key] = self._read(key, arrived[1])
        return [known[key] for key in keys]

    def close(self) -> None:
        """Disconnect."""
        if self.cluster is not None:
            self.cluster.close()

    def _job(self, row: npt.NDArray[np.int64]) -> Job:
        weights = needed_weights(self.name, self.options)
        description = EvaluateDescription(
            version=VERSION,
            supernet=self.net.name,
            quality=self.spec,
            weights=weights,
            content=content_digest(weights),
            subset=self.options.subset,
            workers=self.options.workers,
            source=self.source,
            beside=sorted(self.beside),
        )
        return Job(
            description.to_text(),
            EvaluateOrder(row.tolist()).to_text(),
            {ACCURACY: 1.0},
            self.metric,
            file=Path(weights),
            task=tasks.evaluate,
        )

    def _read(self, key: str, answer: Answer | Died) -> Score:
        match answer:
            case Died(reason):
                return Score(float("nan"), reason=f"the workers that evaluated it died: {reason}")
            case Refusal():
                raise answer.raised()
            case EvaluateAnswer(score=record):
                with validating("a worker's answer"):
                    score = Score.of(record)
                self.put(key, score)
                return score
        raise MeasurementError(f"a worker's answer: expected a score, got {type(answer).__name__}")
