from __future__ import annotations

import subprocess
import sys

from hwnas import backends
from hwnas.backends.backend import KnowingBackend, RunningBackend, installed_versions


def test_every_backend_has_what_both_kinds_have():
    for name in backends.names():
        backend = backends.get(name)
        assert backend.name == name
        assert isinstance(backend, RunningBackend) != isinstance(backend, KnowingBackend)
        assert backend.keys <= {"device", "threads", "batch", "precision"}
        assert len({option.key for option in backend.options}) == len(backend.options)
        assert not {option.key for option in backend.options} & {"device", "threads", "batch", "precision"}
        for option in backend.options:
            assert option.default is None or option.allowed is None or option.default in option.allowed


def test_listing_imports_nothing_heavy():
    script = """
import sys, backends
for name in backends.names():
    backend = backends.get(name)
    backend.why_not(), backend.versions()
heavy = {"onnx", "onnxruntime", "openvino", "sklearn"} & set(sys.modules)
assert not heavy, heavy
assert "torch" not in sys.modules or backends.get("torch-cuda").why_not() is None
"""
    subprocess.run([sys.executable, "-c", script], check=True, env={"PYTHONPATH": ":".join(filter(None, sys.path))})


def test_versions_of_what_is_not_installed_are_left_out():
    assert list(installed_versions("numpy", "no-such-package-as-this")) == ["numpy"]
