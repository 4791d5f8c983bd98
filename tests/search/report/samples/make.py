"""Makes the sample results beside this file anew: ``python tests/search/report/samples/make.py``.

The networks are real; the latencies are sums of MACs and of tensor traffic in proportions that differ by platform, with
noise, so that the pages have something of realistic size and shape to show without measuring anything.
"""

import json
from pathlib import Path

import numpy as np

from hwnas import supernets
from hwnas.search.comparison.run import compare
from hwnas.search.hypervolume import non_dominated
from hwnas.search.transfer import QualityLabel, SharedRows, analyse
from hwnas.search.transfer.adapting import adapting
from hwnas.search.transfer.effects import EffectModel
from hwnas.supernets.blocks import BlockSum

HERE = Path(__file__).parent
# Milliseconds per million MACs, per million tensor elements, per layer.
PLATFORMS = {
    "openvino:threads=1": (0.012, 0.10, 0.02),
    "openvino:threads=1,batch=8": (0.088, 0.82, 0.05),
    "onnxruntime:threads=2,batch=8": (0.02, 3.2, 1.1),
    "torch-cuda:batch=64": (0.010, 0.9, 0.06),
}
LABEL = QualityLabel("surrogate", "top1", "%", predicted=True, note="ridge and SVR on 2,162 measured sub-networks")


def traffic(block):
    return float(
        np.prod(block.input) + np.prod(block.output) + 2 * dict(block.options).get("mid", 0) * block.input[0] ** 2
    )


class Device:
    def __init__(self, net):
        self.sums = [
            BlockSum(net.space, net.slots, lambda block: block.macs / 1e6, np.float64),
            BlockSum(net.space, net.slots, lambda block: traffic(block) / 1e6, np.float64),
            BlockSum(net.space, net.slots, lambda _: 1.0, np.float64),
        ]

    def latency_ms(self, platform, X):
        return sum(weight * term(X) for weight, term in zip(PLATFORMS[platform], self.sums, strict=True))


def quality(net, X):
    """Saturating in MACs, with a taste for depth and large kernels late in the network."""
    hot = net.space.one_hot(X)
    taste = np.random.default_rng(2).normal(0, 0.12, hot.shape[1])
    return np.clip(70 + 7.2 * (1 - np.exp(-(net.macs(X) - 90e6) / 1.3e8)) + hot @ taste * 0.5, 0, 100)


def fronts(net, device, platforms, rng):
    """What a search might find on each platform: the front of many random networks, and of mutants of that front."""
    for platform in platforms:
        X = net.space.canonical(net.space.sample(3000, rng))
        for _ in range(4):
            best = X[non_dominated(np.column_stack([device.latency_ms(platform, X), -quality(net, X)]))]
            mutants = np.repeat(best, 60, axis=0)
            change = rng.random(mutants.shape) < 0.06
            X = np.unique(
                net.space.canonical(np.vstack([best, np.where(change, net.space.sample(len(mutants), rng), mutants)])),
                axis=0,
            )
        best = X[non_dominated(np.column_stack([device.latency_ms(platform, X), -quality(net, X)]))]
        yield best[rng.choice(len(best), min(24, len(best)), replace=False)]


def shared_rows(platforms, samples, seed=0):
    net, rng = supernets.get("ofa-mbv3-w1.0"), np.random.default_rng(seed)
    device = Device(net)
    found = list(fronts(net, device, platforms, rng))
    X = np.vstack([*found, net.space.sample(samples, rng), net.space.smallest(), net.space.largest()])
    X = np.unique(net.space.canonical(X), axis=0)
    keys = net.space.keys(X)
    latency = np.column_stack([device.latency_ms(platform, X) for platform in platforms]) / 1e3
    latency = latency * rng.normal(1, 0.004, latency.shape)
    half = latency * rng.uniform(0.003, 0.012, latency.shape)
    status = np.where(rng.random(latency.shape) < 0.03, "unstable", "ok").astype(object)
    status[5, -1] = "failed"
    reasons = np.where(status == "unstable", "relative interval 2.4 % after 1 s", "")
    reasons[5, -1] = "out of memory"
    latency[5, -1] = half[5, -1] = np.nan
    member = np.column_stack([np.isin(keys, net.space.keys(front)) for front in found])
    return SharedRows(
        supernet=net.name,
        platforms=tuple(platforms),
        keys=tuple(keys),
        configs=tuple(net.space.decode(X)),
        quality=quality(net, X),
        label=LABEL,
        latency_s=latency,
        low_s=latency - half,
        high_s=latency + half,
        status=tuple(map(tuple, status.tolist())),
        reasons=tuple(map(tuple, reasons.tolist())),
        fronts=member,
    )


ENVIRONMENT = {
    "host": "lab-7",
    "cpu": {"model": "Intel(R) Xeon(R) Platinum 8380 CPU @ 2.30GHz", "cores": 2, "governor": "performance"},
    "versions": {"openvino": "2026.4", "onnxruntime": "1.32.0", "torch": "2.13.0", "python": "3.11.2"},
    "protocol": 1,
}


def transfer_sample(platforms=tuple(PLATFORMS)[:3], samples=30, resamples=None):
    rows = shared_rows(platforms, samples)
    net = supernets.get(rows.supernet)
    X = net.space.encode(rows.configs)
    return analyse(
        rows,
        np.random.default_rng(0),
        resamples=resamples,
        effects=EffectModel(net.space, X),
        stage_effects=EffectModel(net.space, X, by_stage=True),
        adapting=adapting(net.space, X, rows.latency_s, np.random.default_rng(0)) if resamples is None else None,
        settings={"algorithm": "linas", "evals": 150, "seed": 0, "samples": samples},
        searches=[{"platform": p, "study": None, "evaluations": 150, "front": 24, "seconds": 71.5} for p in platforms],
        environment=ENVIRONMENT,
    ).to_json()


def search_sample(three=False, evals=150, seed=1):
    net, rng = supernets.get("ofa-mbv3-w1.0"), np.random.default_rng(seed)
    device, platform = Device(net), "openvino:threads=1"
    pool = np.vstack(list(fronts(net, device, [platform], rng)))
    X, iteration = [net.space.sample(50, rng)], [0] * 50
    while len(iteration) < evals:
        step = iteration[-1] + 1
        # Each iteration draws more of its genes from the front.
        drawn = pool[rng.integers(0, len(pool), 50)]
        X.append(np.where(rng.random(drawn.shape) < 0.35 / step, net.space.sample(50, rng), drawn))
        iteration += [step] * 50
    X = net.space.canonical(np.vstack(X)[:evals])
    columns = {"latency": device.latency_ms(platform, X) * rng.normal(1, 0.003, len(X)), "top1": quality(net, X)}
    if three:
        columns["macs"] = net.macs(X) / 1e6
    objectives = [{"name": "latency", "unit": "ms", "maximise": False}, {"name": "top1", "unit": "%", "maximise": True}]
    objectives += [{"name": "macs", "unit": "M", "maximise": False}] * three
    F = np.column_stack([-column if name == "top1" else column for name, column in columns.items()])
    F[17] = np.nan
    alive = non_dominated(F)
    worst = {name: float(column.min() if name == "top1" else column.max()) for name, column in columns.items()}
    evaluations = [
        {
            "index": i,
            "iteration": iteration[i],
            "config": config,
            "objectives": {name: None if i == 17 else round(float(column[i]), 6) for name, column in columns.items()},
            "intervals": {"latency": [columns["latency"][i] * 0.992, columns["latency"][i] * 1.011]},
            "status": "failed" if i == 17 else "ok",
            "reason": "worker died" if i == 17 else "",
        }
        for i, config in enumerate(net.space.decode(X))
    ]
    return {
        "schema": 1,
        "study": "first",
        "supernet": net.name,
        "platform": platform,
        "algorithm": "linas",
        "seed": seed,
        "objectives": objectives,
        "quality": vars(LABEL),
        "evaluations": evaluations,
        "front": np.flatnonzero(alive).tolist(),
        "hypervolume": {"value": 1.0, "reference": worst},
        "time_s": {"measure": 61.2, "search": 8.4, "total": 71.5},
        "environment": ENVIRONMENT,
        "settings": {"population": 50, "inner_evals": 20000, "predictor": "auto"},
    }


def compare_sample(objectives=("macs", "top1"), algorithms=("nsga2", "random")):
    """A real comparison: on what is free, it takes no time."""
    net = supernets.get("ofa-mbv3-w1.0")
    found = compare(net, objectives=objectives, algorithms=algorithms, evals=60, seeds=3, workers=1)
    return rounded(found.to_json())


def rounded(tree):
    if isinstance(tree, dict):
        return {key: rounded(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [rounded(value) for value in tree]
    return float(f"{tree:.6g}") if isinstance(tree, float) else tree


if __name__ == "__main__":
    samples = {
        "transfer": transfer_sample(),
        "search": search_sample(),
        "search3": search_sample(three=True),
        "compare": compare_sample(),
        "compare3": compare_sample(("macs", "top1", "params"), ("unsga3", "random")),
    }
    for name, result in samples.items():
        HERE.joinpath(f"{name}.json").write_text(json.dumps(result, allow_nan=False) + "\n")
