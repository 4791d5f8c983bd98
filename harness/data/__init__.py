"""Training data of super-networks: ``get(spec, net)`` opens data such as ``images:PATH`` as a training task.

A spec has the form ``NAME:ARGUMENT[,KEY=VALUE...]``. A kind of data is one file here or an
installed package's entry point in ``hwnas.data``; it has ``create(name, argument, net)``, which returns a
``hwnas.supernets.training.TrainingTask``. A super-network says by its attribute ``data`` which kind it takes; a kind
with ``FOR_ANY = True`` decides by itself.
"""

from __future__ import annotations

from hwnas.supernets.errors import UsageError
from hwnas.supernets.files import is_file, is_folder
from hwnas.supernets.registry import Registry
from hwnas.supernets.supernet import SuperNetwork
from hwnas.supernets.training import TrainingTask

__all__ = ["get", "names", "registry"]

registry = Registry(
    "kind of data",
    "hwnas.harness.data",
    "hwnas.data",
    makes=(TrainingTask,),
)


def names() -> list[str]:
    """Return the names of all kinds of data."""
    return registry.names()


def get(spec: str, net: SuperNetwork) -> TrainingTask:
    """Make the training task of ``spec``; a path alone is taken as data of the kind that ``net`` is trained on.

    Raises:
        UnknownNameError: no such kind of data; carries suggestions.
        UsageError: ``net`` takes another kind, or cannot be trained.
        DataError: a file is not of the expected form.
    """
    kind = getattr(net, "data", None)
    if kind is None:
        raise UsageError(f"{net.name}: cannot be trained, it names no kind of data")
    name, colon, argument = spec.partition(":")
    if name not in registry.names() and (not colon or _is_there(spec.partition(",")[0])):
        name, argument = kind, spec
    if not registry.stated(name, "FOR_ANY") and name != kind:
        raise UsageError(f"{spec}: {net.name} is trained on {kind}, expected {kind}:...")
    task: TrainingTask = registry.create(name, argument, net)
    return task


def _is_there(path: str) -> bool:
    return is_file(path) or is_folder(path)
