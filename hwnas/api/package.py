"""Make the package ``hwnas.search`` callable: ``hwnas.search(net, platform)`` is the function of that name."""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import Any

from hwnas.api.searching import search


class CallablePackage(ModuleType):
    """The class of the package ``hwnas.search``."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return search(*arguments, **options)


def make_callable(package: ModuleType) -> None:
    """Make a package callable; editors and ``help`` show the function's signature and documentation."""
    package.__class__ = CallablePackage
    vars(package)["__signature__"] = inspect.signature(search)
    package.__doc__ = search.__doc__
