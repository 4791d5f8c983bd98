"""Measure how well the measurement protocol agrees with itself, and how the usual protocols do on the same networks.

For each platform and each set of sub-networks (random ones; single-gene neighbours of one), every network is measured
twice, prepared anew and in another order: by hwnas, by DyNAS-T's protocol (warm-up, then the mean of consecutive runs)
and by ``torch.utils.benchmark``, which get the time per network that hwnas took. Prints a Markdown table: the figures
of ``docs/measurement.md``::

    python scripts/protocol_study.py                      # 40 networks, ONNX Runtime and OpenVINO, 1 thread: 20 minutes
    python scripts/protocol_study.py --busy 0.33          # with a process that keeps a core busy a third of the time
    python scripts/protocol_study.py -n 12 -p onnxruntime:threads=1 --json out.json
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwnas import backends, supernets
from hwnas.backends import RunningBackend, Session
from hwnas.experiments.timed import mean_of_runs
from hwnas.harness.host.lock import DeviceLock
from hwnas.harness.measure import Measurer
from hwnas.harness.measurement.retest import retest
from hwnas.harness.measurement.statistics import tau
from hwnas.harness.platform import parse
from hwnas.supernets.space import FloatArray, IntArray
from hwnas.supernets.writing import write_file

NET = "ofa-mbv3-w1.0"
PLATFORMS = ("onnxruntime:threads=1", "openvino:threads=1")
SETS = ("random", "neighbours")
_BUSY_PERIOD_S = 0.3


@dataclass(frozen=True)
class Row:
    """How two passes of one protocol over one set agree.

    Attributes:
        platform: where.
        networks: the set.
        protocol: "hwnas", "dynast" or "torch.utils.benchmark".
        tau: Kendall's tau between the passes.
        median_difference: the median of |second - first| / first; for hwnas, with the anchors' drift divided out.
        drift: by how much the machine was slower in the second pass: for hwnas as its anchors say, for the others the
            median of second / first - 1, which is not divided out.
        seconds: timing per network and pass.
        converged: share of the networks that are "ok" in both passes; the peers' protocols do not know of it.
        tau_settled: tau over those.
        tau_halves: what the protocol itself says about its ranking, the lower of the two passes.
    """

    platform: str
    networks: str
    protocol: str
    tau: float
    median_difference: float
    drift: float
    seconds: float
    converged: float = float("nan")
    tau_settled: float = float("nan")
    tau_halves: float = float("nan")


def sub_networks(kind: str, n: int, seed: int = 0) -> IntArray:
    """Return ``n`` different canonical vectors: random ones, or neighbours of one in a single choice."""
    space = supernets.get(NET).space
    rng = np.random.default_rng(seed)
    if kind == "random":
        return space.canonical(space.sample(n, rng))
    base = space.canonical(space.sample(1, rng))
    moved = np.repeat(base, int(space.n_options.sum()), axis=0)
    columns = np.repeat(np.arange(space.n_var), space.n_options)
    moved[np.arange(len(moved)), columns] = np.concatenate([np.arange(k) for k in space.n_options])
    different = np.unique(space.canonical(moved), axis=0)
    different = different[(different != base).any(axis=1)]
    chosen: IntArray = rng.permutation(different)[:n]
    return chosen


def ours(platform: str, networks: str, X: IntArray) -> Row:
    """Measure twice with hwnas."""
    with Measurer(supernets.get(NET), platform, check=False) as measurer:
        passes = [measurer.measure(X, fresh=True) for _ in range(2)]
    values = [np.array([m.latency_s for m in one]) for one in passes]
    ok = np.array([a.status == b.status == "ok" for a, b in zip(*passes, strict=True)])
    again = retest(*passes)
    spent = float(np.mean([m.spent_s for one in passes for m in one]))
    halves = min(one[0].context.get("tau_halves", float("nan")) for one in passes)
    converged = tau(values[0][ok], values[1][ok]) if ok.sum() > 1 else float("nan")
    return Row(
        platform,
        networks,
        "hwnas",
        tau(*values),
        again.median_difference,
        again.drift,
        spent,
        float(ok.mean()),
        converged,
        halves,
    )


def _row(platform: str, networks: str, protocol: str, values: Sequence[FloatArray], seconds: float) -> Row:
    first, second = values
    ratio = second / first
    apart = float(np.median(np.abs(ratio - 1)))
    return Row(platform, networks, protocol, tau(first, second), apart, float(np.median(ratio) - 1), seconds)


# --- the usual protocols, in a process of their own ------------------------------------------------------------------


def peers(platform: str, networks: str, X: IntArray, seconds: float) -> list[Row]:
    """Measure twice with each of the usual protocols, ``seconds`` per network."""
    settings = parse(platform).settings
    counts = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(settings.threads))
    order = json.dumps({"platform": platform, "X": X.tolist(), "seconds": seconds})
    command = [sys.executable, str(Path(__file__).resolve()), "--peers-of"]
    done = subprocess.run(  # noqa: S603 - this very file
        command, input=order, capture_output=True, text=True, check=True, env={**os.environ, **counts}
    )
    found: dict[str, list[list[float]]] = json.loads(done.stdout)
    return [_row(platform, networks, name, list(map(np.array, values)), seconds) for name, values in found.items()]


def _peers_of(order: dict[str, Any]) -> dict[str, list[list[float]]]:
    platform = parse(order["platform"])
    backend = backends.get(platform.backend)
    if not isinstance(backend, RunningBackend):
        raise SystemExit(f"{platform.backend} runs nothing")
    net = supernets.get(NET)
    configs = net.space.decode(np.array(order["X"]))
    found: dict[str, list[list[float]]] = {"dynast": [], "torch.utils.benchmark": []}
    for _ in range(2):
        sessions = [backend.prepare(net.stages(config, 1)[0], platform.settings) for config in configs]
        for name, measure in (("dynast", dynast), ("torch.utils.benchmark", torch_benchmark)):
            found[name].append([measure(session, order["seconds"]) for session in sessions])
        for session in sessions:
            session.close()
    return found


def dynast(session: Session, seconds: float) -> float:
    """Measure as DyNAS-T does: a fixed warm-up, then the mean of consecutive runs."""
    return mean_of_runs([session], [1], seconds)


def torch_benchmark(session: Session, seconds: float) -> float:
    """Measure by PyTorch's own benchmark: its median over blocks of runs."""
    from torch.utils.benchmark import Timer

    timer = Timer("run()", globals={"run": session.run})
    return float(timer.blocked_autorange(min_run_time=seconds).median)


# --- a machine that is not at rest -----------------------------------------------------------------------------------


@contextmanager
def busy(share: float) -> Iterator[None]:
    """Keep a core busy for a share of the time, by another process."""
    if not share:
        yield
        return
    process = subprocess.Popen(  # noqa: S603 - this very file
        [sys.executable, str(Path(__file__).resolve()), "--keep-busy", str(share)]
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _keep_busy(share: float) -> None:
    data = np.ones((256, 256), dtype=np.float32)
    while True:
        end = time.perf_counter() + share * _BUSY_PERIOD_S
        while time.perf_counter() < end:
            data @ data
        time.sleep((1 - share) * _BUSY_PERIOD_S)


# --- the table -------------------------------------------------------------------------------------------------------


def study(
    platforms: Sequence[str], sets: Sequence[str], n: int, share: float, say: Callable[[Row], None], others: bool = True
) -> list[Row]:
    """Measure everything; each row is said as soon as it is there."""
    rows = []
    for platform in platforms:
        for networks in sets:
            X = sub_networks(networks, n)
            # The peers' protocols know of no lock: it is held for them.
            with DeviceLock("cpu", _tell), busy(share):
                row = ours(platform, networks, X)
                for one in [row, *(peers(platform, networks, X, row.seconds) if others else [])]:
                    say(one)
                    rows.append(one)
    return rows


def _tell(text: str) -> None:
    sys.stderr.write(text + "\n")


_COLUMNS = (
    *("platform", "sub-networks", "protocol", "tau", "median difference", "drift", "s per network"),
    *("ok", "tau of those", "tau of halves"),
)
HEADER = f"| {' | '.join(_COLUMNS)} |\n|{' --- |' * len(_COLUMNS)}"


def line(row: Row) -> str:
    """Return a row of the table."""
    told = (
        [f"{row.converged:.0%}", f"{row.tau_settled:.3f}", f"{row.tau_halves:.3f}"]
        if row.protocol == "hwnas"
        else [""] * 3
    )
    cells = [
        row.platform,
        row.networks,
        row.protocol,
        f"{row.tau:.3f}",
        f"{row.median_difference:.2%}",
        f"{row.drift:+.2%}",
        f"{row.seconds:.2f}",
        *told,
    ]
    return f"| {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-p", "--platform", action="append", help="repeatable")
    parser.add_argument("-s", "--set", action="append", choices=SETS, dest="sets", help="repeatable")
    parser.add_argument("-n", type=int, default=40, help="sub-networks in a set")
    parser.add_argument(
        "--busy", type=float, default=0.0, help="share of the time that another process keeps a core busy"
    )
    parser.add_argument("--no-peers", action="store_true", help="hwnas only")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--peers-of", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--keep-busy", type=float, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.keep_busy is not None:
        _keep_busy(given.keep_busy)
    if given.peers_of:
        sys.stdout.write(json.dumps(_peers_of(json.load(sys.stdin))))
        return
    sys.stdout.write(f"load {os.getloadavg()[0]:.2f}\n{HEADER}\n")

    def say(row: Row) -> None:
        sys.stdout.write(line(row) + "\n")
        sys.stdout.flush()

    rows = study(given.platform or PLATFORMS, given.sets or SETS, given.n, given.busy, say, not given.no_peers)
    if given.json:
        write_file(given.json, (json.dumps([asdict(row) for row in rows], indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
