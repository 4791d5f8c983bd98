"""How fast a store is with a million measurements: fill one, then time what a search and its user wait for.

::

    python scripts/store_study.py --store big.db
    python tests/plugin/throwaway_postgresql.py python scripts/store_study.py     # a server for this run alone

Every measurement is a record of the size that a search writes, with its samples, over many super-networks' names, platforms and
studies. The study that is resumed and listed is one of them. Figures: docs/store.md.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import supernets
from harness.store import Store
from search.study import load, search
from search.archive import Evaluation

NET = "ofa-mbv3-w1.2"
PLATFORMS = tuple(
    f"onnxruntime:threads={threads},batch={batch}" for threads in (1, 2, 4, 8, 16) for batch in (1, 8, 32, 128)
)
# A study of so many; as many studies as there are measurements for.
PER_STUDY = 500


def record_of(number: int, key: str, config: dict[str, Any], platform: str) -> dict[str, Any]:
    """Return a measurement's record, as long as a real one (2.3 kB, without its samples)."""
    noise = random.Random(number)
    return {
        "supernet": NET,
        "config": config,
        "key": key,
        "graph": f"{number:064x}",
        "platform": platform,
        "status": "failed" if number % 100 == 0 else "ok",
        "reason": "",
        "statistic": "median",
        "latency_s": 0.01 + 0.01 * noise.random(),
        "fingerprint": f"{number % 7:016x}",
        "protocol": "quiet",
        "measured_at": f"2026-{1 + number % 12:02}-{1 + number % 28:02}T03:04:05+00:00",
        "context": {"anchors": {str(n): noise.random() for n in range(3)}, "noise": {"spin": noise.random()}},
        "stages": [{"name": f"stage {n}", "runs": 1, "seconds": noise.random()} for n in range(6)],
        "read_back": [{"clock_mhz": noise.random(), "threads": 1, "note": "as it was asked for"} for _ in range(6)],
    }


def fill(store: Store, n: int) -> str:
    """Put ``n`` measurements and their studies into an empty store; return the name of the study to resume."""
    net = supernets.get(NET)
    X = net.space.sample(PER_STUDY, seed=0)
    keys, configs = net.space.keys(X), net.space.decode(X)
    database, tables = store._database, store._database.metadata.tables  # noqa: SLF001 - in bulk, for once
    samples = zlib.compress(json.dumps({"samples_s": list(np.random.default_rng(0).random(200))}).encode(), level=1)
    columns = [column.name for column in tables["measurement"].columns if column.name not in {"id", "record"}]
    for number in range(n // PER_STUDY):
        platform = PLATFORMS[number % len(PLATFORMS)]
        at = number * PER_STUDY
        records = [record_of(at + row, keys[row], configs[row], platform) for row in range(PER_STUDY)]
        rows = [
            {"id": at + row + 1, **{c: one[c] for c in columns}, "record": json.dumps(one)}
            for row, one in enumerate(records)
        ]
        kept = [{"measurement_id": row["id"], "samples": samples} for row in rows]
        study = store.create_study(f"other-{number}", {"search": {}, "facts": {}})
        evaluations = [
            {
                "study_id": study.id,
                "number": row,
                "key": keys[row],
                "record": json.dumps(evaluation(row, X, keys, configs)),
            }
            for row in range(PER_STUDY)
        ]

        def insert(
            connection: Any,
            parts: Any = (("measurement", rows), ("measurement_samples", kept), ("evaluation", evaluations)),
        ) -> None:
            for table, values in parts:
                connection.execute(tables[table].insert(), values)

        database.write(insert)
        if number % 100 == 0:
            print(f"{at:,} measurements", flush=True)
    if "postgresql" in store.name:
        # What autovacuum does by itself within minutes.
        database.write(
            lambda connection: connection.exec_driver_sql(
                "SELECT setval('measurement_id_seq', (SELECT max(id) FROM measurement))"
            )
        )
        database.write(lambda connection: connection.exec_driver_sql("ANALYZE"))
    return "resumed"


def evaluation(row: int, X: Any, keys: list[str], configs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return an evaluation as a study has it."""
    noise = random.Random(row)
    return Evaluation(
        row,
        row // 50,
        tuple(X[row].tolist()),
        configs[row],
        keys[row],
        {"latency": noise.random(), "top1": noise.random()},
        "ok",
    ).to_json()


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
    for algorithm in ("random", "nsga2", "linas"):
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
        "one more measurement": lambda store: store.put_measurement(record_of(0, "0" * 45, {}, PLATFORMS[0])),
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
