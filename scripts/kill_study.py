"""Kill searches on a real backend at random moments, go on with them, and count what was lost and what was left.

Each search is killed with SIGKILL, and begun again with ``--resume``, until it is whole; then comes another, until
there were so many kills::

    python scripts/kill_study.py --kills 30

After each kill it looks, 5 s later, for processes of the search, for files in the temporary folder, and for semaphores.
What is measured again is counted by the store: a sub-network that had a value when the search was killed, and has a new
one afterwards. Those of the round under way have one from their sixteenth round on.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness.child import python_path
from harness.store import Store

NET = "ofa-mbv3-w1.0:r=28,classes=10,channels=1,scale=0.25"
_SETTLE_S = 5.0
_SEMAPHORES = Path("/dev/shm")  # noqa: S108 - it is looked at, no more


@dataclass(frozen=True)
class Kill:
    """What was seen of one kill.

    Attributes:
        after_s: how long the search had run.
        values: sub-networks that had a value in the store.
        interim: of them, those that were in the midst of their batch.
        processes: that were left.
        files: that were left in the temporary folder.
        semaphores: that were left.
        again: sub-networks with a value that were measured again by the next run.
    """

    after_s: float
    values: int
    interim: int
    processes: int
    files: int
    semaphores: int
    again: int = 0


def main() -> int:
    """Run it; exit code 0 where nothing was left and nothing with a value measured again."""
    options = _options()
    rng = random.Random(options.seed)  # noqa: S311 - when to kill is no secret
    with tempfile.TemporaryDirectory() as folder:
        kills: list[Kill] = []
        seed = 0
        while len(kills) < options.kills:
            seed += 1
            kills += _one_search(Path(folder), seed, options.kills - len(kills), options, rng)
    worst = {name: max(getattr(one, name) for one in kills) for name in ("processes", "files", "semaphores", "again")}
    report = {"kills": len(kills), "searches": seed, "worst": worst, "values": [one.values for one in kills]}
    sys.stdout.write(json.dumps(report) + "\n")
    return 1 if any(worst.values()) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--evals", type=int, default=48)
    parser.add_argument("--net", default=NET)
    parser.add_argument("--platform", default="onnxruntime:threads=1")
    parser.add_argument("--longest", type=float, default=60.0, help="a search is killed within so many seconds")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def _one_search(folder: Path, seed: int, most: int, options: argparse.Namespace, rng: random.Random) -> list[Kill]:
    """Kill one search until it is whole, or was killed often enough."""
    store, temporary = str(folder / f"{seed}.db"), folder / "temporary"
    temporary.mkdir(exist_ok=True)
    kills: list[Kill] = []
    while len(kills) < most:
        before = _values(store)
        seen = _killed(_command(store, seed, options), temporary, rng.uniform(0.0, options.longest), store)
        if kills:
            kills[-1] = Kill(**{**vars(kills[-1]), "again": _again(before, store)})
        if seen is None:
            break
        kills.append(seen)
        sys.stderr.write(f"{seen}\n")
    return kills


def _command(store: str, seed: int, options: argparse.Namespace) -> list[str]:
    command = [
        sys.executable, "-m", "hwnas", "search", options.net, "-p", options.platform, "--objective", "latency",
        "--objective", "macs", "-a", "random", "--evals", str(options.evals), "--seed", str(seed),
        "--store", store, "--study", "killed", "-q",
    ]  # fmt: skip
    return [*command, *(["--resume"] if _begun(store) else [])]


def _killed(command: Sequence[str], temporary: Path, after_s: float, store: str) -> Kill | None:
    """Run a search and kill it; ``None`` where it was faster."""
    semaphores = _semaphores()
    environment = {**os.environ, "PYTHONPATH": python_path(), "TMPDIR": str(temporary)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)  # noqa: S603 - our own program
    family: list[psutil.Process] | None = None
    try:
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
    _, left = psutil.wait_procs(family, timeout=_SETTLE_S)
    values = _values(store)
    return Kill(
        after_s=round(after_s, 1),
        values=len(values),
        interim=sum(interim for _, interim in values.values()),
        processes=len(left),
        files=len(list(temporary.iterdir())),
        semaphores=len(_semaphores() - semaphores),
    )


def _values(store: str) -> dict[str, tuple[int, bool]]:
    """Return the numbers of the latest measurements, and whether they are interim ones, by the sub-network's key."""
    if not Path(store).exists():
        return {}
    with Store.open(store) as opened:
        rows = opened.measurements(samples=False)
    return {row["key"]: (row["id"], bool(row["context"].get("interim"))) for row in rows if row["status"] != "failed"}


def _again(before: dict[str, tuple[int, bool]], store: str) -> int:
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
