"""What every database must do as a store: SQLite always; another one by ``HWNAS_TEST_STORE=URL`` (it is emptied)."""

from __future__ import annotations

import os
import threading

import pytest
import sqlalchemy as sa

from harness.store import Store, schema
from supernets.errors import StoreError

OTHER = os.environ.get("HWNAS_TEST_STORE")
RECORD = {
    "supernet": "tiny",
    "key": "0",
    "platform": "torch:threads=1",
    "fingerprint": "f",
    "protocol": "quiet",
    "status": "ok",
    "latency_s": 0.01,
    "measured_at": "2026-01-02T03:04:05+00:00",
}


def emptied(url):
    engine = sa.create_engine(url)
    schema.tables().drop_all(engine)
    engine.dispose()
    return url


@pytest.fixture(params=["file", "url", "memory", "other"])
def location(request, tmp_path):
    if request.param == "other" and not OTHER:
        pytest.skip("HWNAS_TEST_STORE is not set")
    places = {"file": str(tmp_path / "s.db"), "url": f"sqlite:///{tmp_path}/s.db", "memory": ":memory:"}
    return places.get(request.param) or emptied(OTHER)


@pytest.fixture
def store(location):
    with Store.open(location) as opened:
        yield opened


def test_measurements(store):
    samples = {"seconds": [0.25, 0.5], "note": "ß\u0000"} if "sqlite" in str(store.name) else {"seconds": [0.25, 0.5]}
    numbers = [store.put_measurement(RECORD | {"key": str(n % 3), "samples": samples}) for n in range(6)]
    assert numbers == sorted(set(numbers))
    assert [row["id"] for row in store.measurements(keys=["0", "2"])] == [numbers[n] for n in (0, 2, 3, 5)]
    assert store.measurements(keys=["1"])[0] == RECORD | {"key": "1", "id": numbers[1], "samples": samples}
    assert store.delete_measurements(numbers[:4]) == 4
    assert len(store.measurements()) == 2


def test_a_failed_measurement(store):
    store.put_measurement(RECORD | {"status": "failed", "latency_s": None})
    assert store.measurements(status="failed")[0]["latency_s"] is None


def test_studies(store):
    study = store.create_study("s", {"seed": 1})
    store.add_evaluations(study, 0, [{"key": "a"}, {"key": "b"}])
    with pytest.raises(StoreError):
        store.add_evaluations(study, 2, [{"key": "c"}, {"key": "a"}])
    with pytest.raises(StoreError):
        store.add_evaluations(study, 1, [{"key": "d"}])
    with pytest.raises(StoreError):
        store.create_study("s", {})
    store.add_evaluations(study, 2, [{"key": "c"}])
    assert store.evaluations(study) == [{"key": "a"}, {"key": "b"}, {"key": "c"}]
    assert store.create_study(None, {}, prefix="p").name == "p-1"
    assert [(one.name, one.evaluations) for one in store.studies()] == [("s", 3), ("p-1", 0)]
    store.delete_study("s")
    assert [one.name for one in store.studies()] == ["p-1"]


def test_opening_again_finds_everything(location):
    if location == ":memory:":
        pytest.skip("a store in memory ends with its process")
    with Store.open(location) as first:
        first.put_measurement(RECORD)
        first.create_study("s", {})
    with Store.open(location, create=False) as second:
        assert len(second.measurements()) == 1
        assert second.study("s") is not None


def test_threads_may_share_a_store(store):
    failures = []

    def work(name):
        try:
            for n in range(20):
                store.put_measurement(RECORD | {"key": f"{name}{n}"})
                store.create_study(None, {}, prefix="t")
        except Exception as error:  # noqa: BLE001 - it is reported below, in the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(store.measurements()) == 60
    assert len({one.name for one in store.studies()}) == 60
