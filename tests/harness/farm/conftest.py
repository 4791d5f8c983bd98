"""A farm of two workers with scripted devices, and one of one's own to break."""

from __future__ import annotations

import plug_in
import pytest

pytest.importorskip("distributed")

from fleet import Fleet

from hwnas.harness.farm.cluster import Cluster


@pytest.fixture(scope="module", autouse=True)
def plugin():
    """The scripted device is known here."""
    with pytest.MonkeyPatch.context() as patch:
        plug_in.install(patch)
        yield
        plug_in.remove(patch)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    """A scheduler with two workers of equal devices; nobody breaks it."""
    made = Fleet(tmp_path_factory.mktemp("fleet"))
    for unit in range(2):
        made.add("--unit", unit, environment={"XDG_CACHE_HOME": made.folder / f"cache-{unit}"})
    made.ready(2)
    yield made
    made.close()


@pytest.fixture
def cluster(fleet):
    connected = Cluster(fleet.address)
    yield connected
    connected.close()


@pytest.fixture
def own(tmp_path):
    """Makes farms to break."""
    fleets = []

    def make(**options):
        fleets.append(Fleet(tmp_path, **options))
        return fleets[-1]

    yield make
    for one in fleets:
        one.close()
