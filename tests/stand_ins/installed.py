"""A package with plug-ins, written into a folder as an installer would leave it there."""

from __future__ import annotations

import importlib
import sys
import textwrap
from collections import defaultdict

from hwnas import backends, supernets
from hwnas.experiments import kinds
from hwnas.harness import data, quality
from hwnas.latency_luts import formats
from hwnas.search import algorithms, objectives, predictors

REGISTRIES = {
    "hwnas.supernets": supernets.registry,
    "hwnas.backends": backends.registry,
    "hwnas.quality": quality.registry,
    "hwnas.data": data.registry,
    "hwnas.algorithms": algorithms.registry,
    "hwnas.objectives": objectives.registry,
    "hwnas.predictors": predictors.registry,
    "hwnas.experiments": kinds.registry,
    "hwnas.table_formats": formats.registry,
}


class Site:
    """A folder on the path in which packages are installed.

    Args:
        folder: the folder; it is there.
    """

    def __init__(self, folder):
        self._folder = folder
        self._points = defaultdict(list)

    def add(self, group, name, source, *, distribution="acme-hwnas", version="1.2", module=None):
        """Install a plug-in of one module, and make the registries look again."""
        module = module or f"acme_{name.replace('-', '_')}"
        (self._folder / f"{module}.py").write_text(textwrap.dedent(source))
        self._points[distribution].append((group, f"{name} = {module}"))
        info = self._folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        groups = defaultdict(list)
        for each, line in self._points[distribution]:
            groups[each].append(line)
        sections = ("\n".join([f"[{each}]", *lines, ""]) for each, lines in groups.items())
        (info / "entry_points.txt").write_text("\n".join(sections))
        forget()

    def remove(self):
        """Forget the modules and what was registered; the folder is no longer on the path by then."""
        for module in [module for module in sys.modules if module.startswith("acme_")]:
            del sys.modules[module]
        forget()


def forget():
    """Make all registries look again."""
    importlib.invalidate_caches()
    for registry in REGISTRIES.values():
        registry.__dict__.pop("_providers", None)
