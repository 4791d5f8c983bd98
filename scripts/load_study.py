"""Does a transfer say beside a load what it would not say at rest? ``python scripts/load_study.py --runs 10``.

Two platforms are searched once. Then their fronts and some other sub-networks are measured anew on both, at rest and,
time and again, beside processes that keep all CPUs busy. What each run says of the platforms' orders and of losses is
counted, and what contradicts the run at rest: "alike" against "different", or a loss that was found to be none.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hwnas import supernets
from hwnas.harness.store import Store
from hwnas.search.transfer import TransferResult, transfer
from hwnas.search.transfer.fronts import Regret

PLATFORMS = ("onnxruntime:threads=1", "openvino:threads=1")
# A process that keeps a CPU busy, and ends with the one that started it.
_BUSY = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    sum(range(100_000))"


def main() -> int:
    """Print what each run says, and the count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-p", "--platform", action="append", help=f"two of them; default: {' '.join(PLATFORMS)}")
    parser.add_argument("--supernet", default="ofa-mbv3-w1.0")
    parser.add_argument("--runs", type=int, default=10, help="so many beside the load")
    parser.add_argument("--busy", type=int, default=os.cpu_count(), help="processes that each keep a CPU busy")
    parser.add_argument("--evals", type=int, default=10)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--effort", default="normal")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Store.open(str(Path(folder) / "study.db")) as store:
        net, names = supernets.get(given.supernet), []

        def run(what: str) -> TransferResult:
            found = transfer(
                net, given.platform or PLATFORMS, studies=names, algorithm="random", evals=given.evals,
                samples=given.samples, effort=given.effort, fresh=True, store=store,
            )  # fmt: skip
            sys.stdout.write(f"{what}: {' '.join(found.words()[:3])}\n")
            sys.stdout.flush()
            return found

        rest = run("at rest")
        names += [str(one["study"]) for one in rest.searches]
        with busy(given.busy):
            loaded = [run(f"beside {given.busy} busy processes, run {number}") for number in range(1, given.runs + 1)]
        again = run("at rest again")
    said = Counter(one.orders[0][1] for one in loaded)
    sys.stdout.write(f"at rest {rest.orders[0][1]}, again {again.orders[0][1]}; beside the load {dict(said)}\n")
    sys.stdout.write(
        f"{sum(contradicts(one, rest) for one in loaded)} of {len(loaded)} runs contradict the one at rest\n"
    )
    return 0


def contradicts(one: TransferResult, rest: TransferResult) -> bool:
    """Tell whether a run says of orders or of losses what another contradicts."""
    if {one.orders[0][1], rest.orders[0][1]} == {"alike", "different"}:
        return True
    said = {_case(each): each.low for each in one.regrets if each.low > 0 and one.rows.settled[each.deployed_on]}
    most = {case: max(each.high for each in rest.regrets if _case(each) == case) for case in map(_case, rest.regrets)}
    return any(low > most.get(case, low) for case, low in said.items())


def _case(regret: Regret) -> tuple[int, int]:
    return regret.searched_on, regret.deployed_on


@contextmanager
def busy(n: int) -> Iterator[None]:
    """Keep so many CPUs busy, by processes of their own."""
    processes: Sequence[subprocess.Popen[bytes]] = [subprocess.Popen([sys.executable, "-c", _BUSY]) for _ in range(n)]  # noqa: S603
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


if __name__ == "__main__":
    sys.exit(main())
