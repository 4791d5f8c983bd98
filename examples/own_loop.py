"""A search whose loop is yours: ask for sub-networks, evaluate them however you like, tell their values."""

import hwnas


def stability(config: dict[str, list[float]]) -> float:
    """Return whatever you evaluate: here, the number of layers."""
    return float(sum(config["d"]))


objectives = ["latency", "stability:max"]
with hwnas.create_study("ofa-mbv3-w1.2", "lut:table=note10", objectives=objectives, evals=24) as study:
    while proposals := study.ask():
        study.tell(proposals, {"stability": [stability(one.config) for one in proposals]})
    print(len(study.evaluations), "evaluations,", len(study.front), "of them on the front")
