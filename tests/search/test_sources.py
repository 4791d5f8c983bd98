"""What a search starts from, another study's evaluations or measurements, is for a resumed one what it was at first."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa
from lookup_tables import written

from hwnas import supernets
from hwnas.harness.store import Store
from hwnas.search.objectives.latency import KnownLatency
from hwnas.search.study.known import Here, everything
from hwnas.search.study.origins import origins, until_of
from hwnas.search.study.prior import of_measurements
from hwnas.search.study.run import search
from hwnas.search.study.stored import load
from hwnas.supernets.errors import StoreError, UsageError

NET = supernets.get("ofa-mbv3-w1.0")
NAMES = ("latency", "macs")
QUICK = {"first": 4, "batch": 2, "inner_evals": 40}


@pytest.fixture(autouse=True)
def predicted(monkeypatch):
    """Latency is known here, and yet is predicted, as where it is measured: what a search starts from decides it."""
    monkeypatch.setattr(KnownLatency, "exact", False)


@pytest.fixture
def store(tmp_path):
    with Store.open(str(tmp_path / "s.db")) as opened:
        yield opened


@pytest.fixture
def table(tmp_path):
    return written(tmp_path / "a.yaml", NET, lambda block: 1e-9 + block.macs / 1e11)


def source(store, table, evals, seed=0, study="on-a", **more):
    return search(
        NET, table, algorithm="random", objectives=NAMES, evals=evals, seed=seed, store=store, study=study, **more
    )


def go(store, table, evals, study, whence="on-a", resume=False):
    return search(
        NET, table, algorithm="linas", settings=QUICK, objectives=NAMES, evals=evals, seed=1, store=store, study=study,
        transfer_from=whence, resume=resume,
    )  # fmt: skip


def keys(study):
    return [one.key for one in study.archive]


@pytest.mark.slow
def test_a_study_that_has_grown_meanwhile_counts_as_far_as_it_had_come(store, table):
    source(store, table, 12)
    whole = go(store, table, 10, "whole")
    go(store, table, 6, "parted")
    source(store, table, 60, resume=True)
    resumed = go(store, table, 10, "parted", resume=True)
    assert keys(resumed) == keys(whole)
    assert resumed.notes() == []
    assert keys(go(store, table, 10, "later")) != keys(whole)


@pytest.mark.slow
def test_a_study_of_other_evaluations_under_the_name_is_refused(store, table):
    source(store, table, 12)
    go(store, table, 6, "b")
    store.delete_study("on-a")
    source(store, table, 30, seed=5)
    with pytest.raises(
        UsageError, match=r"transfer-from study on-a: its content has changed, it was \w{16}, is \w{16}"
    ):
        go(store, table, 8, "b", resume=True)
    store.delete_study("on-a")
    source(store, table, 9)
    with pytest.raises(UsageError, match=r"transfer-from study on-a: its content has changed"):
        go(store, table, 8, "b", resume=True)
    store.delete_study("on-a")
    with pytest.raises(UsageError, match="transfer from 'on-a': neither a study in the store nor a platform"):
        go(store, table, 8, "b", resume=True)
    source(store, table, 40)
    assert len(go(store, table, 8, "b", resume=True).archive) == 8


def put(store, rows, at, **more):
    for vector, key_, config in zip(rows, NET.space.keys(rows), NET.space.decode(rows), strict=True):
        seconds = float(NET.macs(vector[None])[0]) / 1e10
        store.put_measurement(
            {
                "supernet": NET.name, "key": key_, "config": config, "platform": "torch:threads=1",
                "fingerprint": "f", "protocol": "noisy", "status": "ok", "latency_s": seconds, "measured_at": at,
                "context": {}, **more,
            }
        )  # fmt: skip


@pytest.mark.slow
def test_measurements_count_as_far_as_they_had_come(store, table):
    X = NET.space.canonical(NET.space.sample(60, 3))
    put(store, X[:12], "2026-01-01T00:00:00+00:00")
    put(store, X[12:13], "2026-01-01T00:00:00+00:00", context={"interim": True})
    interim = store.measurements(samples=False)[-1]["id"]
    whole = go(store, table, 10, "whole", "torch:threads=1")
    go(store, table, 6, "parted", "torch:threads=1")
    final = store.measurements(samples=False)[-1]
    store.put_measurement({**final, "measured_at": "2026-01-01T00:00:09+00:00", "context": {}}, replaces=interim)
    put(store, X[13:], "2026-01-02T00:00:00+00:00")
    assert keys(go(store, table, 10, "parted", "torch:threads=1", resume=True)) == keys(whole)
    assert keys(go(store, table, 10, "later", "torch:threads=1")) != keys(whole)


def measured(store, n, seed, platform, host):
    X = NET.space.canonical(NET.space.sample(n, seed))
    put(store, X, "2026-01-01T00:00:00+00:00", platform=platform, fingerprint=host)


@pytest.mark.slow
def test_several_sources_count_as_far_as_they_had_come(store, table):
    source(store, table, 12)
    measured(store, 12, 3, "torch:threads=1", "f")
    whence = ["on-a", "torch:threads=1", table]
    whole = go(store, table, 10, "whole", whence)
    go(store, table, 6, "parted", whence)
    source(store, table, 60, resume=True)
    measured(store, 40, 4, "torch:threads=1", "f")
    assert keys(go(store, table, 10, "parted", whence, resume=True)) == keys(whole)
    assert keys(go(store, table, 10, "later", whence)) != keys(whole)
    with pytest.raises(UsageError, match="cannot be resumed with other settings"):
        go(store, table, 11, "parted", resume=True)


def test_hosts_are_sources_of_their_own(store):
    measured(store, 10, 3, "torch:threads=1", "f")
    measured(store, 12, 4, "torch:threads=1", "g")
    measured(store, 7, 5, "torch:threads=1", "few")
    found = of_measurements(NET, "torch:threads=1", {}, store)
    assert {host: len(values) for host, values in found.hosts.items()} == {"f": 10, "g": 12}
    assert found.prior(NET)(NET.space.sample(5, 0)).shape == (5, 2)


def test_known_is_all_but_what_was_measured_here(store, table):
    source(store, table, 9)
    measured(store, 10, 3, "torch:threads=1", "here")
    measured(store, 10, 4, "torch:threads=1", "elsewhere")
    measured(store, 10, 5, "openvino:threads=1", "gone")
    measured(store, 5, 6, "onnxruntime:threads=1", "few")
    here = Here("torch:threads=1", {}, "here")
    found = everything(NET, store, here, ())
    assert found == [
        {"platform": "torch:threads=1", "contents": {}, "without": "here"},
        {"platform": "openvino:threads=1", "contents": {}, "without": None},
        {"study": "on-a"},
    ]
    first, second, third = origins(NET, (), found, store)
    assert set(first.observed.hosts) == {"elsewhere"}
    assert [str(one) for one in (second, third)] == ["openvino:threads=1 (10 latencies)", "on-a (9 latencies)"]
    ends = until_of((first, second, third), known=True)
    measured(store, 20, 7, "openvino:threads=1", "gone")
    assert [str(one) for one in origins(NET, (), found, store, ends)][1] == "openvino:threads=1 (10 latencies)"


def test_of_several_studies_of_a_platform_the_longest_is_known_and_of_equals_the_first(store, table):
    here = Here("torch:threads=1", {}, "here")
    for name, evals in (("first", 9), ("as-long", 9), ("longer", 10)):
        source(store, table, evals, study=name)
        wanted = "first" if evals == 9 else "longer"
        assert everything(NET, store, here, ()) == [{"study": wanted}]


def test_where_nothing_is_known_it_says_so(store):
    with pytest.raises(UsageError, match=r"transfer from 'known': the store .* has no 8 latencies of"):
        everything(NET, store, Here("torch:threads=1", {}, "here"), ())


def test_a_source_that_is_given_twice_is_refused(store, table):
    with pytest.raises(UsageError, match="transfer from 'on-a': is given twice"):
        go(store, table, 6, "b", ["on-a", "on-a"])


def as_it_was(store, tmp_path, name, change):
    engine = sa.create_engine(f"sqlite:///{tmp_path / 's.db'}")
    with engine.begin() as connection:
        where = {"name": name}
        text = connection.execute(sa.text("SELECT settings FROM study WHERE name = :name"), where).scalar_one()
        settings = json.loads(text)
        change(settings["search"])
        connection.execute(
            sa.text("UPDATE study SET settings = :text WHERE name = :name"), {"text": json.dumps(settings), **where}
        )
    engine.dispose()


@pytest.mark.slow
def test_a_study_from_before_goes_on_with_all_there_is_and_a_remark(store, table, tmp_path):
    source(store, table, 12)
    go(store, table, 6, "b")

    def change(settings):
        del settings["transfer_until"], settings["contents"]["transfer-from study"]

    as_it_was(store, tmp_path, "b", change)
    study = go(store, table, 8, "b", resume=True)
    assert len(study.archive) == 8
    assert [note.partition(":")[0] for note in study.notes()] == ["transfer-from study on-a"]


@pytest.mark.slow
@pytest.mark.parametrize("damaged", [7, [], ["x", ""], {"a": 1}, [float("inf"), ""]])
def test_a_damaged_end_is_named(store, table, tmp_path, damaged):
    source(store, table, 12)
    go(store, table, 6, "b")
    as_it_was(store, tmp_path, "b", lambda settings: settings.update(transfer_until=damaged))
    with pytest.raises(StoreError, match="transfer_until: expected a number and a time"):
        go(store, table, 8, "b", resume=True)


def warm(store, table, evals, **more):
    return search(
        NET, table, algorithm="random", objectives=NAMES, evals=evals, seed=7, store=store, study="warm",
        warm_start="on-a", **more,
    )  # fmt: skip


@pytest.mark.slow
def test_a_warm_start_keeps_its_front_and_says_that_the_study_has_another(store, table):
    source(store, table, 8)
    begun = keys(warm(store, table, 9))
    assert warm(store, table, 10, resume=True).notes() == []
    source(store, table, 90, resume=True)
    resumed = warm(store, table, 11, resume=True)
    assert keys(resumed)[:9] == begun
    (told,) = resumed.notes()
    assert told.startswith("warm start from 'on-a': its front is another by now, of 90 evaluations; the search goes on")
    store.delete_study("on-a")
    (told,) = warm(store, table, 12, resume=True).notes()
    assert "the study is no more in the store" in told
    assert len(load(store, "warm").archive) == 12
