"""Translate sentences on ONNX Runtime and OpenVINO, with the graphs that are measured, and compare with torch.

    python scripts/translation_on_runtimes.py SUPERNET --weights FILE --source test.de --config max

Prints for each runtime how many of the sentences get the same tokens as torch gives, and the seconds they took. The
graphs' sizes are fixed, so the super-network's options ``source`` and ``steps`` say how long sentences can be; longer
ones are left out.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from hwnas import supernets
from hwnas.backends.export import export
from hwnas.cli.configs import read_configs
from hwnas.harness.data.translation import Subwords, vocabulary
from hwnas.supernets.supernet import Stage
from hwnas.supernets.transformer.beam import BeamSearch
from hwnas.supernets.transformer.dimensions import EOS, PAD

Call = Callable[..., Sequence[torch.Tensor]]


def on_torch(stage: Stage) -> Call:
    """Return the module itself."""
    module: Call = stage.module
    return module


def on_onnxruntime(stage: Stage) -> Call:
    """Return a function that runs the stage's graph."""
    import onnxruntime

    graph = export(stage)
    session = onnxruntime.InferenceSession(graph.model, providers=["CPUExecutionProvider"])

    def call(*inputs: torch.Tensor) -> list[torch.Tensor]:
        feed = {name: x.numpy() for name, x in zip(graph.inputs, inputs, strict=True)}
        return [torch.from_numpy(found) for found in session.run(list(graph.outputs), feed)]

    return call


def on_openvino(stage: Stage) -> Call:
    """Return a function that runs the stage's graph."""
    from hwnas.backends.openvino_core import read_model, shared_core

    core = shared_core()
    compiled = core.compile_model(read_model(core, export(stage).model), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def call(*inputs: torch.Tensor) -> list[torch.Tensor]:
        found = compiled([x.numpy() for x in inputs])
        return [torch.from_numpy(found[port].copy()) for port in compiled.outputs]

    return call


def main() -> None:
    """Translate and compare."""
    parser = argparse.ArgumentParser(description="The same translations on every runtime")
    parser.add_argument("supernet")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--config", default="max")
    parser.add_argument("-n", type=int, default=50, help="sentences")
    args = parser.parse_args()
    net = supernets.get(args.supernet)
    config = net.space.decode(read_configs([args.config], net.space))[0]
    sentence, layers = net.sentence, net.architecture(config).decoder  # type: ignore[attr-defined]
    subwords = Subwords.beside(args.weights, vocabulary(net))
    texts = args.source.read_text(encoding="utf-8").splitlines()
    tokens = [[*row, EOS] for row in subwords.encode(texts) if len(row) < sentence.source][: args.n]
    encoder, step = net.stages(config, 1, args.weights)
    search, found = BeamSearch(sentence.beam), {}
    for name, ready in (("torch", on_torch), ("onnxruntime", on_onnxruntime), ("openvino", on_openvino)):
        encode, decode = ready(encoder), ready(step)
        start = time.perf_counter()
        rows = (torch.tensor([[*row, *[PAD] * (sentence.source - len(row))]]) for row in tokens)
        found[name] = [search.search(encode, decode, layers, row, sentence.steps)[0] for row in rows]
        seconds = time.perf_counter() - start
        same = sum(ours == torchs for ours, torchs in zip(found[name], found["torch"], strict=True))
        print(f"{name}: {same} of {len(tokens)} sentences have torch's tokens, {seconds:.1f} s")  # noqa: T201
    for row, translation in list(zip(tokens, subwords.decode(found["torch"]), strict=True))[:5]:
        print(f"  {subwords.decode([row[:-1]])[0]} -> {translation}")  # noqa: T201


if __name__ == "__main__":
    main()
