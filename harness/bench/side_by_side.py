"""Measure fixed models beside sub-networks, or alone, as one batch; see ``hwnas.supernets.listed``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy.typing as npt

from hwnas import backends
from hwnas.backends.backend import KnowingBackend
from hwnas.harness.bench.bench import Elsewhere
from hwnas.harness.measurement.measurement import Measurement
from hwnas.harness.platform import Platform
from hwnas.harness.store import Store
from hwnas.supernets.errors import PlatformError, UsageError
from hwnas.supernets.fixed import FixedModel
from hwnas.supernets.listed import Listed, Member, sub_networks
from hwnas.supernets.supernet import SuperNetwork

# The super-network of a fixed model, in results.
MODEL = "model"


class SideBySide:
    """Sub-networks and fixed models that are measured side by side.

    Args:
        net: the super-network; ``None``: there are models only.
        X: its sub-networks, vectors ``(n, n_var)``.
        models: as ``hwnas.supernets.fixed.FixedModel.of`` makes them.

    Raises:
        UsageError: a model cannot be made and run, or two have the same name.

    Attributes:
        net: the list of them, as a super-network.
    """

    def __init__(self, net: SuperNetwork | None, X: npt.ArrayLike, models: Sequence[FixedModel]) -> None:
        names = [one.name for one in models]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise UsageError(f"model {twice!r}: is given twice")
        self._models = tuple(models)
        self._members = [*([] if net is None else sub_networks(net, X)), *map(Member.model, models)]
        self.net = Listed(list(dict.fromkeys(self._members)))

    def check(self, platforms: Iterable[Platform]) -> None:
        """Raise ``PlatformError`` if one of the platforms cannot run one of the models."""
        for platform in platforms:
            self._check(platform)

    def _check(self, platform: Platform) -> None:
        if isinstance(platform, Elsewhere):
            raise PlatformError(f"platform {platform}: models are measured on this machine, not on a farm")
        backend = backends.get(platform.backend)
        for model in self._models:
            reason = ""
            if isinstance(backend, KnowingBackend):
                reason = "it looks up the latencies of sub-networks and runs nothing"
            elif model.is_onnx and not _reads_onnx(platform.backend):
                able = [name for name in backends.registry.working() if _reads_onnx(name)]
                reason = f"an ONNX graph runs on {' and '.join(able)}"
            elif model.is_onnx and platform.settings.precision != "fp32":
                reason = "an ONNX graph is measured in the precision that it has: leave out precision"
            if reason:
                raise PlatformError(f"platform {platform}: cannot run the model {model.spec!r}: {reason}")

    def measure(self, measured: Callable[..., list[Measurement]], store: Store | None) -> list[Measurement]:
        """Measure all, and store what was measured under the networks' own names.

        Stored measurements are not used: what is compared is measured together.

        Args:
            measured: ``measure`` of a measurer of ``net`` that stores nothing itself.
            store: where measurements are stored; ``None``: nowhere.

        Returns:
            The measurements of the sub-networks, then those of the models, in their order.
        """
        named = [self._named(one) for one in measured(self.net.vectors(self._members), fresh=True)]
        if store is not None:
            for one in named:
                store.put_measurement(one.to_record())
        return named

    def _named(self, measurement: Measurement) -> Measurement:
        member = self.net.member(measurement.config)
        return replace(measurement, supernet=member.supernet or MODEL, key=member.key, config=member.config)


def _reads_onnx(backend: str) -> bool:
    return "onnx" in getattr(backends.get(backend), "reads", ())
