"""How fast a store is with a million measurements: fill one, then time what a search and its user wait for.

::

    python scripts/store_study.py --store big.db
    python tests/stand_ins/throwaway_postgresql.py python scripts/store_study.py     # a server for this run alone

Every measurement is a record of the size that a search writes, with its samples; 2,000 studies have 500 of them each,
on 20 platforms. Studies that are resumed and listed lie among them. Figures: docs/store.md.
"""

# ruff: noqa: T201 - it prints its figures

from __future__ import annotations

import argparse
import functools
import json
import os
import random
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from hwnas import supernets
from hwnas.harness.store import Store
from hwnas.search.study.archive import Evaluation
from hwnas.search.study.run import load, search

NET = "ofa-mbv3-w1.2"
PLATFORMS = tuple(
    f"onnxruntime:threads={threads},batch={batch}" for threads in (1, 2, 4, 8, 16) for batch in (1, 8, 32, 128)
)
ALGORITHMS = ("random", "nsga2", "linas")
# A study of so many; as many studies as there are measurements for.
PER_STUDY = 500
# Different sets of sub-networks; with the platforms, so many different records are made and put again and again.
SEEDS = 7


def record_of(key: str, config: dict[str, Any], platform: str) -> dict[str, Any]:
    """Return a measurement's record, as long as a real one (2.3 kB, without its samples)."""
    noise = random.Random(key)  # noqa: S311 - figures to fill a record with
    return {
        "supernet": NET,
        "config": config,
        "key": key,
        "graph": f"{noise.getrandbits(256):064x}",
        "platform": platform,
        "status": "failed" if noise.random() < 0.01 else "ok",
        "reason": "",
        "statistic": "median",
        "latency_s": 0.01 + 0.01 * noise.random(),
        "fingerprint": f"{noise.randrange(2):016x}",
        "protocol": "quiet",
        "measured_at": f"2026-{1 + noise.randrange(12):02}-{1 + noise.randrange(28):02}T03:04:05+00:00",
        "context": {"anchors": {str(n): noise.random() for n in range(3)}, "noise": {"spin": noise.random()}},
        "stages": [{"name": f"stage {n}", "runs": 1, "seconds": noise.random()} for n in range(6)],
        "read_back": [{"clock_mhz": noise.random(), "threads": 1, "note": "as it was asked for"} for _ in range(6)],
    }


def fill(store: Store, n: int) -> None:
    """Put ``n`` measurements, each study's beside its evaluations, into an empty store."""
    net = supernets.get(NET)
    database, tables = store._database, store._database.metadata.tables  # noqa: SLF001 - in bulk, for once
    samples = zlib.compress(json.dumps({"samples_s": list(np.random.default_rng(0).random(200))}).encode(), level=1)
    for number in range(n // PER_STUDY):
        X = net.space.sample(PER_STUDY, seed=number % SEEDS)
        measured, evaluated = _rows(number % SEEDS, number % len(PLATFORMS), tuple(net.space.keys(X)))
        first, study = number * PER_STUDY + 1, store.create_study(f"other-{number}", {"search": {}, "facts": {}})
        rows = {
            "measurement": [{"id": first + row, **one} for row, one in enumerate(measured)],
            "measurement_samples": [{"measurement_id": first + row, "samples": samples} for row in range(PER_STUDY)],
            "evaluation": [{"study_id": study.id, **one} for one in evaluated],
        }

        def insert(connection: Any, rows: dict[str, Any] = rows) -> None:
            for table, values in rows.items():
                connection.execute(tables[table].insert(), values)

        database.write(insert)
        if number % 200 == 0:
            print(f"{number * PER_STUDY:,} measurements", flush=True)
    if "postgresql" in store.name:
        # What autovacuum does by itself within minutes; and the numbers go on behind those that were given.
        for statement in ("SELECT setval('measurement_id_seq', (SELECT max(id) FROM measurement))", "ANALYZE"):
            database.write(lambda connection, statement=statement: connection.exec_driver_sql(statement))


@functools.cache
def _rows(seed: int, platform: int, keys: tuple[str, ...]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the rows of a study's measurements and of its evaluations, without their numbers in the store."""
    net = supernets.get(NET)
    X = net.space.sample(PER_STUDY, seed=seed)
    configs = net.space.decode(X)
    records = [record_of(key, config, PLATFORMS[platform]) for key, config in zip(keys, configs, strict=True)]
    shown = ("supernet", "key", "platform", "fingerprint", "protocol", "status", "latency_s", "measured_at")
    measured = [{**{name: one[name] for name in shown}, "record": json.dumps(one)} for one in records]
    evaluations = [
        Evaluation(
            index=row,
            iteration=row // 50,
            vector=tuple(X[row].tolist()),
            config=configs[row],
            key=keys[row],
            objectives={"latency": 1e3 * record["latency_s"], "top1": 70 + 500 * record["latency_s"]},
            status="ok",
        ).to_json()
        for row, record in enumerate(records)
    ]
    evaluated = [{"number": row, "key": keys[row], "record": json.dumps(one)} for row, one in enumerate(evaluations)]
    return measured, evaluated


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print how long the block took."""
    start = time.perf_counter()
    yield
    print(f"{what:58} {time.perf_counter() - start:7.3f} s", flush=True)


def times(location: str, name: str) -> None:
    """Time what a user waits for."""
    net = supernets.get(NET)
    settings: dict[str, Any] = {"platform": "lut:table=note10", "quality": "ofa-predictor", "seed": 0}
    keys: list[str] = []
    for algorithm in ALGORITHMS:
        study, before = f"{name}-{algorithm}", 450
        with Store.open(location) as store:
            if store.study(study) is None:
                search(net, **settings, algorithm=algorithm, store=store, study=study, evals=before)
        with timed(f"resume {algorithm}: open, replay {before} evaluations, add 1"), Store.open(location) as store:
            search(net, **settings, algorithm=algorithm, store=store, study=study, evals=before + 1, resume=True)
        with timed(f"front of {algorithm}: open, load, non-dominated"), Store.open(location) as store:
            front = load(store, study).front
        print(f"    {len(front)} on the front")
    questions: dict[str, Callable[[Store], object]] = {
        "stored values of 150 sub-networks on a platform": lambda store: store.measurements(
            supernet=NET, platform=PLATFORMS[0], fingerprint=f"{1:016x}", protocol="quiet", keys=keys, status="ok"
        ),
        "the latest 50 measurements, without samples": lambda store: store.measurements(latest=50, samples=False),
        "count of all measurements": lambda store: store.count_measurements(),
        "count of the failed ones": lambda store: store.count_measurements(status="failed"),
        "list of all studies, with their evaluations' numbers": lambda store: store.studies(),
        "one more measurement": lambda store: store.put_measurement(record_of("0" * 45, {}, PLATFORMS[0])),
    }
    keys += net.space.keys(net.space.sample(PER_STUDY, seed=0))[:150]
    for what, ask in questions.items():
        with timed(what), Store.open(location) as store:
            ask(store)


def main() -> None:
    """Fill the store, if it is empty, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", default=os.environ.get("HWNAS_TEST_STORE", "store_study.db"))
    parser.add_argument("-n", type=int, default=1_000_000)
    chosen = parser.parse_args()
    with Store.open(chosen.store) as store:
        if store.count_measurements() < chosen.n:
            with timed(f"filling it with {chosen.n:,} measurements"):
                fill(store, chosen.n)
        print(f"{store.count_measurements():,} measurements, {len(store.studies()):,} studies in {store.name}")
    times(chosen.store, "resumed")


if __name__ == "__main__":
    main()
