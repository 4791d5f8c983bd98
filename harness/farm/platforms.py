"""Find platforms among those that a farm's workers offer, by a name or by a platform string."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from hwnas import backends
from hwnas.backends.backend import KnowingBackend, Settings
from hwnas.harness.farm.cluster import Cluster
from hwnas.harness.farm.messages import PlatformRead
from hwnas.harness.farm.offer import Offer, OfferedPlatform, place
from hwnas.harness.host import environment
from hwnas.harness.platform import Platform, named_platforms, parse
from hwnas.supernets.errors import PlatformError, suggestion
from hwnas.supernets.spec import parse_spec

if TYPE_CHECKING:
    from hwnas.harness.bench.bench import BenchOptions
    from hwnas.harness.farm.bench import FarmBench
    from hwnas.harness.quality import Quality
    from hwnas.supernets.space import IntArray
    from hwnas.supernets.supernet import SuperNetwork


@dataclass(frozen=True)
class FarmPlatform(OfferedPlatform):
    """A platform that workers offer, with the connection to them.

    Attributes:
        cluster: the connection.
    """

    cluster: Cluster | None = field(default=None, compare=False, repr=False)

    def bench(self, net: SuperNetwork, anchors: IntArray, options: BenchOptions) -> FarmBench:
        """Return a bench that measures on this platform."""
        from hwnas.harness.farm.bench import FarmBench

        if self.cluster is None:
            raise PlatformError(f"platform {self}: the farm is not connected")
        return FarmBench(self.cluster, self, net, anchors, options)

    def evaluating(self, quality: Quality, spec: str) -> Quality:
        """Return a quality that the farm's workers evaluate, or ``quality`` if it costs nothing or no worker can."""
        from hwnas.harness.farm.quality import FarmQuality
        from hwnas.harness.quality.evaluated import EvaluatedQuality

        offered = self.cluster is not None and any(offer.accuracy for offer in self.cluster.offers())
        if self.cluster is None or not offered or not isinstance(quality, EvaluatedQuality) or quality.here_only:
            return quality
        # A connection of its own, because answers of the two kinds are awaited separately.
        return FarmQuality.of(quality, spec, self.cluster.another())


def find(text: str, cluster: Cluster) -> Platform:
    """Find a platform among those that the farm's workers offer.

    Args:
        text: a name that a worker gives to a platform, or a platform string; followed by ``@WORKER`` if several hosts
            have it. Tables are read here and need no worker.
        cluster: the connection.

    Raises:
        PlatformError: no worker offers it, or several do whose values must not be mixed; says who offers what.
    """
    offers = cluster.offers()
    named = text in named_platforms() or any(text in offer.platforms for offer in offers)
    wanted, _, worker = text.rpartition("@") if not named and _names_worker(text, offers) else (text, "", "")
    chosen = [offer for offer in offers if not worker or _is(offer, worker)]
    spelled = _spelled(wanted, chosen)
    backend, pairs = parse_spec(spelled, f"platform {text!r}", PlatformError)
    if backend in backends.names() and isinstance(backends.get(backend), KnowingBackend):
        return parse(spelled)
    places = _places(text, wanted, backend, pairs.get("device"), chosen, offers)
    if len(places) > 1:
        names = ", ".join(sorted(f"{wanted}@{offer.name}" for offer in places.values()))
        raise PlatformError(
            f"platform {text!r}: offered in {len(places)} environments, whose values are not mixed; name one: {names}"
        )
    ((fingerprint, offer),) = places.items()
    found = _found(cluster.parsed(spelled, {place(backend, fingerprint): 1.0}), spelled, offer, cluster, worker)
    if not offer.serves(backend, fingerprint, found.settings.device):
        raise PlatformError(f"platform {text!r}: worker {offer.name} does not offer {found.settings.device}")
    return found


def _found(read: PlatformRead, spelled: str, offer: Offer, cluster: Cluster, worker: str) -> FarmPlatform:
    """Return the platform that a worker parses a text to; ``worker`` is its name if the user gave one, or ""."""
    elsewhere = offer.host != environment.host_identity()
    return FarmPlatform(
        read.backend,
        Settings(**asdict(read.settings)),
        spelled=spelled,
        label=(worker or _label(offer)) if worker or elsewhere else "",
        host=offer.host,
        fingerprint=read.fingerprint,
        environment=read.environment,
        cluster=cluster,
    )


def _spelled(wanted: str, offers: Sequence[Offer]) -> str:
    """Return the platform string of a name: a name given by a worker, else one of this machine's ``hwnas.toml``."""
    meanings = {offer.platforms[wanted] for offer in offers if wanted in offer.platforms}
    if len(meanings) > 1:
        owners = ", ".join(f"{wanted}@{offer.name}" for offer in offers if wanted in offer.platforms)
        raise PlatformError(f"platform {wanted!r}: a name of different platforms; say whose: {owners}")
    return meanings.pop() if meanings else named_platforms().get(wanted, wanted)


def _places(
    text: str, wanted: str, backend: str, device: str | None, chosen: Sequence[Offer], offers: Sequence[Offer]
) -> dict[str, Offer]:
    """Return the environments in which a platform is offered, each with a worker that offers it."""
    owners = [offer for offer in chosen if wanted in offer.platforms] or chosen
    places: dict[str, Offer] = {}
    for offer in owners:
        offered = offer.backends.get(backend)
        if offered is not None and (device is None or device in offered.devices):
            places.setdefault(offered.fingerprint, offer)
    if not places:
        there = sorted({name for offer in offers for name in (*offer.platforms, *offer.backends)})
        raise PlatformError(f"platform {text!r}: no worker offers it{suggestion(wanted.partition(':')[0], there)}")
    return places


def _names_worker(text: str, offers: Sequence[Offer]) -> bool:
    name = text.rpartition("@")[2]
    if "@" not in text or "=" in name.partition(",")[0] or "/" in name:
        return False
    if not any(_is(offer, name) for offer in offers):
        known = [offer.name for offer in offers]
        raise PlatformError(f"platform {text!r}: no worker is called {name!r}{suggestion(name, known)}")
    return True


def _is(offer: Offer, name: str) -> bool:
    return name in {offer.name, _label(offer)}


def _label(offer: Offer) -> str:
    """Return the name that the workers of one host share, which is without the unit."""
    return offer.name if offer.unit is None else offer.name.removesuffix(f"-{offer.unit}")
