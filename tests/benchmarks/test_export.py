"""What a new network costs before it can be timed: ours against ``torch.onnx.export``."""

from __future__ import annotations

import time

import pytest
import torch

from hwnas import supernets

WHICH = ["smallest", "random", "largest"]


def _config(net, which):
    space = net.space
    X = space.sample(1, 0) if which == "random" else getattr(space, which)()
    return space.decode(X)[0]


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _ours(net, config):
    """Build, export, load."""
    from hwnas.backends import Settings, get

    return get("onnxruntime").prepare(net.stages(config, 1)[0], Settings())


def _torchs(net, config):
    import onnxruntime

    stage = net.stages(config, 1)[0]
    program = torch.onnx.export(stage.module, stage.inputs, input_names=["image"], dynamo=True, verbose=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    model = program.model_proto.SerializeToString()
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("which", WHICH)
def test_preparing_a_network(benchmark, which):
    net = supernets.get("ofa-mbv3-w1.0")
    config = _config(net, which)
    benchmark.pedantic(_ours, (net, config), rounds=5, warmup_rounds=1)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("which", WHICH)
def test_preparing_a_network_costs_a_tenth_of_torchs_exporter(benchmark, which):
    pytest.importorskip("onnxscript")
    net = supernets.get("ofa-mbv3-w1.0")
    config = _config(net, which)
    _ours(net, config)  # imports, and the pool of weights
    _torchs(net, config)
    ours, torchs = [], []
    for _ in range(2):  # side by side, so that another program's load hits both
        ours.append(_seconds(_ours, net, config))
        torchs.append(_seconds(_torchs, net, config))
    benchmark.extra_info |= {"ours_s": min(ours), "dynamo_s": min(torchs), "ratio": min(torchs) / min(ours)}
    benchmark.pedantic(_ours, (net, config), rounds=3)
    print(f"\n{which}: {min(ours):.3f} s, torch.onnx.export {min(torchs):.2f} s: 1/{min(torchs) / min(ours):.0f}")  # noqa: T201
    assert min(ours) <= min(torchs) / 10


def _seconds(prepare, *arguments):
    start = time.perf_counter()
    prepare(*arguments)
    return time.perf_counter() - start


def test_sessions_overheads(benchmark):
    """What a call costs beside the network: a session of one activation."""
    from hwnas.backends import RunningBackend, Settings, get, names
    from hwnas.supernets.supernet import Stage

    stage = Stage("tiny", torch.nn.ReLU().eval(), (torch.ones(1, 8),), ("x",))
    for name in names():
        backend = get(name)
        if not isinstance(backend, RunningBackend) or backend.why_not() is not None:
            continue
        session = backend.prepare(stage, Settings(device=backend.devices[0]))
        session.run()
        samples = [_seconds(session.run) for _ in range(2000)]
        benchmark.extra_info[name] = min(samples) * 1e6
        print(f"\n{name}: {min(samples) * 1e6:.1f} us a call")  # noqa: T201
    benchmark.pedantic(session.run, rounds=10)
