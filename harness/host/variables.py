"""Which variables of the user's shell reach a worker, and which of them change what it measures.

OpenMP, MKL, oneTBB and OpenVINO take from the environment how many threads compute, on which CPUs, and how they wait
for each other. That is for the platform string to say, so these variables are kept from workers:
``GOMP_CPU_AFFINITY=0`` alone puts both of two threads on one CPU. Others choose instructions, kernels or an allocator.
Somebody who sets them wants to measure with them, so workers get them, and they are part of the environment's
fingerprint.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, MutableMapping

from hwnas.harness.host import heap

# How many threads there are, where they run and how they wait, by the families' prefixes: new members decide the same.
_THREADS = (
    *("OMP_", "GOMP_", "KMP_", "__KMP_", "LIBOMP_", "LIBGOMP_"),
    *("MKL_", "OPENBLAS_", "GOTO_", "BLIS_", "VECLIB_", "NUMEXPR_"),
    *("TBB_", "ONETBB_", "OV_", "OPENVINO_"),
)
# Instructions, kernels, allocators and interpreters, names and prefixes.
_CHOICES = (
    *("ATEN_", "ONEDNN_", "DNNL_", "ORT_", "PYTORCH_", "TORCHDYNAMO_", "TORCHINDUCTOR_", "XNNPACK_"),
    *("MKL_ENABLE_INSTRUCTIONS", "MKL_CBWR", "MKL_DEBUG_CPU_TYPE", "MKL_THREADING_LAYER", "MKL_INTERFACE_LAYER"),
    *("OPENBLAS_CORETYPE", "BLIS_ARCH_TYPE"),
    *("MALLOC_", "GLIBC_TUNABLES", "JE_MALLOC_CONF", "_RJEM_MALLOC_CONF", "MIMALLOC_", "TCMALLOC_", "LD_AUDIT"),
    *("PYTHONMALLOC", "PYTHONDEVMODE", "PYTHONTRACEMALLOC", "PYTHON_GIL", "PYTHON_JIT"),
    *("CUDA_LAUNCH_BLOCKING", "CUDA_DEVICE_MAX_CONNECTIONS", "CUBLAS_", "NVIDIA_TF32_OVERRIDE"),
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
)
# These say where something lies, or which it is; KMP_DUPLICATE_LIB_OK, that two copies of OpenMP may be loaded, without
# which some installations end at once.
_HARMLESS = ("_DIR", "_HOME", "_PATH", "_PATHS", "_ROOT", "_VERSION", "KMP_DUPLICATE_LIB_OK")
# Of the first, those that bind the very thread that loads an OpenMP runtime. Whatever it starts inherits that.
_BINDING = ("GOMP_", "OMP_PLACES", "OMP_PROC_BIND", "KMP_AFFINITY", "KMP_HW_SUBSET", "KMP_PLACE_THREADS")
# What was taken from this process's own environment, and from that of the processes it starts; spelled as in a shell.
_SET_ASIDE = "HWNAS_SET_ASIDE"


def for_worker(shell: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that a worker gets of ``shell``; the backend's own settings come on top of them."""
    return {name: value for name, value in shell.items() if not _is_for_threads(name)}


def choices(shell: Mapping[str, str]) -> str | None:
    """Return what changes the speed of what is measured, as ``NAME=VALUE NAME=VALUE``; ``None`` where nothing does.

    The allocator's settings that every worker has of its own are no choice of the user's.
    """
    return _spelled({name: value for name, value in shell.items() if _is_choice(name) and name not in heap.ENVIRONMENT})


def left_out(shell: Mapping[str, str]) -> str | None:
    """Return what workers do not get as it is, as ``NAME=VALUE NAME=VALUE``; ``None`` where that is nothing."""
    found = {name: value for name, value in shell.items() if _is_for_threads(name) or name in heap.ENVIRONMENT}
    return _spelled(found | _read(shell.get(_SET_ASIDE, "")))


def binding(shell: Mapping[str, str]) -> str | None:
    """Return what may have bound this process to few of its CPUs, as ``NAME=VALUE``; ``None`` where nothing has."""
    return _spelled({name: value for name, value in shell.items() if name.startswith(_BINDING)})


def set_aside(shell: MutableMapping[str, str]) -> None:
    """Take the variables that bind threads out of a program's own environment, and remember them.

    To be called before the program loads any runtime: the one that torch comes with binds the thread that loads it, and
    a worker started from there has that thread's CPUs, whatever its own environment says.
    """
    found = {name: shell.pop(name) for name in list(shell) if name.startswith(_BINDING)}
    if found:
        shell[_SET_ASIDE] = _spelled(_read(shell.get(_SET_ASIDE, "")) | found) or ""


def _is_for_threads(name: str) -> bool:
    return name.startswith(_THREADS) and not name.startswith(_CHOICES) and not name.endswith(_HARMLESS)


def _is_choice(name: str) -> bool:
    return name.startswith(_CHOICES) and not name.endswith(_HARMLESS)


def _spelled(found: Mapping[str, str]) -> str | None:
    text = shlex.join(f"{name}={value}" for name, value in sorted(found.items()))
    # The text is stored and shown: a variable may hold any bytes, escape sequences too.
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text) or None


def _read(text: str) -> dict[str, str]:
    """Read what ``_spelled`` wrote; a variable that somebody else has set to what it cannot be says nothing."""
    try:
        parts = shlex.split(text)
    except ValueError:
        return {}
    return {name: value for name, equals, value in (part.partition("=") for part in parts) if equals}
