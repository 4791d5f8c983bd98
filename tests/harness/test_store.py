"""The store in a file: what is put comes back, and what is no store is refused."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import sqlite3
import tempfile
import traceback
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hwnas.harness.store import Store
from hwnas.supernets.errors import StoreError


def record(**changed):
    base = {
        "supernet": "tiny",
        "key": "012",
        "platform": "torch:threads=1",
        "fingerprint": "f",
        "protocol": "quiet",
        "status": "ok",
        "latency_s": 0.01,
        "measured_at": "2026-01-02T03:04:05+00:00",
    }
    return base | changed


@pytest.fixture
def store(tmp_path):
    with Store.open(str(tmp_path / "s.db")) as opened:
        yield opened


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@pytest.mark.slow
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(extra=json_values, samples=st.lists(st.floats(allow_nan=False)), latency=st.floats(allow_nan=False))
def test_what_is_put_comes_back(store, extra, samples, latency):
    given_record = record(environment=extra, samples_s=samples, samples_cpu_s=samples, latency_s=latency)
    before = dict(given_record)
    number = store.put_measurement(given_record)
    (back,) = [found for found in store.measurements() if found["id"] == number]
    assert back == before | {"id": number}
    assert given_record == before
    store.delete_measurements([number])


def test_a_failed_measurement_keeps_its_nan(store):
    store.put_measurement(record(status="failed", latency_s=math.nan, reason="it crashed"))
    (back,) = store.measurements(status="failed")
    assert math.isnan(back["latency_s"])
    assert back["reason"] == "it crashed"


def test_samples_are_left_out_of_a_listing(store):
    store.put_measurement(record(samples_s=[0.1, 0.2]))
    assert "samples_s" not in store.measurements(samples=False)[0]
    assert store.measurements()[0]["samples_s"] == [0.1, 0.2]


@pytest.mark.slow
def test_filters(store):
    for key, platform, status in [("a", "p", "ok"), ("b", "p", "failed"), ("a", "q", "ok"), ("c", "p", "ok")]:
        store.put_measurement(record(key=key, platform=platform, status=status))

    def found(**wanted):
        return [(row["key"], row["platform"]) for row in store.measurements(**wanted)]

    assert found() == [("a", "p"), ("b", "p"), ("a", "q"), ("c", "p")]
    assert found(platform="p", status="ok") == [("a", "p"), ("c", "p")]
    assert found(keys=["c", "a", "a"], platform="p") == [("a", "p"), ("c", "p")]
    assert found(keys=[]) == []
    assert found(fingerprint="other") == []
    assert found(supernet="tiny", protocol="quiet", keys=(str(n) for n in range(40_000))) == []


def test_deleting_takes_the_samples_along(store):
    numbers = [store.put_measurement(record(samples_s=[1.0])) for _ in range(3)]
    assert store.delete_measurements([numbers[0], numbers[2], 999]) == 2
    assert [row["id"] for row in store.measurements()] == [numbers[1]]
    with sqlite3.connect(store.name) as raw:
        assert raw.execute("SELECT measurement_id FROM measurement_samples").fetchall() == [(numbers[1],)]
    raw.close()


def test_a_record_that_lacks_a_field_is_refused(store):
    incomplete = record()
    del incomplete["fingerprint"]
    with pytest.raises(ValueError, match="lacks fingerprint"):
        store.put_measurement(incomplete)


# --- studies ----------------------------------------------------------------------------------------------------------


def test_studies_and_their_evaluations(store):
    study = store.create_study("mine", {"seed": 1})
    rows = [{"key": "a", "objectives": {"x": 1.5}}, {"key": "b", "objectives": {"x": None}}]
    store.add_evaluations(study, 0, rows)
    store.add_evaluations(study, 2, [{"key": "c"}])
    assert store.evaluations(study) == [*rows, {"key": "c"}]
    assert store.study("mine").evaluations == 3
    assert store.study("mine").settings == {"seed": 1}
    assert store.study("other") is None
    store.delete_study("mine")
    assert store.studies() == []
    with pytest.raises(StoreError, match="no study 'mine'"):
        store.delete_study("mine")


def test_automatic_names_are_fresh(store):
    store.create_study("auto-2", {})
    assert [store.create_study(None, {}, prefix="auto").name for _ in range(3)] == ["auto-3", "auto-4", "auto-5"]
    with pytest.raises(StoreError, match="there is a study 'auto-2' already"):
        store.create_study("auto-2", {})


def test_a_study_refuses_a_sub_network_twice_and_keeps_nothing_of_that_batch(store):
    study = store.create_study("mine", {})
    store.add_evaluations(study, 0, [{"key": "a"}])
    with pytest.raises(StoreError, match="another process"):
        store.add_evaluations(study, 1, [{"key": "b"}, {"key": "a"}])
    assert store.evaluations(study) == [{"key": "a"}]


# --- what is no store -------------------------------------------------------------------------------------------------


def refused(location, match):
    with pytest.raises(StoreError, match=match) as caught:
        Store.open(str(location))
    assert caught.value.exit_code == 2


def test_a_missing_folder_is_named(tmp_path):
    refused(tmp_path / "nowhere" / "s.db", "there is no folder .*nowhere")


def test_a_store_that_is_only_read_is_not_made(tmp_path):
    path = tmp_path / "s.db"
    with pytest.raises(StoreError, match=r"s\.db: there is none"):
        Store.open(str(path), create=False)
    assert not path.exists()
    Store.open(str(path)).close()
    Store.open(str(path), create=False).close()


def test_a_folder_is_no_store(tmp_path):
    refused(tmp_path, "is a folder")


def test_a_place_that_cannot_be_written():
    refused("/proc/hwnas.db", "/proc/hwnas.db")


NOBODY = 65534


def as_an_ordinary_user(work):
    """Do something as a user whom permissions bind: root becomes nobody for it, in a process of its own."""
    if os.geteuid() != 0:
        work()
        return
    child = os.fork()
    if not child:
        status = 1
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            work()
            status = 0
        except BaseException:  # noqa: BLE001 - whatever it is, this process must not go on with the suite
            traceback.print_exc()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_read_only_file_is_refused():
    # The folders of the suite are root's alone, where root runs it.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "s.db"
        Store.open(str(path)).close()
        path.chmod(0o444)
        as_an_ordinary_user(lambda: refused(path, r"s\.db: may not be written by this user"))


def test_a_folder_in_which_nothing_can_be_made_is_named():
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        as_an_ordinary_user(lambda: refused(Path(folder) / "s.db", f"may not make a file in {folder}"))


@pytest.mark.parametrize("content", [b"config,latency\n" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_other_files_are_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "s.db"
    path.write_bytes(content)
    refused(path, "s.db")
    assert path.read_bytes() == content


def test_a_corrupt_store_is_an_error_that_names_it(tmp_path):
    path = tmp_path / "s.db"
    with Store.open(str(path)) as opened:
        for _ in range(200):
            opened.put_measurement(record(samples_s=[0.5] * 200))
    damaged = bytearray(path.read_bytes())
    damaged[4096:] = b"\xab" * (len(damaged) - 4096)
    path.write_bytes(damaged)
    with pytest.raises(StoreError, match=r"s\.db"), Store.open(str(path)) as opened:
        opened.measurements()


def test_somebody_elses_database_is_refused(tmp_path):
    path = tmp_path / "s.db"
    with contextlib.closing(sqlite3.connect(path)) as raw:
        raw.execute("CREATE TABLE recipes (id)")
    refused(path, "database of something else .*recipes")


def test_a_bad_url_is_refused():
    refused("nosuchdb://here", "nosuchdb")
    refused("://", "expected a path, or a URL")


def test_a_url_is_accepted_and_its_password_is_not_shown(tmp_path):
    with Store.open(f"sqlite:///{tmp_path}/u.db") as opened:
        assert opened.name == f"{tmp_path}/u.db"
    with pytest.raises(StoreError) as caught:
        Store.open("postgresql+nosuch://me:hidden@localhost/db")
    assert "hidden" not in str(caught.value)


# --- many -------------------------------------------------------------------------------------------------------------


def test_what_is_looked_up_and_counted_is_found_through_the_index(store):
    asked = []

    @sa.event.listens_for(store._database._engine, "before_cursor_execute")
    def _asked(_connection, _cursor, statement, parameters, *_):
        asked.append((statement, parameters))

    store.measurements(supernet="tiny", platform="torch:threads=1", keys=[str(n) for n in range(150)])
    store.measurements(supernet="tiny", platform="torch:threads=1", samples=False)
    store.count_measurements(supernet="tiny", platform="torch:threads=1", status="ok")
    plans = [
        str(store._database.read(lambda c, one=one: c.exec_driver_sql(f"EXPLAIN QUERY PLAN {one[0]}", one[1]).all()))
        for one in asked
        if one[0].startswith("SELECT")
    ]
    assert len(plans) == 3
    assert all("measurement_of (supernet=? AND platform=?" in plan for plan in plans)
    assert "key=?" in plans[0]
    assert "COVERING INDEX" in plans[2]  # counting reads no record


# --- qualities -------------------------------------------------------------------------------------------------------


def test_qualities_are_kept_by_all_that_decides_them(store):
    store.put_quality("net", "images:a (w1)", "012", {"value": 91.5, "low": None})
    store.put_quality("net", "images:a (w2)", "012", {"value": 80.0})
    store.put_quality("other", "images:a (w1)", "012", {"value": 70.0})
    assert store.qualities("net", "images:a (w1)", ["012", "111"]) == {"012": {"value": 91.5, "low": None}}
    assert store.qualities("net", "images:b", ["012"]) == {}
    store.put_quality("net", "images:a (w1)", "012", {"value": 92.0})
    assert store.qualities("net", "images:a (w1)", iter(["012", "012"])) == {"012": {"value": 92.0}}


@pytest.fixture
def of_others():
    """A folder outside this user's, and this process as a user who may not write there."""
    folder = Path(tempfile.mkdtemp(prefix="hwnas-"))
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


@contextlib.contextmanager
def as_nobody():
    """Be a user without rights, where this one has all of them."""
    mine = os.geteuid()
    if mine == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(mine)


@pytest.mark.parametrize("what", ["file", "folder", "both"])
def test_a_store_that_may_not_be_written_is_read(of_others, what):
    location = of_others / "a.db"
    with Store.open(str(location)) as store:
        store.create_study("mine", {"a": 1})
    location.chmod(0o444 if what != "folder" else 0o666)
    of_others.chmod(0o555 if what != "file" else 0o777)
    with as_nobody():
        with Store.open(str(location), create=False) as store:
            assert [study.name for study in store.studies()] == ["mine"]
            with pytest.raises(StoreError, match="may not be written by this user; copy it to a folder of your own"):
                store.delete_study("mine")
        with pytest.raises(StoreError, match="may not be written by this user"):
            Store.open(str(location))
    assert [file.name for file in of_others.iterdir()] == ["a.db"]


def test_records_that_cannot_be_reached_are_not_left_out(of_others):
    location = of_others / "a.db"
    with Store.open(str(location)) as store:
        store.create_study("mine", {"a": 1})
        # As a killed process leaves it: the log is there, and nobody to take it over.
        copied = {name: (of_others / name).read_bytes() for name in ("a.db", "a.db-wal")}
    for name, content in copied.items():
        (of_others / name).write_bytes(content)
    of_others.chmod(0o555)
    with as_nobody(), pytest.raises(StoreError, match=r"its latest records are in a\.db-wal"):
        Store.open(str(location), create=False)
