"""Break a farm while a search runs on it, and count what the store has in the end.

Workers are killed every few seconds, the client is killed twice and resumed, the scheduler is killed once. The devices
are those of the tests (``tests/stand_ins``), which sleep as long as they say::

    python scripts/farm_chaos.py --evals 200 --workers 4
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "stand_ins"), str(ROOT / "tests" / "plugin")]

from fleet import Fleet  # noqa: E402

from hwnas.harness.host.child import python_path  # noqa: E402
from hwnas.harness.store import Store  # noqa: E402


def main() -> int:
    """Run it; exit code 0 where every sub-network is there once."""
    options = _options()
    rng = random.Random(options.seed)  # noqa: S311 - whom to kill is no secret
    with tempfile.TemporaryDirectory() as folder:
        store = str(Path(folder) / "chaos.db")
        fleet = Fleet(folder)
        start = time.monotonic()
        at_last_kill = 0
        killed = {"workers": 0, "clients": 0, "schedulers": 0}
        try:
            for unit in range(options.workers):
                fleet.add("--unit", unit)
            fleet.ready(options.workers)
            client = _client(fleet, store, options, resume=False)
            next_kill = time.monotonic() + options.every
            while client.poll() is None:
                time.sleep(0.2)
                done = _kept(store)
                if killed["clients"] < 2 and done >= (killed["clients"] + 1) * options.evals // 3:
                    client.kill()
                    client.wait()
                    killed["clients"] += 1
                    client = _client(fleet, store, options, resume=True)
                elif killed["schedulers"] < options.schedulers and done >= options.evals // 2:
                    fleet.restart_scheduler()
                    killed["schedulers"] += 1
                elif (
                    time.monotonic() >= next_kill
                    and not (options.fair and done == at_last_kill)
                    and (alive := fleet.joined())
                ):
                    at_last_kill = done
                    fleet.kill(rng.choice(alive))
                    killed["workers"] += 1
                    next_kill = time.monotonic() + options.every
            said = client.stderr.read() if client.stderr is not None else ""
            return _verdict(store, options, killed, time.monotonic() - start, client.returncode, said)
        finally:
            fleet.close()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evals", type=int, default=200)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--every", type=float, default=3.0, help="seconds between two kills of a worker")
    parser.add_argument("--fair", action="store_true", help="kill none before something has arrived since the last")
    parser.add_argument("--schedulers", type=int, default=1, help="how often the scheduler is killed")
    parser.add_argument("--algorithm", default="linas")
    parser.add_argument("--us", type=int, default=300, help="microseconds per unit of a network")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def _client(fleet: Fleet, store: str, options: argparse.Namespace, *, resume: bool) -> subprocess.Popen[str]:
    command = [
        sys.executable, "-m", "hwnas", "search", "toy:layers=6", "-p", f"scripted-device:us={options.us}",
        "--scheduler", fleet.address, "--store", store, "--study", "chaos", "--evals", str(options.evals),
        "--objective", "latency", "--objective", "params", "--algorithm", options.algorithm, "-q",
    ]  # fmt: skip
    begun = resume and _kept(store, absent=-1) >= 0
    return subprocess.Popen(  # noqa: S603 - our own program
        [*command, *(["--resume"] if begun else [])],
        env={**os.environ, "PYTHONPATH": python_path()},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )


def _kept(store: str, absent: int = 0) -> int:
    if not Path(store).exists():
        return absent
    with Store.open(store) as opened:
        study = opened.study("chaos")
    return absent if study is None else study.evaluations


def _verdict(
    store: str, options: argparse.Namespace, killed: dict[str, int], seconds: float, code: int, said: str
) -> int:
    with Store.open(store) as opened:
        study = opened.study("chaos")
        evaluations = [] if study is None else opened.evaluations(study)
        taken = [one["key"] for one in opened.measurements(samples=False)]
    keys = [one["key"] for one in evaluations]
    report = {
        "evaluations": len(keys),
        "distinct": len(set(keys)),
        "failed": sum(one["status"] == "failed" for one in evaluations),
        "reasons": sorted({one["reason"] for one in evaluations if one["status"] == "failed"}),
        "killed": killed,
        "measurements": len(taken),
        "seconds": round(seconds, 1),
        "exit_code": code,
    }
    sys.stdout.write(json.dumps(report) + "\n")
    if said:
        sys.stderr.write(said)
    return 0 if code == 0 and len(keys) == len(set(keys)) == options.evals else 1


if __name__ == "__main__":
    sys.exit(main())
