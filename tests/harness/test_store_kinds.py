"""What is in a store, and connections that break under it, without a server."""

from __future__ import annotations

import sqlite3
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from stored_record import RECORD

from hwnas.harness.store import Store
from hwnas.harness.store.part import parts
from hwnas.supernets.errors import StoreError, StoreFaultError


@pytest.fixture
def store():
    with Store.open(":memory:") as opened:
        # What is not asked for in an order comes in another one, as it may from any database.
        opened._database.read(lambda connection: connection.exec_driver_sql("PRAGMA reverse_unordered_selects = ON"))
        yield opened


# --- measurements, studies, qualities --------------------------------------------------------------------------------


def test_measurements_are_counted_and_the_latest_listed(store):
    for day in range(1, 7):
        status = "ok" if day % 2 else "failed"
        when = {"status": status, "measured_at": f"2026-01-0{day}T00:00:00", "supernet": "big" if day > 4 else "tiny"}
        store.put_measurement(RECORD | {"key": str(day), **when})
    store.put_measurement(RECORD | {"platform": "other", "measured_at": "2027"})
    assert store.count_measurements() == 7
    assert store.count_measurements(supernet="tiny") == 5
    assert store.count_measurements(status="failed") == 3
    assert store.count_measurements(platform="other") == 1
    assert store.count_measurements(before="2026-01-03") == 2
    assert store.count_measurements(status="failed", before="2026-01-05", supernet="tiny") == 2
    assert [row["key"] for row in store.measurements(latest=2, platform="torch:threads=1")] == ["5", "6"]
    assert [row["key"] for row in store.measurements(latest=1, keys=["1", "2", "4"])] == ["4"]
    assert [row["key"] for row in store.measurements(before="2026-01-02T00:00:00")] == ["1"]
    assert [row["key"] for row in store.measurements(supernet="big", latest=5)] == ["5", "6"]


def test_what_can_be_asked_for(store):
    for key, more in (
        ("0", {"protocol": "noisy", "fingerprint": "another", "measured_at": "2026-01-01T00:00:00"}),
        ("1", {"platform": "a", "status": "unstable", "measured_at": "2026-01-02T00:00:00"}),
        ("2", {"platform": "b", "status": "failed", "measured_at": "2026-01-03T00:00:00"}),
    ):
        store.put_measurement(RECORD | {"key": key} | more)

    def keys(**wanted):
        return [row["key"] for row in store.measurements(**wanted)]

    assert keys(protocol="noisy") == keys(fingerprint="another") == ["0"]
    assert keys(since="2026-01-02T00:00:00") == ["1", "2"]
    assert keys(since="2026-01-02", before="2026-01-03") == ["1"]
    assert keys(platform=["a", "b"]) == ["1", "2"]
    assert keys(status=("ok", "unstable")) == ["0", "1"]
    assert keys(platform=[]) == []


@pytest.mark.parametrize("reverse", ["ON", "OFF"])
def test_the_latest_are_the_latest_however_they_are_asked_for(store, monkeypatch, reverse):
    store._database.read(lambda connection: connection.exec_driver_sql(f"PRAGMA reverse_unordered_selects = {reverse}"))
    monkeypatch.setattr("hwnas.harness.store.part._AT_ONCE", 2)
    for key in "dbac":
        store.put_measurement(RECORD | {"key": key})
    for keys in (None, "abcd"):
        assert [row["key"] for row in store.measurements(latest=2, keys=keys)] == ["a", "c"]


def test_a_measurement_takes_the_place_of_another(store):
    first, other = (store.put_measurement(RECORD | {"key": key, "samples": [key]}) for key in "ab")

    def rows():
        return [(row["id"], row["key"], row.get("samples")) for row in store.measurements()]

    assert store.put_measurement(RECORD | {"key": "c", "samples": ["c"]}, replaces=first) == first
    assert rows() == [(first, "c", ["c"]), (other, "b", ["b"])]
    assert store.put_measurement(RECORD | {"key": "d"}, replaces=first) == first
    assert rows() == [(first, "d", None), (other, "b", ["b"])]
    store.delete_measurements([first])
    again = store.put_measurement(RECORD | {"key": "e", "samples": ["e"]}, replaces=first)
    assert rows() == [(other, "b", ["b"]), (again, "e", ["e"])]
    with store._database._engine.connect() as connection:
        count = sa.select(sa.func.count()).select_from(store._tables["measurement_samples"])
        assert connection.execute(count).scalar_one() == 2


def test_a_record_of_another_store_gets_a_number_of_its_own(store):
    numbers = [store.put_measurement(RECORD | {"id": 77}) for _ in range(2)]
    assert [row["id"] for row in store.measurements()] == numbers
    with pytest.raises(ValueError, match=r"^record: lacks supernet, key$"):
        store.put_measurement({name: value for name, value in RECORD.items() if name not in {"supernet", "key"}})


@pytest.mark.parametrize(("latency", "kept"), [(0.25, 0.25), (float("nan"), None), (None, None)])
def test_a_latency_can_be_asked_for_in_sql(store, latency, kept):
    store.put_measurement(RECORD | {"latency_s": latency})
    query = "SELECT latency_s FROM measurement"
    assert store._database.read(lambda connection: connection.exec_driver_sql(query).all()) == [(kept,)]


def test_samples_that_are_longer_than_any_are_damaged(store, monkeypatch):
    store.put_measurement(RECORD | {"samples": [0] * 100})
    assert store.measurements()[0]["samples"] == [0] * 100
    monkeypatch.setattr("hwnas.harness.store.measurements._LONGEST_SAMPLES", 100)
    with pytest.raises(StoreFaultError, match=r"is damaged: samples: are cut off, or longer than 100 bytes$"):
        store.measurements()


def test_deleting_counts_what_was_there_and_takes_only_its_samples(store):
    numbers = [store.put_measurement(RECORD | {"key": str(n), "samples": [n]}) for n in range(4)]
    assert store.delete_measurements([numbers[1], numbers[2], 77]) == 2
    assert [(row["key"], row["samples"]) for row in store.measurements()] == [("0", [0]), ("3", [3])]
    assert store.delete_measurements([]) == 0


def test_a_study_has_one_snapshot(store):
    first, second = store.create_study("s", {}), store.create_study("t", {})
    assert store.snapshot(first) is None
    for record in ({"n": 1}, {"n": 2}):
        store.put_snapshot(first, record)
    store.put_snapshot(second, {"n": 3})
    assert (store.snapshot(first), store.snapshot(second)) == ({"n": 2}, {"n": 3})
    store.delete_study("s")
    assert store.snapshot(second) == {"n": 3}
    for late in (lambda: store.put_snapshot(first, {}), lambda: store.add_evaluations(first, 0, [{"key": "a"}])):
        with pytest.raises(StoreError, match="the study 's' has been deleted"):
            late()


def test_a_damaged_snapshot_is_none_and_a_damaged_record_an_error(store):
    study = store.create_study("s", {"a": 1})
    store.put_snapshot(study, {"n": 1})
    store.add_evaluations(study, 0, [{"key": "a"}])
    store.put_quality("net", "source", "0", {"value": 1})
    store.put_measurement(RECORD)
    for table in ("snapshot", "evaluation", "quality", "measurement"):
        update = store._tables[table].update().values(record="{")
        store._database.write(lambda connection, update=update: connection.execute(update))
    assert store.snapshot(study) is None
    damaged = "^the store :memory:: {} is damaged: "
    for what, read in (
        ("an evaluation of the study 's'", lambda: store.evaluations(study)),
        ("a record in it", lambda: store.qualities("net", "source", ["0"])),
        ("a record in it", store.measurements),
    ):
        with pytest.raises(StoreFaultError, match=damaged.format(what)):
            read()
    update = store._tables["study"].update().values(settings="{")
    store._database.write(lambda connection: connection.execute(update))
    with pytest.raises(StoreFaultError, match=damaged.format("the study 's'")):
        store.studies()


@pytest.mark.parametrize(("damage", "wrong"), [("name = x'00'", "name"), ("created_at = x'00'", "created_at")])
def test_a_study_whose_name_or_time_is_no_text_is_damaged(store, damage, wrong):
    store.create_study("s", {})
    store._database.write(lambda connection: connection.exec_driver_sql(f"UPDATE study SET {damage}"))
    with pytest.raises(StoreFaultError, match=rf"is damaged: {wrong}: expected str, got b'\\x00'$"):
        store.studies()


def test_names_are_numbered_by_those_that_begin_so(store):
    for name in ("a_b-1", "aXb-1", "A_b-7", "a_b-x"):
        store.create_study(name, {})
    assert store.create_study(None, {}, prefix="a_b").name == "a_b-3"
    assert store.create_study(None, {}).name == "study-1"
    assert store.create_study(None, {"seed": 3}).settings == {"seed": 3}


def test_a_study_says_when_it_began_and_how_much_it_has(store):
    study = store.create_study("s", {})
    store.create_study("t", {})
    store.add_evaluations(study, 0, [])
    store.add_evaluations(study, 0, [{"key": "a"}, {"key": "b"}])
    assert [(one.name, one.evaluations) for one in store.studies()] == [("s", 2), ("t", 0)]
    assert study.created_at.endswith("+00:00")
    assert len(study.created_at) == len("2026-01-02T03:04:05+00:00")
    with pytest.raises(StoreError, match="another process is writing the study 's'; let one of them finish"):
        store.add_evaluations(study, 1, [{"key": "c"}])


def test_many_values_are_asked_for_in_parts():
    assert list(parts([])) == []
    assert list(parts([3, 1, 3, 2])) == [[1, 2, 3]]
    many = list(parts(range(25_000)))
    assert [len(part) for part in many] == [10_000, 10_000, 5_000]
    assert many[1][0] == 10_000


# --- connections that break ------------------------------------------------------------------------------------------


class Flaky:
    """A kind of database whose statements fail so often before they get through."""

    def __init__(self, store, monkeypatch, failures, passes=True):
        self.left, self.waits = failures, []
        monkeypatch.setattr("hwnas.harness.store.database.time", SimpleNamespace(sleep=self.waits.append))

        def judge(error):
            assert isinstance(error, sa.exc.DBAPIError)
            return passes

        monkeypatch.setattr(store._database._kind, "passes", judge, raising=False)

    def __call__(self, *_):
        if self.left:
            self.left -= 1
            raise sa.exc.OperationalError("SELECT", {}, Exception("lost\n  for good\nLINE 1: SELECT"))
        return "through"


def test_what_passes_is_tried_again_with_growing_waits(store, monkeypatch):
    flaky, asked = Flaky(store, monkeypatch, 3), []
    assert store._database.write(flaky, lambda _: asked.append(1)) == "through"
    assert flaky.waits == [0.1, 0.2, 0.5]
    assert len(asked) == 3  # whether it had been written after all, before each further attempt
    assert store._database.write(Flaky(store, monkeypatch, 8), lambda _: asked.append(1)) == "through"
    assert len(asked) == 3 + 8
    assert store._database.read(Flaky(store, monkeypatch, 1)) == "through"


def test_what_was_written_after_all_is_not_written_again(store, monkeypatch):
    flaky = Flaky(store, monkeypatch, 1)
    assert store._database.write(flaky, lambda _: "was there") == "was there"


def test_what_stays_broken_is_given_up(store, monkeypatch):
    flaky = Flaky(store, monkeypatch, 99)
    with pytest.raises(
        StoreFaultError, match=r"^the store :memory:: cannot be opened, read or written: lost for good$"
    ):
        store._database.read(flaky)
    assert flaky.waits == [0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0]
    assert flaky.left == 99 - 9


def test_what_does_not_pass_is_an_error_at_once(store, monkeypatch):
    flaky = Flaky(store, monkeypatch, 99, passes=False)
    with pytest.raises(StoreFaultError, match="lost"):
        store._database.read(flaky)
    assert (flaky.waits, flaky.left) == ([], 98)


def test_what_sqlalchemy_itself_says_is_passed_on(store):
    def late(_connection):
        raise sa.exc.TimeoutError("no connection became free")

    with pytest.raises(StoreFaultError, match=r"^the store :memory:: .*: no connection became free$"):
        store._database.read(late)


def test_text_that_is_none_is_refused(store):
    with pytest.raises(StoreError, match=r"is not text that can be stored"):
        store.create_study("\udcff", {})
    assert store.studies() == []


def test_a_quality_that_another_process_kept_at_the_same_moment_is_enough(store, monkeypatch):
    def taken(_work):
        raise sa.exc.IntegrityError("INSERT", {}, Exception("UNIQUE constraint failed"))

    monkeypatch.setattr(store._database, "write", taken)
    store.put_quality("net", "images:a", "012", {"value": 1.0})


# --- more than one of a kind -----------------------------------------------------------------------------------------


def test_what_is_deleted_is_counted_over_all_statements(store, monkeypatch):
    monkeypatch.setattr("hwnas.harness.store.part._AT_ONCE", 2)
    numbers = [store.put_measurement(RECORD | {"key": str(n)}) for n in range(5)]
    assert len(store.measurements(keys=["0", "1", "2", "3"])) == 4
    assert store.delete_measurements(numbers) == 5


def test_platforms_are_those_of_one_super_network_each_once(store):
    for supernet, platform in (("n", "b"), ("n", "a"), ("n", "b"), ("other", "c")):
        store.put_measurement(RECORD | {"supernet": supernet, "platform": platform})
    assert [store.platforms(name) for name in ("n", "other", "none")] == [["a", "b"], ["c"], []]


def test_the_study_that_is_named_is_deleted(store):
    for name in "abc":
        store.add_evaluations(store.create_study(name, {}), 0, [{"key": name}])
    store.delete_study("b")
    assert [one.name for one in store.studies()] == ["a", "c"]
    assert store.evaluations(store.study("c")) == [{"key": "c"}]


def test_a_snapshot_is_that_of_its_study(store):
    first, second = store.create_study("s", {}), store.create_study("t", {})
    store.put_snapshot(second, {"n": 1})
    assert (store.snapshot(first), store.snapshot(second)) == (None, {"n": 1})


def test_evaluations_are_in_the_order_of_their_numbers(store):
    study = store.create_study("s", {})
    store.add_evaluations(study, 2, [{"key": "c"}, {"key": "d"}])
    store.add_evaluations(study, 0, [{"key": "b"}, {"key": "a"}])
    assert [row["key"] for row in store.evaluations(study)] == ["b", "a", "c", "d"]


# --- a connection that breaks as it commits ---------------------------------------------------------------------------


@pytest.fixture
def breaking(store, monkeypatch):
    """Call it, and the next commit breaks: after it was done (``True``), or before (``False``)."""
    dialect, left = store._database._engine.dialect, []
    commit = dialect.do_commit

    def broken(connection):
        done = left.pop() if left else None
        if done is not False:
            commit(connection)
        if done is not None:
            raise sqlite3.OperationalError("lost")

    monkeypatch.setattr(dialect, "do_commit", broken)
    monkeypatch.setattr(store._database._kind, "passes", lambda _: True, raising=False)
    monkeypatch.setattr("hwnas.harness.store.database.time", SimpleNamespace(sleep=lambda _: None))
    return left.append


@pytest.mark.parametrize("done", [True, False])
def test_what_was_being_committed_is_written_once(store, breaking, done):
    others = [store.create_study(name, {}) for name in ("before", "after")]
    for other in others:
        store.add_evaluations(other, 0, [{"key": key} for key in "xabz"])
    breaking(done)
    study = store.create_study("s", {"seed": 1})
    assert [(one.name, one.settings) for one in store.studies()][2:] == [("s", {"seed": 1})]
    for number, key in ((3, "c"), (0, "x")):
        store.add_evaluations(study, number, [{"key": key}])
    breaking(done)
    store.add_evaluations(study, 1, [{"key": "b"}, {"key": "a"}])
    assert [row["key"] for row in store.evaluations(study)] == ["x", "b", "a", "c"]
    store.put_measurement(RECORD)
    breaking(done)
    number = store.put_measurement(RECORD | {"key": "1", "samples": [1.0]})
    assert [(row["id"], row["key"]) for row in store.measurements()] == [(number - 1, "0"), (number, "1")]
    assert store.measurements()[1]["samples"] == [1.0]


def test_an_automatic_name_that_another_took_meanwhile_is_passed_over(store, monkeypatch):
    store.create_study("study-1", {})
    monkeypatch.setattr(store, "_begun", lambda _: 0, raising=False)
    assert store.create_study(None, {}).name == "study-2"
    with pytest.raises(StoreError, match="there is a study 'study-1' already"):
        store.create_study("study-1", {"other": 1})
