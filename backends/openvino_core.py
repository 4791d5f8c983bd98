"""OpenVINO's Core, once per process, and what it does to the stack on which signals are handled.

Each Core's CPU plug-in gives the thread that makes it a stack for signal handlers, and at its end puts back the one
before it. Where Cores do not end in the reverse order of their beginnings, that one is gone already, and the next
signal that Python handles, Ctrl-C say, ends the process at once (seen with OpenVINO 2026.4).
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@functools.cache
def shared_core() -> Any:
    """Return the process's one ``openvino.Core``; raises ``ImportError`` if OpenVINO is not installed."""
    import openvino

    return openvino.Core()


def read_model(core: Any, source: bytes | str) -> Any:
    """Return a graph as OpenVINO has it, from what ``hwnas.backends.export.Graph.readable`` gives."""
    return core.read_model(source, b"") if isinstance(source, bytes) else core.read_model(source)


def input_places(model: Any, names: Sequence[str]) -> list[tuple[int, int]]:
    """Return the place of each of a model's inputs among a graph's, and its number there.

    OpenVINO drops the inputs that nothing reads.

    Args:
        model: read or compiled.
        names: of the graph's inputs.
    """
    return [
        (next((place for place, name in enumerate(names) if name in port.get_names()), number), number)
        for number, port in enumerate(model.inputs)
    ]


def names_read(model: Any) -> set[str]:
    """Return the names of a model's inputs, of which OpenVINO has dropped those that nothing reads."""
    return {name for port in model.inputs for name in port.get_names()}


def give_back_inputs(model: Any, inputs: Mapping[str, npt.NDArray[np.generic]]) -> None:
    """Add to a model the inputs that it has dropped, so that a file of it takes what the network takes.

    Args:
        model: read.
        inputs: examples of the graph's inputs, by name.
    """
    import openvino

    there = names_read(model)
    for name, one in inputs.items():
        if name not in there:
            added = openvino.op.Parameter(openvino.Type(one.dtype), openvino.PartialShape(list(one.shape)))
            added.set_friendly_name(name)
            added.output(0).set_names({name})
            model.add_parameters([added])


class _Stack(ctypes.Structure):
    """``stack_t`` of sigaltstack(2) on Linux."""

    _fields_ = (("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


@contextlib.contextmanager
def kept_signal_stack() -> Iterator[None]:
    """Put back, at the end of this ``with`` block, the stack of signal handlers that this thread had before it.

    For calls of libraries that make Cores of their own (NNCF).
    """
    if sys.platform != "linux":
        yield
        return
    before = _Stack()
    libc = ctypes.CDLL(None)
    known = libc.sigaltstack(None, ctypes.byref(before)) == 0
    try:
        yield
    finally:
        if known:
            libc.sigaltstack(ctypes.byref(before), None)
