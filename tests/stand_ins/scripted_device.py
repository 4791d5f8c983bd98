"""A device with a clock of its own: it sleeps for as long as a network's units say, and tells exactly that.

``once=FILE`` lets it misbehave only while the file is not there; ``log=FILE`` gets a line for every network prepared;
``reads=FILE`` is a file whose content counts; ``noise=0.2`` has every visit take longer or shorter, by 20 % as a rule.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np

from hwnas.backends.backend import Option

# What a broken clock says of n runs, by how it is broken.
CLOCKS = {
    "negative": lambda n: [-1e-3] * n,
    "zero": lambda n: [0.0] * n,
    "nan": lambda n: [float("nan")] * n,
    "inf": lambda n: [float("inf")] * n,
    "tiny": lambda n: [1e-12] * n,
    "ages": lambda n: [1e12] * n,
    "late": lambda n: [2e-4] * (n - 1) + [-1e-3],
    "text": lambda n: ["2e-4"] * n,
    "none": lambda n: None,
    "few": lambda n: [2e-4] * (n - 1),
    "columns": lambda n: np.full((n, 1), 2e-4),
}


def create(name):
    return Device(name)


class Device:
    keys = frozenset({"batch"})
    options = (
        Option("us", "microseconds per unit", default="100"),
        Option("at", "the network at which it misbehaves", default="none"),
        Option("how", "what it does there", allowed=("nothing", "die", "hang", "kill", *CLOCKS), default="nothing"),
        Option("once", "a file: misbehave only while it is not there", default="none"),
        Option("log", "a file: a line for every network", default="none"),
        Option("reads", "a file whose content counts", default="none", holds="file"),
        Option("noise", "standard deviation of the logarithm of a visit's times", default="0"),
    )
    devices = ("npu",)
    precisions = ("fp32",)

    def __init__(self, name):
        self.name = name

    def why_not(self):
        return None

    def versions(self):
        return {"scripted-device": os.environ.get("SCRIPTED_DEVICE", "1.0")}

    def environment(self, settings):
        return {}

    def prepare(self, stage, settings):
        if settings.options["log"] != "none":
            with Path(settings.options["log"]).open("a") as log:
                log.write(f"{os.getpid()} {stage.module.key}\n")
        return Session(stage, settings.options)


class Session:
    def __init__(self, stage, options):
        self.seconds = stage.module.units * float(options["us"]) * 1e-6
        self.how = options["how"] if options["at"] in (stage.module.key, "all") else "nothing"
        self.once = options["once"]
        self.noise = float(options["noise"])
        self.rng = np.random.default_rng([*stage.module.key.encode(), *options["us"].encode()])

    def run(self):
        self.time_runs(1)

    def time_runs(self, n):
        if self.how in CLOCKS:
            return CLOCKS[self.how](n)
        if self.how != "nothing" and not Path(self.once).exists():
            if self.once != "none":
                Path(self.once).touch()
            if self.how == "hang":
                time.sleep(3600)
            os.kill(os.getppid() if self.how == "kill" else os.getpid(), signal.SIGKILL)
            time.sleep(60)
        seconds = self.seconds * float(np.exp(self.noise * self.rng.normal()))
        time.sleep(n * seconds)
        return [seconds] * n

    def outputs(self):
        return (np.zeros(1),)

    def describe(self):
        return {"device": "scripted"}

    def close(self):
        pass
