"""``hwnas.measure``: how fast sub-networks are on a platform."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from hwnas.api.fixed import ModelLike, made
from hwnas.api.opening import StoreLike, network, opened
from hwnas.api.showing import ProgressLike, bars
from hwnas.defaults import DEFAULT_STORE

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from hwnas.api.results import Measurements
    from hwnas.harness.measurement.measurement import Measurement
    from hwnas.harness.measurement.request import Given
    from hwnas.harness.platform import Platform
    from hwnas.supernets.space import IntArray
    from hwnas.supernets.supernet import SuperNetwork

# Sub-networks: a config or several, their vectors (n, n_var), or in words ("min", "max", "random:1", a key).
ConfigsLike: TypeAlias = (
    "str | Mapping[str, Any] | Iterable[Mapping[str, Any]] | Sequence[str] | npt.NDArray[np.integer[Any]]"
)


def measure(  # noqa: PLR0913 - every choice has its name here
    net: SuperNetwork | str | None,
    configs: ConfigsLike | None,
    platform: Platform | str | Sequence[Platform | str],
    *,
    models: Sequence[ModelLike] = (),
    effort: str | None = None,
    protocol: Given = None,
    fresh: bool = False,
    wait_s: float | None = 0.0,
    seed: int = 0,
    check: bool = True,
    store: StoreLike = DEFAULT_STORE,
    progress: ProgressLike = True,
) -> Measurements:
    """Measure sub-networks on a platform, side by side, so that they can be ranked.

    If it is interrupted, what was measured is in the store, and the same call goes on with it.

    Examples:
        >>> measured = hwnas.measure("ofa-mbv3-w1.2", ["min", "max"], "lut:table=note10", progress=False)
        >>> [f"{one.latency_ms:.1f} ms, {one.status}" for one in measured]
        ['17.8 ms, ok', '92.4 ms, ok']

    Args:
        net: the super-network, or its name; ``None``: only ``models`` are measured.
        configs: sub-networks: a config or several, their vectors ``(n, n_var)``, or in words: "min", "max",
            "random:SEED", or a key.
        platform: a platform string ("onnxruntime:threads=1"), or several: then all are measured on the first, then all
            on the second, and so on.
        models: fixed models of your own that are measured side by side with the sub-networks: ``hwnas.Fixed``, or
            "FILE.py:FUNCTION", "FILE.onnx", "FILE.pt2". Stored measurements are not used then.
        effort: how precisely: "quick" (0.15 s a sub-network), "normal" (1 s) or "thorough" (2 s, the default).
        protocol: numbers of the timing protocol by name ({"cap_s": 4}), or the name of a profile.
        fresh: measure again what the store has.
        wait_s: where other programs keep the CPUs busy, wait so long for calm; 0: only say so.
        seed: of the order of the sub-networks in each round.
        check: compare every sub-network's outputs with the torch module's.
        store: where measurements are stored and looked up: a file's path, a database's URL, an open store, or ``None``.
        progress: show bars; or a function that is given a ``MeasuringProgress`` now and then.

    Returns:
        One measurement per sub-network and platform. One that failed or did not converge says so in its ``status``.

    Raises:
        UsageError: something was asked for that cannot be, such as an unknown super-network or platform.
        MeasurementError: nothing can be measured on this platform.
    """
    from hwnas.api.results import Measurements
    from hwnas.cli.progress import telling
    from hwnas.harness.bench.side_by_side import SideBySide
    from hwnas.harness.host.environment import merged
    from hwnas.harness.measure import Measurer
    from hwnas.supernets.errors import UsageError

    whole = None if net is None else network(net)
    X = vectors(whole, configs)
    if whole is None and not models:
        raise UsageError("measure: expected a super-network with its configs, or models")
    measured: list[Measurement] = []
    environments = {}
    options: dict[str, Any] = {"effort": effort, "protocol": protocol, "wait_s": wait_s, "seed": seed, "check": check}
    with opened(store) as stored, made(models) as fixed:
        beside = SideBySide(whole, X, fixed) if fixed else None
        places = _several(platform)
        if beside is not None:
            beside.check(places)
        listed: Any = whole if beside is None else beside.net
        kept = stored if beside is None else None
        for where in places:
            with (
                bars(progress, functools.partial(telling, str(where))) as show,
                Measurer(listed, where, store=kept, progress=show, **options) as measurer,
            ):
                measure = measurer.measure
                measured += measure(X, fresh=fresh) if beside is None else beside.measure(measure, stored)
                environments[str(where)] = dict(measurer.environment)
    return Measurements(measured, merged(environments))


def vectors(net: SuperNetwork | None, configs: ConfigsLike | None) -> IntArray:
    """Return sub-networks as vectors, ``(n, n_var)``, none where there is no super-network.

    Raises:
        ConfigError: one is no sub-network.
        UsageError: there are configs and no super-network, or the other way round.
    """
    import numpy as np

    from hwnas.cli.configs import read_configs
    from hwnas.supernets.errors import UsageError

    if net is None and configs is None:
        return np.empty((0, 0), dtype=np.int64)
    if net is None or configs is None:
        raise UsageError("measure: expected a super-network and configs, like ['min', 'max'], or neither")
    if isinstance(configs, np.ndarray):
        return net.space.check(np.atleast_2d(configs))
    given: list[Any] = [configs] if isinstance(configs, str | Mapping) else list(configs)
    if not given:
        return net.space.check(np.empty((0, net.space.n_var), dtype=np.int64))
    read = [read_configs([one], net.space) if isinstance(one, str) else net.space.encode([one]) for one in given]
    return np.concatenate(read)


def _several(platform: Platform | str | Sequence[Platform | str]) -> list[Platform]:
    from hwnas.harness.platform import Platform, parse
    from hwnas.supernets.errors import UsageError

    given = [platform] if isinstance(platform, str | Platform) else list(platform)
    if not given:
        raise UsageError("platform: expected one like onnxruntime:threads=1, got none")
    return [parse(one) if isinstance(one, str) else one for one in given]
