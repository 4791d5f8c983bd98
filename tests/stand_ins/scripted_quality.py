"""A quality that is found by looking at the weights' file and the config, and says in which process."""

from __future__ import annotations

import os
from pathlib import Path

from hwnas.harness.quality.evaluated import EvaluatedQuality
from hwnas.harness.quality.quality import Score

USES_WEIGHTS = True


def create(name, argument, net, options):
    def score(config):
        with Path(argument).open("a") as log:
            log.write(f"{os.getpid()}\n")
        value = float(sum(config["w"]))
        return Score(value, value - 1, value + 1, 1)

    return EvaluatedQuality(name, "score", "%", True, net, options, "nothing", score)
