"""Decide which environment variables a worker inherits, and which of them are part of the fingerprint.

OpenMP, MKL, oneTBB and OpenVINO read from the environment how many threads compute, on which CPUs, and how they wait
for each other. The platform string decides that, so workers do not inherit these variables: ``GOMP_CPU_AFFINITY=0``
alone puts both of two threads on one CPU. Other variables choose instructions, kernels or an allocator. Users who set
them want to measure with them, so workers inherit them, and they are part of the environment's fingerprint.
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
    """Return the variables that a worker inherits from ``shell``; the backend's own settings come on top of them."""
    return {name: value for name, value in shell.items() if not _is_for_threads(name)}


def choices(shell: Mapping[str, str]) -> str | None:
    """Return the variables that change a network's speed, as ``NAME=VALUE NAME=VALUE``; ``None`` if there are none.

    The allocator settings that every worker gets are not among them: they are not the user's choice.
    """
    return _spelled({name: value for name, value in shell.items() if _is_choice(name) and name not in heap.ENVIRONMENT})


def left_out(shell: Mapping[str, str]) -> str | None:
    """Return the variables that workers do not inherit, as ``NAME=VALUE NAME=VALUE``; ``None`` if there are none."""
    found = {name: value for name, value in shell.items() if _is_for_threads(name) or name in heap.ENVIRONMENT}
    return _spelled(found | _read(shell.get(_SET_ASIDE, "")))


def binding(shell: Mapping[str, str]) -> str | None:
    """Return the variables that may have bound this process to few CPUs, as ``NAME=VALUE``, or ``None``."""
    return _spelled({name: value for name, value in shell.items() if name.startswith(_BINDING)})


def set_aside(shell: MutableMapping[str, str]) -> None:
    """Remove the variables that bind threads from this process's environment, and remember them.

    To be called before the program loads any runtime: the one that torch comes with binds the thread that loads it, and
    a worker started from there inherits that thread's CPUs, whatever its own environment says.
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
    """Read what ``_spelled`` wrote; ignore a variable whose value is of another form."""
    try:
        parts = shlex.split(text)
    except ValueError:
        return {}
    return {name: value for name, equals, value in (part.partition("=") for part in parts) if equals}
