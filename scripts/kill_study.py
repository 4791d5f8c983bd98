"""Kill searches on a real backend at random moments, go on with them, and count what was lost and what was left.

Each search is killed with SIGKILL, and begun again with ``--resume``, until it is whole; then comes another, until
there were so many kills::

    python scripts/kill_study.py --kills 30

Most of a search's first half minute is starting and preparing, when there is nothing to lose. So the random time is
counted from the run's first new value in the store; with ``--at-once``, from its start. After each kill the study
looks, 5 s later, for processes of the search, for files in the temporary folder, and for semaphores. What is measured
again is counted by the store: a sub-network that had a value when the search was killed, and has a new one afterwards.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from hwnas.harness.host.child import python_path
from hwnas.harness.store import Store

NET = "ofa-mbv3-w1.0:r=28,classes=10,channels=1,scale=0.25"
_SETTLE_S = 5.0
_LOOK_S = 0.5
_SEMAPHORES = Path("/dev/shm")  # noqa: S108 - it is looked at, no more


@dataclass(frozen=True)
class Kill:
    """What was seen of one kill.

    Attributes:
        after_s: how long the search had run.
        values: sub-networks that had a value in the store.
        interim: of them, those that were in the midst of their batch.
        rounds: the round after which their values were kept, 0 where there are none.
        processes: that were left.
        files: that were left in the temporary folder.
        semaphores: that were left.
        again: sub-networks with a value that were measured again by the next run.
    """

    after_s: float
    values: int
    interim: int
    rounds: int
    processes: int
    files: int
    semaphores: int
    again: int = 0


def main() -> int:
    """Run it; exit code 0 where nothing was left and nothing with a value measured again."""
    options = _options()
    rng = random.Random(options.seed)  # noqa: S311 - when to kill is no secret
    kills: list[Kill] = []
    seed = 0
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(KeyboardInterrupt):
        while len(kills) < options.kills:
            seed += 1
            _one_search(Path(folder), seed, options, rng, kills)
    worst = {name: max(getattr(one, name) for one in kills) for name in ("processes", "files", "semaphores", "again")}
    seen = {name: [getattr(one, name) for one in kills] for name in ("after_s", "values", "interim", "rounds")}
    report = {"kills": len(kills), "searches": seed, "worst": worst, **seen}
    sys.stdout.write(json.dumps(report) + "\n")
    return 1 if any(worst.values()) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--evals", type=int, default=48)
    parser.add_argument("--net", default=NET)
    parser.add_argument("--platform", default="onnxruntime:threads=1")
    parser.add_argument("--longest", type=float, default=60.0, help="a search is killed within so many seconds")
    parser.add_argument("--at-once", action="store_true", help="counted from its start, not from its first new value")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def _one_search(folder: Path, seed: int, options: argparse.Namespace, rng: random.Random, kills: list[Kill]) -> None:
    """Kill one search until it is whole, or there were enough kills; add what was seen to ``kills``."""
    store, temporary = str(folder / f"{seed}.db"), folder / "temporary"
    temporary.mkdir(exist_ok=True)
    began = len(kills)
    while True:
        before = _values(store)
        known = None if options.at_once else before.keys()
        enough = len(kills) >= options.kills
        after_s = math.inf if enough else rng.uniform(0.0, options.longest)
        seen = _killed(_command(store, seed, options), temporary, after_s, store, known)
        if len(kills) > began:
            kills[-1] = replace(kills[-1], again=_again(before, store))
            sys.stderr.write(f"{kills[-1]}\n")
        if seen is None:
            return
        kills.append(seen)


def _command(store: str, seed: int, options: argparse.Namespace) -> list[str]:
    command = [
        sys.executable, "-m", "hwnas", "search", options.net, "-p", options.platform, "--objective", "latency",
        "--objective", "macs", "-a", "random", "--evals", str(options.evals), "--seed", str(seed),
        "--store", store, "--study", "killed", "-q",
    ]  # fmt: skip
    return [*command, *(["--resume"] if _begun(store) else [])]


def _killed(
    command: Sequence[str], temporary: Path, after_s: float, store: str, known: AbstractSet[str] | None
) -> Kill | None:
    """Run a search and kill it so long after it has a value that is not ``known``; ``None`` where it was faster."""
    semaphores = _semaphores()
    environment = {**os.environ, "PYTHONPATH": python_path(), "TMPDIR": str(temporary)}
    began = time.monotonic()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)  # noqa: S603 - our own program
    family: list[psutil.Process] | None = None
    try:
        while known is not None and process.poll() is None and _values(store).keys() <= known:
            time.sleep(_LOOK_S)
        process.wait(after_s)
    except subprocess.TimeoutExpired:
        family = psutil.Process(process.pid).children(recursive=True)
    finally:
        process.kill()  # if this script itself is interrupted, too
        process.wait()
    if family is None:
        if process.returncode:
            raise SystemExit(f"the search ended with exit code {process.returncode}")
        return None
    ran_s = time.monotonic() - began
    _, left = psutil.wait_procs(family, timeout=_SETTLE_S)
    values = _values(store).values()
    return Kill(
        after_s=round(ran_s, 1),
        values=len(values),
        interim=sum(rounds > 0 for _, rounds in values),
        rounds=max((rounds for _, rounds in values), default=0),
        processes=len(left),
        files=len(list(temporary.iterdir())),
        semaphores=len(_semaphores() - semaphores),
    )


def _values(store: str) -> dict[str, tuple[int, int]]:
    """Return the numbers of the latest measurements by the sub-network's key, and the rounds of the interim ones."""
    if not Path(store).exists():
        return {}
    with Store.open(store) as opened:
        rows = opened.measurements(samples=False)
    # With another effort, for the front that is reported, a sub-network is measured once more.
    known = [row for row in rows if row["status"] != "failed"]
    return {f"{row['key']} by {row['protocol']}": (row["id"], _rounds(row["context"])) for row in known}


def _rounds(context: Mapping[str, Any]) -> int:
    return int(context["rounds"]) if context.get("interim") else 0


def _again(before: dict[str, tuple[int, int]], store: str) -> int:
    now = _values(store)
    return sum(now[key] != value for key, value in before.items())


def _begun(store: str) -> bool:
    if not Path(store).exists():
        return False
    with Store.open(store) as opened:
        return opened.study("killed") is not None


def _semaphores() -> set[str]:
    return {file.name for file in _SEMAPHORES.glob("sem.*")} if _SEMAPHORES.is_dir() else set()


if __name__ == "__main__":
    sys.exit(main())
