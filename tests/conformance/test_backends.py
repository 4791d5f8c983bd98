"""What every backend that runs networks holds, whichever are registered and usable here."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from conforming import every_check, hold

from hwnas import backends
from hwnas.backends import RunningBackend, Settings
from hwnas.backends.backend import refusal
from hwnas.conformance import _networks
from hwnas.conformance.backends import SUITE, BackendSubject
from hwnas.supernets.errors import BackendError, PlatformError

# Half a minute; it has a test of its own.
LEFT_OUT = frozenset({("mode", "compile")})


@functools.cache
def _usable():
    found = map(backends.get, backends.names())
    return {one.name: one for one in found if isinstance(one, RunningBackend) and one.why_not() is None}


@pytest.mark.parametrize(("name", "check"), every_check(SUITE, _usable()))
def test_every_backend(name, check):
    hold(check, BackendSubject(_usable()[name], left_out=LEFT_OUT))


# --- what our own hold in addition -----------------------------------------------------------------------------------

OWN = pytest.mark.parametrize("backend", [pytest.param(backend, id=name) for name, backend in _usable().items()])


@OWN
def test_the_environment_holds_the_number_of_threads(backend):
    if "threads" not in backend.keys:
        pytest.skip("does its work elsewhere than on the CPU's threads")
    environment = backend.environment(BackendSubject(backend).settings(threads=3))
    assert environment["OMP_NUM_THREADS"] == "3"
    assert all(isinstance(value, str) for value in environment.values())


def _torch_outputs(stage):
    with torch.no_grad():
        return stage.module(*stage.inputs).numpy()


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


@OWN
@pytest.mark.slow
def test_int8_runs_every_layer_in_int8_and_says_by_whom_it_was_quantised(backend):
    settings = _int8(backend)
    session = backend.prepare(_networks.convolutions(), settings)
    told = session.describe()
    session.close()
    assert told["int8_layers"] == "3 of 3"
    name, version = told["quantiser"].split()
    assert backend.versions()[name] == version


@OWN
def test_int8_computes_something_a_little_else(backend):
    error = _error(backend, _networks.convolutions(), _int8(backend))
    assert 1e-4 < error < 0.1


@OWN
@pytest.mark.slow
def test_int8_is_calibrated_on_what_is_typical(backend):
    """Ranges a hundred times as wide as needed leave two or three of the 256 levels.

    Too few typical inputs do not do either: what is larger than all that they led to is cut off.
    """
    settings = _int8(backend)
    typical = [(x[None],) for x in torch.randn(64, 3, 16, 16, generator=torch.Generator().manual_seed(2))]
    wide = tuple((100 * x,) for (x,) in typical)
    assert _error(backend, _networks.convolutions(calibration=tuple(typical)), settings) < 0.1
    assert _error(backend, _networks.convolutions(calibration=wide), settings) > 0.2


@OWN
def test_calibration_inputs_of_another_shape_are_refused(backend):
    settings = _int8(backend)
    stage = _networks.convolutions(calibration=((torch.zeros(2, 3, 16, 16),),))
    with pytest.raises(BackendError, match=r"of shapes \[\(2, 3, 16, 16\)\], expected \[\(1, 3, 16, 16\)\]"):
        backend.prepare(stage, settings)


@OWN
def test_what_cannot_be_calibrated_is_refused(backend, tmp_path):
    _int8(backend)
    for precision, folder, told in (
        (backend.precisions[0], tmp_path, "expected precision=int8"),
        ("int8", tmp_path / "none", "no such folder"),
    ):
        settings = Settings(backend.devices[0], precision=precision, options={"calibration": str(folder)})
        with pytest.raises(PlatformError, match=f"calibration={folder}: .*{told}"):
            backend.prepare(_networks.convolutions(), settings)
