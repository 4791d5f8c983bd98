"""A backend that keeps the CPU busy for as long as a network's units say, and misbehaves on demand.

``at=KEY`` names the sub-network at which it does what ``how`` says.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from hwnas.backends.backend import Option
from hwnas.supernets.errors import BackendError

WORK = b"x" * 10_000


def create(name):
    return Scripted(name)


class Scripted:
    keys = frozenset({"threads", "batch", "precision"})
    options = (
        Option("us", "microseconds per unit", default="100"),
        Option("at", "the network at which it misbehaves", default="none"),
        Option(
            "how",
            "what it does there",
            allowed=(
                "nothing",
                "refuse",
                "raise",
                "die",
                "hang",
                "print",
                "chatter",
                "greedy",
                "lazy",
                "bound",
                "hungry",
            ),
            default="nothing",
        ),
        Option("once", "a file: misbehave only while it is not there", default="none"),
        Option("photos", "a folder of images that count", default="none", holds="images"),
    )
    devices = ("cpu",)
    precisions = ("fp32", "bf16")

    def __init__(self, name):
        self.name = name

    def why_not(self):
        return None

    def versions(self):
        return {"scripted": "1.0"}

    def environment(self, settings):
        return {"SCRIPTED_THREADS": str(settings.threads)}

    def prepare(self, stage, settings):
        return Session(stage, settings)


class Session:
    def __init__(self, stage, settings):
        options = settings.options
        self.threads = settings.threads
        self.seconds = stage.module.units * float(options["us"]) * 1e-6
        self.how = options["how"] if options["at"] in (stage.module.key, "all") else "nothing"
        if self.how == "greedy":
            self.threads += 1
        if self.how == "lazy":
            self.threads = 1
        if options["once"] != "none" and self.how != "nothing":
            if Path(options["once"]).exists():
                self.how = "nothing"
            else:
                Path(options["once"]).touch()
        if self.how == "print":
            sys.stdout.write("a library says hello on standard output")
            sys.stdout.flush()
            os.write(1, b"\x00\x00\x00\x05hello, and by its descriptor")
        if self.how == "refuse":
            raise BackendError("this network is not to its taste")
        if self.how == "hungry":
            self.eaten = np.ones(1 << 50)
        if self.how == "chatter":
            sys.stderr.write("word " * 40_000)
        self.runs = 0
        self.pool = ThreadPoolExecutor(max(1, self.threads - 1))

    def run(self):
        self.runs += 1
        if self.how == "raise" and self.runs > 3:
            raise RuntimeError("had enough")
        if self.how == "die" and self.runs > 3:
            sys.stderr.write("these are my last words\n")
            sys.stderr.flush()
            os.kill(os.getpid(), signal.SIGSEGV)
        if self.how == "hang" and self.runs > 3:
            time.sleep(3600)
        work = bound if self.how == "bound" else burn
        others = [self.pool.submit(work, self.seconds) for _ in range(self.threads - 1)]
        work(self.seconds)
        for other in others:
            other.result()

    def outputs(self):
        return (np.zeros(1),)

    def describe(self):
        return {"threads": int(os.environ["SCRIPTED_THREADS"]), "graph": "scripted"}

    def close(self):
        self.pool.shutdown()


def burn(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        hashlib.sha256(WORK)  # without the interpreter's lock, so that threads really run side by side


def bound(seconds):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # of this thread alone
    burn(seconds)
