from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from hwnas.backends import Settings, get, torch_cpu
from hwnas.supernets.errors import BackendError, PlatformError
from hwnas.supernets.supernet import Stage


def stage(module=None):
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    module = module or nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    return Stage("test", module.eval(), (x,), ("x",))


def test_what_was_set_is_read_back():
    told = get("torch").prepare(stage(), Settings(threads=2)).describe()
    expected = {"threads": 2, "mode": "eager", "precision": "fp32", "flush_denormal": torch.set_flush_denormal(True)}
    assert expected.items() <= told.items()


def test_a_frozen_module_has_no_batch_norm_left(recwarn):
    ours = stage()
    session = get("torch").prepare(ours, Settings(options={"mode": "freeze"}))
    kinds = {node.kind() for node in session._call.__wrapped__.graph.nodes()}
    assert "aten::batch_norm" not in kinds
    session.run()
    with torch.no_grad():
        np.testing.assert_allclose(session.outputs()[0], ours.module(*ours.inputs).numpy(), rtol=1e-4, atol=1e-6)
    assert not recwarn


@pytest.mark.slow
@pytest.mark.skipif(torch_cpu._compiler_missing() is not None, reason="torch.compile needs a C++ compiler")
def test_every_compiled_network_is_compiled():
    """More networks than torch compiles versions of one forward(), and not one of them runs uncompiled."""
    from torch._dynamo.utils import counters

    counters.clear()
    backend = get("torch")
    stages = [stage(nn.Sequential(nn.Conv2d(3, width, 1))) for width in (2, 3)]
    # Not with monkeypatch: it puts back what is in an object's __dict__ alone, and would hide this option for good.
    with torch._dynamo.config.patch(recompile_limit=1):
        sessions = [backend.prepare(each, Settings(options={"mode": "compile"})) for each in stages]
        for each, session in zip(stages, sessions, strict=True):
            session.run()
            with torch.no_grad():
                np.testing.assert_allclose(
                    session.outputs()[0], each.module(*each.inputs).numpy(), rtol=1e-4, atol=1e-6
                )
    assert counters["stats"]["unique_graphs"] == 2


@pytest.mark.parametrize(
    ("patched", "value", "told"),
    [
        ("shutil.which", lambda name: None, r"a C\+\+ compiler \(g\+\+ or"),
        ("pathlib.Path.exists", lambda path: False, "Python.h"),
    ],
)
def test_compiling_without_a_compiler_is_refused_with_a_way_out(patched, value, told, monkeypatch):
    monkeypatch.delenv("CXX", raising=False)
    if "exists" in patched:
        monkeypatch.setattr("shutil.which", lambda name: name)
    monkeypatch.setattr(patched, value)
    with pytest.raises(PlatformError, match=rf"mode=compile needs .*{told}.*use mode=freeze"):
        get("torch").prepare(stage(), Settings(options={"mode": "compile"}))


def test_a_precision_without_a_kernel_is_refused():
    class Fails(nn.Module):
        def forward(self, x):
            raise RuntimeError("\"conv\" not implemented for 'Half'")

    with pytest.raises(PlatformError, match="precision=fp16: torch has no CPU kernel"):
        get("torch").prepare(stage(Fails()), Settings(precision="fp16"))


def test_a_module_that_fails_is_an_error_of_the_backend():
    class Fails(nn.Module):
        def forward(self, x):
            raise RuntimeError("sizes do not match")

    with pytest.raises(BackendError, match=r"stage .test.*sizes do not match"):
        get("torch").prepare(stage(Fails()), Settings(options={"mode": "freeze"}))


def test_spinning_is_the_environments():
    assert get("torch").environment(Settings())["OMP_WAIT_POLICY"] == "PASSIVE"
    assert "OMP_WAIT_POLICY" not in get("torch").environment(Settings(options={"spinning": "on"}))
