"""Search a trained model's sub-networks: LINAS against random search, and before against after a little training.

The model is the MiniLM sentence encoder (``scripts/minilm.py``), the quality the mean cosine of its sub-networks'
embeddings to its own, on sentences. Prints the figures of ``docs/own-model.md``; what is done already is in the folder
and not done again::

    python scripts/own_model_study.py --folder /tmp/minilm --part before   # LINAS and random search, three seeds
    python scripts/own_model_study.py --folder /tmp/minilm --part train    # ten minutes of distillation
    python scripts/own_model_study.py --folder /tmp/minilm --part after    # LINAS with the trained weights
    python scripts/own_model_study.py --folder /tmp/minilm --part report
    python scripts/own_model_study.py --folder /tmp/minilm --part alone    # what each thing left out alone costs
"""

# ruff: noqa: T201 - it prints what it found

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import hwnas
from hwnas.harness.store import Store
from hwnas.search.comparison.together import at_one_pace
from hwnas.search.hypervolume import hypervolume
from hwnas.search.objectives import Sources, make

_HERE = Path(__file__).resolve().parent
NET = f"elastic:model={_HERE / 'minilm.py'}:model"
QUALITY = f"fidelity:{_HERE / 'minilm.py'}:sentences"
PLATFORM = "onnxruntime:threads=1"
ENOUGH = 0.98
_SEEDS = (1, 2, 3)


def main() -> None:
    """Do one part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where results are kept")
    parser.add_argument("--part", choices=tuple(_PARTS), required=True)
    parser.add_argument("--seeds", type=int, nargs="*", default=list(_SEEDS))
    parser.add_argument("--algorithms", nargs="*", default=["linas", "random"], help="of the part before")
    parser.add_argument("--evals", type=int, default=60)
    parser.add_argument("--subset", type=int, default=100, help="sentences while searching; the report uses all 500")
    parser.add_argument("--minutes", type=float, default=10.0, help="of training")
    parser.add_argument("--steps", type=int, help="of training, instead of minutes")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    _PARTS[given.part](given)


def _before(given: argparse.Namespace) -> None:
    for seed in given.seeds:
        for algorithm in given.algorithms:
            _searched(given, f"{algorithm}-{seed}", algorithm, seed, None)


def _after(given: argparse.Namespace) -> None:
    for seed in given.seeds:
        _searched(given, f"after-{seed}", "linas", seed, str(given.folder / "trained.pth"))


def _searched(given: argparse.Namespace, name: str, algorithm: str, seed: int, weights: str | None) -> None:
    file = given.folder / f"{name}.json"
    if file.exists():
        return
    store = str(given.folder / "studies.db")
    with Store.open(store) as opened:
        known = {one.name for one in opened.studies()}
    begun = time.perf_counter()
    study = hwnas.search(
        NET,
        PLATFORM,
        quality=QUALITY,
        weights=weights,
        subset=given.subset,
        algorithm=algorithm,
        evals=given.evals,
        seed=seed,
        study=name,
        resume=name in known,
        store=store,
        progress=False,
    )
    seconds = time.perf_counter() - begun
    rows = [[one.key, one.objectives["latency"], one.objectives["cosine"]] for one in study.evaluations]
    front = [[one.key, one.objectives["latency"], one.objectives["cosine"]] for one in study.front]
    file.write_text(json.dumps({"seconds": seconds, "evaluations": rows, "front": front}))
    print(f"{name}: {len(rows)} evaluations in {seconds:.0f} s, {len(front)} on the front", flush=True)


def _train(given: argparse.Namespace) -> None:
    """Train for so many minutes: as many steps as a few of them foretell, or as many as ``--steps`` says."""
    from hwnas.harness import data
    from hwnas.supernets.training.loop import train

    net = hwnas.supernet(NET)
    task = data.get(f"python:{_HERE / 'minilm.py'}:training", net)
    steps = given.steps
    if steps is None:
        trial, ended = given.folder / "trial.pth", []
        trial.unlink(missing_ok=True)
        train(net, task, replace(task.defaults, steps=5), trial, progress=lambda _: ended.append(time.perf_counter()))
        steps = max(5, int(given.minutes * 60 * 4 / (ended[-1] - ended[0])))
    weights = given.folder / "trained.pth"
    warmed = replace(task.defaults, steps=steps, warmup=max(1, steps // 20))
    done = train(net, task, warmed, weights, resume=weights.exists())
    print(f"{done.step} steps in {done.elapsed_s:.0f} s, loss {done.loss:.4f}")


def _alone(given: argparse.Namespace) -> None:
    """Print the cosine of the model with one thing left out, in the order of weights and of activations."""
    from hwnas.harness import quality
    from hwnas.harness.quality import QualityOptions

    orders = {"weights": "", "activations": f",importance=activations,data={_HERE / 'minilm.py'}:calibration"}
    for order, options in orders.items():
        net = hwnas.supernet(NET + options)
        largest = net.space.largest()
        depths = net.space.choices[0].values
        X = np.concatenate([largest] * (net.space.n_var + len(depths)))
        for column in range(net.space.n_var):
            X[column, column] -= 1
        X[net.space.n_var :, 0] = np.arange(len(depths))
        found = quality.get(QUALITY, net, QualityOptions(subset=given.subset)).evaluate(X)
        one, deep = found[1 : net.space.n_var], found[net.space.n_var :]
        layers = ", ".join(f"{n} layers {cosine:.3f}" for n, cosine in zip(depths, deep, strict=True))
        print(f"by {order}: one set at three quarters {one.mean():.4f} ({one.min():.4f} to {one.max():.4f}); {layers}")


def _report(given: argparse.Namespace) -> None:
    results = {file.stem: json.loads(file.read_text()) for file in sorted(given.folder.glob("*-*.json"))}
    # Each search had its own minutes of the machine: what is compared is measured together.
    latency = _together(sorted({row[0] for one in results.values() for row in one["front"]}))
    for one in results.values():
        one["front"] = [[key, latency[key], cosine] for key, _, cosine in one["front"]]
    values = [row[1:] for one in results.values() for row in one["front"]]
    worst = np.array([max(row[0] for row in values) * 1.01, 1 - min(row[1] for row in values) + 0.01])
    print("| search | hypervolume of the front, all measured together | seconds |\n| --- | --- | --- |")
    for who in ("linas", "random", "after"):
        found = [results[f"{who}-{seed}"] for seed in _SEEDS if f"{who}-{seed}" in results]
        if found:
            volumes = [_volume(one["front"], worst) / float(worst.prod()) for one in found]
            seconds = ", ".join(f"{one['seconds']:.0f}" for one in found)
            print(f"| {who} | {np.mean(volumes):.4f}: {', '.join(f'{v:.4f}' for v in volumes)} | {seconds} |")
    _fronts(results, given)


def _together(keys: list[str]) -> dict[str, float]:
    """Return the latencies of sub-networks in ms, measured side by side, batches freed from the machine's drift."""
    net = hwnas.supernet(NET)
    X = np.concatenate([net.space.from_key(key) for key in keys])
    with Sources(net, PLATFORM) as sources:
        (latency,) = make(["latency"], sources)
        found = at_one_pace(latency.evaluate(X), keys)
    return dict(zip(keys, found.values.tolist(), strict=True))


def _volume(front: list[list[Any]], worst: Any) -> float:
    points = np.array([[latency, 1 - cosine] for _, latency, cosine in front])
    return float(hypervolume(points, worst))


def _fronts(results: dict[str, Any], given: argparse.Namespace) -> None:
    """Print the fastest sub-network that keeps enough of the cosine, before and after; all measured in one batch."""
    net = hwnas.supernet(NET)
    largest = net.space.keys(net.space.largest())[0]
    found = {}
    for who, weights in (("linas", None), ("after", str(given.folder / "trained.pth"))):
        rows = [row for name, one in results.items() if name.startswith(f"{who}-") for row in one["front"]]
        tested = _tested(net, sorted({row[0] for row in rows if row[2] >= ENOUGH}), weights) if rows else {}
        found[who] = {key: cosine for key, cosine in tested.items() if cosine >= ENOUGH and key != largest}
    keys = [largest, *dict.fromkeys(key for good in found.values() for key in good)]
    configs = [net.space.decode(net.space.from_key(key))[0] for key in keys]
    measured = dict(zip(keys, hwnas.measure(net, configs, PLATFORM, store=None, progress=False), strict=True))
    whole = measured[largest].latency_ms
    print(f"\nthe whole model: {whole:.2f} ms ({measured[largest].status})")
    for who, good in found.items():
        for key in sorted(good, key=lambda one: measured[one].latency_ms):
            one, x = measured[key], net.space.from_key(key)
            share = [float(count(x)[0] / count(net.space.largest())[0]) for count in (net.macs, net.params)]
            print(
                f"{who}: {key}: cosine {good[key]:.4f}, {one.latency_ms:.2f} ms ({one.status}), "
                f"{whole / one.latency_ms:.2f} times as fast, {share[0]:.0%} of MACs, {share[1]:.0%} of parameters"
            )


def _tested(net: Any, keys: list[str], weights: str | None) -> dict[str, float]:
    from hwnas.harness import quality
    from hwnas.harness.quality import QualityOptions

    if not keys:
        return {}
    source = quality.get(QUALITY, net, QualityOptions(weights))
    X = np.concatenate([net.space.from_key(key) for key in keys])
    return dict(zip(keys, source.evaluate(X).tolist(), strict=True))


_PARTS = {"before": _before, "train": _train, "after": _after, "report": _report, "alone": _alone}

if __name__ == "__main__":
    main()
