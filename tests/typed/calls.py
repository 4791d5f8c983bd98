"""Calls that a type checker takes, and calls that it refuses: ``python scripts/check_installed.py`` checks them.

Nothing of it is run. Each ``type: ignore`` stands where an error has to be: mypy reports one that is not needed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hwnas

net: hwnas.SuperNetwork = hwnas.supernet("ofa-mbv3-w1.0")


@hwnas.quality("accuracy", unit="%")
def accuracy(module: Any, config: dict[str, list[int | float]]) -> float:
    return float(len(config))


def inputs() -> Any:
    return None


def with_interval(module: Any, config: Any) -> dict[str, float]:
    return {"value": 1.0, "low": 0.5, "high": 1.5}


# --- right -----------------------------------------------------------------------------------------------------------

study: hwnas.Study = hwnas.search(net, "lut:table=note10", quality="surrogate", algorithm="linas", evals=150, seed=0)
study = hwnas.search("ofa-mbv3-w1.0", platform="torch", quality=accuracy, weights=Path("w.pt"), store=None)
study = hwnas.search(net, objectives=["macs", "params"], quality=with_interval, store=Path("s.db"), progress=print)
study = hwnas.search(net, "torch", study="s", resume=True, warm_start=study, protocol={"cap_s": 4}, effort="quick")
best: hwnas.Evaluation = study.front[0]
latency: float = best.objectives["latency"]
low, high = best.intervals["latency"]
key: str = best.key
same: hwnas.Evaluation = study.evaluations[best]
study.report("page.html")
study.plot("macs", "top1").show()
study.export("folder", front=2, form="onnx")

measured: hwnas.Measurements = hwnas.measure(net, [best.config], "torch", effort="normal", store=False)
measured = hwnas.measure("ofa-mbv3-w1.0", net.space.sample(3, 0), ["torch", "onnxruntime"])
measured = hwnas.measure(None, None, "torch", models=["net.py:make", hwnas.Fixed(net.build(best.config), inputs())])
milliseconds: list[float] = [one.latency_ms for one in measured]

found: hwnas.TransferResult = hwnas.transfer(net, ["torch", "onnxruntime"], studies=[study], samples=10)
sentences: list[str] = found.words()

with hwnas.create_study(net, objectives=["macs", "energy[mJ]:min"], evals=3) as opened:
    told: list[hwnas.Evaluation] = opened.tell(opened.ask(2), {"energy": [1.0, None]})
    study = opened.result()

# --- wrong -----------------------------------------------------------------------------------------------------------

hwnas.search(net, "torch", eval=150)  # type: ignore[call-arg]
hwnas.search(net, "torch", evals="150")  # type: ignore[arg-type]
hwnas.search(net, "torch", quality=5)  # type: ignore[arg-type]
hwnas.search(net, "torch", quality=lambda module: 1.0)  # type: ignore[arg-type]
hwnas.search(net, "torch", objectives=5)  # type: ignore[arg-type]
hwnas.search(net, "torch", "surrogate")  # type: ignore[call-arg]
hwnas.search(5)  # type: ignore[arg-type]
hwnas.search(net, "torch", store=True)  # type: ignore[arg-type]
found = hwnas.search(net, "torch").fronts  # type: ignore[attr-defined]
hwnas.measure(net, [best.config])  # type: ignore[call-arg]
hwnas.measure(None, None, "torch", models=5)  # type: ignore[arg-type]
hwnas.Fixed(name="a")  # type: ignore[call-arg]
hwnas.measure(net, 5, "torch")  # type: ignore[arg-type]
hwnas.measure(net, "min", "torch", prcision="int8")  # type: ignore[call-arg]
hwnas.transfer(net, ["torch", "openvino"], evals=None)  # type: ignore[arg-type]
hwnas.create_study(net, evaluations=3)  # type: ignore[call-arg]
hwnas.supernet(5)  # type: ignore[arg-type]
hwnas.serch(net)  # type: ignore[attr-defined]
