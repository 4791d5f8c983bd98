"""What every backend that runs networks holds, whichever are registered and usable here."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch

from hwnas import backends, supernets
from hwnas.backends import RunningBackend, Settings
from hwnas.backends.backend import refusal
from hwnas.backends.runner import BatchRunner
from hwnas.harness.worker.sessions import TOLERANCES
from hwnas.supernets.errors import BackendError, PlatformError
from hwnas.supernets.supernet import Stage


@functools.cache
def _usable():
    found = map(backends.get, backends.names())
    return [backend for backend in found if isinstance(backend, RunningBackend) and backend.why_not() is None]


pytestmark = pytest.mark.parametrize("backend", [pytest.param(backend, id=backend.name) for backend in _usable()])


@functools.cache
def _stage(name, which, batch):
    net = supernets.get(name)
    X = net.space.sample(1, which) if isinstance(which, int) else getattr(net.space, which)()
    return net.stages(net.space.decode(X)[0], batch)[0]


SMALL = ("ofa-mbv3-w1.0:r=128", "smallest", 1)
STAGES = [
    SMALL,
    ("ofa-mbv3-w1.0:r=128", 0, 3),
    ("ofa-mbv3-w1.2:r=128", 1, 1),
    ("ofa-mbv3-w1.2:r=128", "largest", 1),
    ("ofa-mbv3-w1.0", 2, 1),
]


def _default(backend, **changes):
    return Settings(device=backend.devices[0], precision=backend.precisions[0], **changes)


def _torch_outputs(stage):
    with torch.no_grad():
        return stage.module(*stage.inputs).numpy()


@pytest.mark.slow
@pytest.mark.parametrize("which", STAGES, ids=str)
def test_outputs_are_torchs(backend, which):
    stage = _stage(*which)
    session = backend.prepare(stage, _default(backend, batch=which[2]))
    session.run()
    (found,) = session.outputs()
    expected = _torch_outputs(stage)
    assert found.shape == expected.shape == (which[2], 1000)
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()
    session.close()


def test_outputs_are_complete_and_the_same_after_every_run(backend):
    session = backend.prepare(_stage(*SMALL), _default(backend))
    session.run()
    first = [array.copy() for array in session.outputs()]
    for _ in range(3):
        session.run()
        for before, now in zip(first, session.outputs(), strict=True):
            np.testing.assert_array_equal(before, now)
    session.close()


class _Pair(torch.nn.Module):
    def forward(self, x, n):
        return x.mean(1) + n, {"doubled": [x * 2]}


def test_several_inputs_and_outputs(backend):
    stage = Stage("pair", _Pair().eval(), (torch.arange(6.0).reshape(2, 3), torch.tensor([1, 2])), ("x", "n"))
    session = backend.prepare(stage, _default(backend, batch=2))
    session.run()
    first, second = session.outputs()
    np.testing.assert_allclose(first, [2, 6])
    np.testing.assert_allclose(second, [[0, 2, 4], [6, 8, 10]])
    session.close()


@pytest.mark.slow
def test_sessions_do_not_disturb_each_other(backend):
    stages = [_stage(*SMALL), _stage("ofa-mbv3-w1.2:r=128", 1, 1)]
    sessions = [backend.prepare(stage, _default(backend)) for stage in stages]
    for _ in range(2):
        for stage, session in zip(stages, sessions, strict=True):
            session.run()
            expected = _torch_outputs(stage)
            assert np.abs(session.outputs()[0] - expected).max() <= 1e-4 * np.abs(expected).max()
    for session in sessions:
        session.close()


@pytest.mark.slow
def test_the_stage_is_left_as_it_was(backend):
    stage = _stage(*SMALL)
    before = [tensor.clone() for tensor in (*stage.module.state_dict().values(), *stage.inputs)]
    for precision in backend.precisions:
        try:
            session = backend.prepare(stage, Settings(device=backend.devices[0], precision=precision))
        except PlatformError:
            continue
        session.run()
        session.close()
    after = [*stage.module.state_dict().values(), *stage.inputs]
    assert all(torch.equal(one, other) and one.dtype == other.dtype for one, other in zip(before, after, strict=True))


# --- options and precisions ------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_every_option_value_works_or_is_refused_with_a_reason(backend):
    stage = _stage(*SMALL)
    expected = _torch_outputs(stage)
    for option in backend.options:
        for value in option.allowed or ():
            if value == "compile":
                continue  # half a minute; it has a test of its own
            try:
                session = backend.prepare(stage, _default(backend, options={option.key: value}))
            except PlatformError as error:
                assert backend.name in str(error)  # noqa: PT017 - either outcome is right
                continue
            session.run()
            assert np.abs(session.outputs()[0] - expected).max() <= 1e-4 * np.abs(expected).max()
            session.close()


@pytest.mark.slow
def test_every_precision_computes_nearly_the_same_or_is_refused(backend):
    stage = _stage(*SMALL)
    expected = _torch_outputs(stage)
    for precision in backend.precisions:
        try:
            session = backend.prepare(stage, Settings(device=backend.devices[0], precision=precision))
        except PlatformError as error:
            assert precision in str(error)  # noqa: PT017 - either outcome is right
            continue
        session.run()
        assert session.describe()["precision"] == precision
        assert np.abs(session.outputs()[0] - expected).max() <= TOLERANCES[precision] * np.abs(expected).max()
        session.close()


def test_a_precision_that_is_refused_beforehand_is_not_prepared_either(backend):
    for precision in backend.precisions:
        settings = Settings(device=backend.devices[0], precision=precision)
        reason = refusal(backend, settings)
        if reason is not None:
            assert f"precision={precision}" in reason
            with pytest.raises(PlatformError) as caught:
                backend.prepare(_convolutions(), settings)
            assert reason in str(caught.value)


# --- int8 ------------------------------------------------------------------------------------------------------------


def _convolutions(batch=1, **more):
    """Two convolutions and a linear layer."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = torch.nn.Sequential(
            torch.nn.Conv2d(3, 16, 3, 2),
            torch.nn.ReLU(),
            torch.nn.Conv2d(16, 16, 3),
            torch.nn.Flatten(),
            torch.nn.Linear(16 * 5 * 5, 10),
        ).eval()
        return Stage("convolutions", layers, (torch.randn(batch, 3, 16, 16),), ("x",), **more)


def _int8(backend):
    settings = Settings(device=backend.devices[0], precision="int8")
    if "int8" not in backend.precisions:
        pytest.skip("has no int8")
    if refusal(backend, settings) is not None:
        pytest.skip(refusal(backend, settings))
    return settings


def _error(backend, stage, settings):
    session = backend.prepare(stage, settings)
    session.run()
    expected = _torch_outputs(stage)
    error = np.abs(session.outputs()[0] - expected).max() / np.abs(expected).max()
    session.close()
    return error


@pytest.mark.slow
def test_int8_runs_every_layer_in_int8_and_says_by_whom_it_was_quantised(backend):
    settings = _int8(backend)
    session = backend.prepare(_convolutions(), settings)
    told = session.describe()
    session.close()
    assert told["int8_layers"] == "3 of 3"
    name, version = told["quantiser"].split()
    assert backend.versions()[name] == version


def test_int8_computes_something_a_little_else(backend):
    error = _error(backend, _convolutions(), _int8(backend))
    assert 1e-4 < error < 0.1


@pytest.mark.slow
def test_int8_is_calibrated_on_what_is_typical(backend):
    """Ranges a hundred times as wide as needed leave two or three of the 256 levels.

    Too few typical inputs do not do either: what is larger than all that they led to is cut off.
    """
    settings = _int8(backend)
    typical = [(x[None],) for x in torch.randn(64, 3, 16, 16, generator=torch.Generator().manual_seed(2))]
    wide = tuple((100 * x,) for (x,) in typical)
    assert _error(backend, _convolutions(calibration=tuple(typical)), settings) < 0.1
    assert _error(backend, _convolutions(calibration=wide), settings) > 0.2


def test_calibration_inputs_of_another_shape_are_refused(backend):
    settings = _int8(backend)
    stage = _convolutions(calibration=((torch.zeros(2, 3, 16, 16),),))
    with pytest.raises(BackendError, match=r"of shapes \[\(2, 3, 16, 16\)\], expected \[\(1, 3, 16, 16\)\]"):
        backend.prepare(stage, settings)


def test_what_cannot_be_calibrated_is_refused(backend, tmp_path):
    _int8(backend)
    for precision, folder, told in (
        (backend.precisions[0], tmp_path, "expected precision=int8"),
        ("int8", tmp_path / "none", "no such folder"),
    ):
        settings = Settings(backend.devices[0], precision=precision, options={"calibration": str(folder)})
        with pytest.raises(PlatformError, match=f"calibration={folder}: .*{told}"):
            backend.prepare(_convolutions(), settings)


# --- other inputs ----------------------------------------------------------------------------------------------------


def test_a_runner_runs_any_number_of_samples(backend):
    stage = _convolutions(batch=2)
    before = stage.inputs[0].clone()
    x = torch.randn(5, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = stage.module(x).numpy()
    with BatchRunner(backend, stage, _default(backend, batch=2)) as run:
        for samples in (5, 1, 2):
            (found,) = run(x[:samples].numpy())
            np.testing.assert_allclose(found, expected[:samples], rtol=1e-4, atol=1e-5)
    assert torch.equal(stage.inputs[0], before)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"device": "toaster"}, "cpu"),
        ({"precision": "fp12"}, "fp32"),
        ({"options": {"no-such-option": "1"}}, "no-such-option"),
        ({"threads": 0}, "at least 1"),
        ({"batch": 0}, "at least 1"),
    ],
    ids=str,
)
def test_what_it_does_not_have_is_refused_by_name(backend, changes, named):
    settings = Settings(**{"device": backend.devices[0], "precision": backend.precisions[0], **changes})
    with pytest.raises(PlatformError, match=named) as caught:
        backend.prepare(_stage(*SMALL), settings)
    assert backend.name in str(caught.value)


def test_values_an_option_cannot_take_are_refused_with_those_it_can(backend):
    for option in backend.options:
        if option.allowed is not None:
            with pytest.raises(PlatformError) as caught:
                backend.prepare(_stage(*SMALL), _default(backend, options={option.key: "sideways"}))
            assert all(value in str(caught.value) for value in (option.key, "sideways", *option.allowed))


def test_a_closed_session_does_not_run(backend):
    session = backend.prepare(_stage(*SMALL), _default(backend))
    session.close()
    session.close()
    with pytest.raises(BackendError, match="closed"):
        session.run()


@pytest.mark.slow
def test_closing_releases_the_module(backend):
    import gc
    import weakref

    net = supernets.get("ofa-mbv3-w1.0:r=128")
    stage = net.stages(net.space.decode(net.space.smallest())[0], 1)[0]
    gone = weakref.ref(stage.module)
    session = backend.prepare(stage, _default(backend))
    session.run()
    session.close()
    del stage
    gc.collect()
    assert gone() is None


def test_versions_are_those_of_installed_packages(backend):
    assert backend.versions()
    assert all(version[0].isdigit() for version in backend.versions().values())


# --- threads ---------------------------------------------------------------------------------------------------------


def _needs_threads(backend):
    if "threads" not in backend.keys:
        pytest.skip("does its work elsewhere than on the CPU's threads")


def test_the_environment_holds_the_number_of_threads(backend):
    _needs_threads(backend)
    environment = backend.environment(_default(backend, threads=3))
    assert environment["OMP_NUM_THREADS"] == "3"
    assert all(isinstance(value, str) for value in environment.values())


_BURST = """
import json, sys
import torch
from hwnas import backends, supernets
from hwnas.backends import Settings
net = supernets.get("ofa-mbv3-w1.0")
stage = net.stages(net.space.decode(net.space.sample(1, 0))[0], 4)[0]
backend = backends.get(sys.argv[1])
settings = Settings(device=backend.devices[0], precision=backend.precisions[0], threads=int(sys.argv[2]), batch=4)
session = backend.prepare(stage, settings)
for _ in range(2):
    session.run()
print(json.dumps(session.describe()), flush=True)
for line in sys.stdin:
    for _ in range(int(line)):
        session.run()
    print("done", flush=True)
"""


@pytest.mark.alone
@pytest.mark.parametrize("threads", [1, 2])
def test_that_many_cores_are_used_seen_from_outside(backend, threads):
    _needs_threads(backend)
    psutil = pytest.importorskip("psutil")
    if threads > len(psutil.Process().cpu_affinity() if hasattr(psutil.Process(), "cpu_affinity") else [0]):
        pytest.skip(f"{threads} threads on fewer CPUs")
    environment = {**os.environ, **backend.environment(_default(backend, threads=threads))}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    with subprocess.Popen(
        [sys.executable, "-c", _BURST, backend.name, str(threads)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    ) as process:
        described = json.loads(process.stdout.readline())
        worked = _cores_at_work(psutil.Process(process.pid), process, threads)
        process.stdin.close()
        process.stdout.read()
    assert described["threads"] == threads
    assert worked == threads


def _cores_at_work(watched, process, threads):
    """Return how many threads did a share of the work in a burst.

    A second thread that found its core taken by another program has little to show: then the burst is repeated. One
    thread too many is not excused by anything.
    """
    worked = 0
    for _ in range(6):
        before = {thread.id: thread.user_time + thread.system_time for thread in watched.threads()}
        process.stdin.write("12\n")
        process.stdin.flush()
        assert process.stdout.readline() == "done\n"
        after = {thread.id: thread.user_time + thread.system_time for thread in watched.threads()}
        spent = [seconds - before.get(number, 0) for number, seconds in after.items()]
        worked = sum(each > 0.1 * sum(spent) for each in spent)
        if worked >= threads:
            break
    return worked


def test_preparing_from_another_thread_works(backend):
    """Workers prepare and run where they like."""
    outputs = []

    def work():
        session = backend.prepare(_stage(*SMALL), _default(backend))
        session.run()
        outputs.extend(session.outputs())
        session.close()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    expected = _torch_outputs(_stage(*SMALL))
    assert np.abs(outputs[0] - expected).max() <= 1e-4 * np.abs(expected).max()
