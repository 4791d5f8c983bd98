"""Transfer from end to end, on platforms that are tables."""

import csv
import json

import numpy as np
import pytest
from lookup_tables import written

from hwnas import supernets
from hwnas.harness.measurement.protocol import profile
from hwnas.harness.store import Store
from hwnas.search.objectives import rows
from hwnas.search.study.run import search
from hwnas.search.transfer import result, transfer
from hwnas.search.transfer.run import shared
from hwnas.supernets.errors import UsageError

pytestmark = pytest.mark.usefixtures("few_resamples")

NET = supernets.get("ofa-mbv3-w1.0")


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Two devices: one pays for MACs, the other for every layer and a little for MACs."""
    folder = tmp_path_factory.mktemp("tables")
    platforms = []
    for name, per_mac, per_block in (("macs", 1e-11, 0.0), ("layers", 2e-12, 1e-3)):

        def seconds(block, per_mac=per_mac, per_block=per_block):
            return 1e-6 + block.macs * per_mac + per_block * (block.kind == "mbconv")

        platforms.append(written(folder / f"{name}.yaml", NET, seconds, name))
    return platforms


@pytest.fixture(scope="module")
def gappy(tmp_path_factory):
    """A table of a few sub-networks only, the smallest and the largest among them."""
    file = tmp_path_factory.mktemp("gappy") / "measured.csv"
    X = np.vstack([NET.space.smallest(), NET.space.largest()])
    with file.open("w", newline="") as opened:
        rows = csv.writer(opened)
        rows.writerow(["config", "gpu_ms"])
        rows.writerows(
            [json.dumps(config), macs / 1e8] for config, macs in zip(NET.space.decode(X), NET.macs(X), strict=True)
        )
    return f"table:file={file},column=gpu_ms"


def run(tables, **more):
    return transfer(NET, tables, algorithm="random", evals=12, samples=10, **more)


@pytest.mark.slow
def test_everything_is_measured_everywhere_and_fronts_are_marked(tables):
    found = run(tables)
    ends = NET.space.keys(np.vstack([NET.space.smallest(), NET.space.largest()]))
    assert np.isfinite(found.rows.latency_s).all()
    assert found.rows.fronts.any(axis=0).all()
    assert len(set(found.rows.keys)) == len(found.rows.keys)
    assert set(ends) <= set(found.rows.keys)
    assert np.diag(found.hypervolume_ratio).tolist() == [1, 1]
    assert found.correlations.kendall_tau[0, 1] < 0.95


def test_beside_the_fronts_comes_what_every_search_has_evaluated_then_random_ones(tables):
    studies = [search(NET, table, algorithm="random", evals=6, seed=0) for table in tables]
    n_fronts = len({one.key for study in studies for one in study.front})
    keys = NET.space.keys(shared(NET, studies, 20, np.random.default_rng(0)))
    assert len(set(keys)) == len(keys) == n_fronts + 2 + 20
    assert {one.key for one in studies[0].archive} <= set(keys)
    few = NET.space.keys(shared(NET, studies, 0, np.random.default_rng(0)))
    assert len(few) == n_fronts + 2


@pytest.mark.slow
def test_a_platform_that_does_not_know_a_network_counts_it_as_failed_with_its_reason(tables, gappy, monkeypatch):
    monkeypatch.setattr(rows, "LEAST", 0.0)  # it stands for a table of many more rows, which is searched
    found = run([*tables, gappy]).rows
    missing = np.isnan(found.latency_s[:, 2])
    assert 0 < (~missing).sum() <= 4
    assert [states[2] == "failed" for states in found.status] == missing.tolist()
    assert [bool(reasons[2]) for reasons in found.reasons] == missing.tolist()


@pytest.mark.slow
def test_the_same_seed_gives_the_same_report(tables):
    def timeless(found):
        return {key: value for key, value in found.to_json().items() if key not in ("environment", "searches")}

    assert timeless(run(tables)) == timeless(run(tables))


@pytest.mark.slow
def test_a_study_that_is_done_is_not_searched_again(tables):
    study = search(NET, tables[1], algorithm="random", evals=8, seed=3)
    events = []
    found = run(tables, studies=[study], progress=events.append)
    assert [(e.phase, e.step) for e in events if e.event is None] == [("search", 1), ("measure", 2), ("measure", 3)]
    assert {e.steps for e in events} == {3}
    marked = {key for key, member in zip(found.rows.keys, found.rows.fronts[:, 1], strict=True) if member}
    assert marked == {one.key for one in study.front}


@pytest.mark.slow
def test_every_step_ends_with_all_that_there_is_of_it_whether_it_was_known_or_not(tables, store):
    """On tables nothing is measured, and once all is in the store, nothing is evaluated either."""
    for _ in range(2):
        last = {}
        found = run(tables, store=store, progress=lambda one, last=last: last.update({one.step: one}))
        assert [(last[step].phase, last[step].event.done, last[step].event.total) for step in sorted(last)] == [
            *[("search", row["evaluations"], row["evaluations"]) for row in found.searches],
            *[("measure", len(found.rows.keys), len(found.rows.keys))] * 2,
        ]


@pytest.mark.slow
def test_platforms_are_those_of_the_studies_when_none_is_named(tables):
    studies = [search(NET, table, algorithm="random", evals=6, seed=1) for table in tables]
    assert list(transfer(NET, studies=studies, samples=4).rows.platforms) == [study.platform for study in studies]


def test_what_cannot_be_is_refused(tables):
    with pytest.raises(UsageError, match="at least two platforms, got lut"):
        run(tables[:1])
    with pytest.raises(UsageError, match="each platform once"):
        run([tables[0], tables[0]])
    with pytest.raises(UsageError, match="expected a store"):
        run(tables, studies=["first"])
    for name, message in (
        ("ofa-mbv3-w1.2", r"searched ofa-mbv3-w1\.2, expected ofa-mbv3-w1\.0"),
        (NET.name, "not searched on any"),
    ):
        study = search(supernets.get(name), objectives=["macs", "params"], algorithm="random", evals=2)
        with pytest.raises(UsageError, match=message):
            run(tables, studies=[study])
    twice = [search(NET, tables[0], algorithm="random", evals=2, seed=seed) for seed in (0, 1)]
    with pytest.raises(UsageError, match="each platform once"):
        run(tables, studies=twice)


# --- going on ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path):
    with Store.open(str(tmp_path / "s.db")) as opened:
        yield opened


def interrupted_after(n):
    """Return what interrupts a transfer after so many events."""
    left = iter(range(n))

    def progress(_):
        if next(left, None) is None:
            raise KeyboardInterrupt

    return progress


@pytest.mark.slow
def test_a_transfer_that_is_interrupted_time_and_again_is_one_study_for_each_platform(tables, store):
    for n in (1, 2, 3):
        with pytest.raises(KeyboardInterrupt):
            run(tables, store=store, progress=interrupted_after(n))
    whole = run(tables, store=store).to_json()
    studies = store.studies()
    assert [one.name for one in studies] == whole["studies"]
    assert [one.evaluations for one in studies] == [12, 12]
    alone = run(tables).to_json()
    assert whole["rows"] == alone["rows"]
    assert run(tables, store=store).to_json()["rows"] == whole["rows"]
    assert len(store.studies()) == 2


@pytest.mark.slow
def test_another_transfer_has_studies_of_its_own(tables, store):
    run(tables, store=store)
    for changed in ({"seed": 1}, {"constraints": ["macs<=300M"]}):
        run(tables, store=store, **changed)
    transfer(NET, tables, algorithm="random", evals=13, samples=10, store=store)
    assert len({one.name for one in store.studies()}) == 8


@pytest.fixture
def summed(tmp_path):
    """A super-network of few sub-networks, and a table of their quality."""
    net = supernets.get("toy")
    space = net.space
    X = np.array(list(np.ndindex(*space.n_options)))
    with (tmp_path / "quality.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["config", "top1"])
        table.writerows([json.dumps(config), sum(x)] for config, x in zip(space.decode(X), X.tolist(), strict=True))
    return net, f"table:{tmp_path / 'quality.csv'}"


def while_the_second_is_timed(event):
    if event.phase == "measure" and event.step == 4 and event.event is not None and event.event.phase == "timing":
        raise KeyboardInterrupt


@pytest.mark.slow
@pytest.mark.usefixtures("scripted")
def test_what_is_measured_everywhere_is_measured_once(store, summed):
    net, quality = summed
    platforms = ["scripted:us=50", "scripted:us=100"]

    def go(**more):
        return transfer(
            net, platforms, quality=quality, algorithm="random", evals=3, samples=2, store=store, **more
        )  # fmt: skip

    with pytest.raises(KeyboardInterrupt):
        go(progress=while_the_second_is_timed)
    before = {row["id"] for row in store.measurements(samples=False)}
    found = go()
    rows = store.measurements(samples=False)
    assert {row["id"] for row in rows} >= before
    # Each is measured once with one effort: in full on both platforms, and briefly while the searches ran.
    assert len(rows) == len({(row["platform"], row["key"], row["protocol"]) for row in rows})
    assert sum("quick" not in row["protocol"] for row in rows) == 2 * len(found.rows.keys)
    assert len(store.studies()) == 2


@pytest.mark.slow
@pytest.mark.usefixtures("scripted")
def test_a_brief_comparison_goes_on_with_what_it_has_measured_stable_or_not(store, summed):
    net, quality = summed
    first, second = platforms = ["scripted-device:noise=0.6,us=20", "scripted-device:noise=0.6,us=30"]

    def go(**more):
        return transfer(
            net, platforms, quality=quality, algorithm="linas", evals=16, samples=2, store=store, effort="quick", **more
        )  # fmt: skip

    def rows(platform):
        return store.measurements(platform=platform, samples=False)

    with pytest.raises(KeyboardInterrupt):
        go(progress=while_the_second_is_timed)
    searched, measured = len(rows(second)), [row["id"] for row in rows(first)]
    found = go()
    assert "unstable" in {one for row in found.rows.status for one in row}
    assert [row["id"] for row in rows(first)] == measured
    # What the searches have measured, batch by batch, is measured again.
    assert len(rows(second)) >= searched
    assert len(measured) >= 16 + len(found.rows.keys)
    again = go()
    assert len(rows(None)) == len(measured) + len(rows(second))
    assert again.rows.latency_s.tolist() == found.rows.latency_s.tolist()


# --- noise -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.usefixtures("scripted")
def test_devices_that_are_alike_and_noisy_are_too_noisy_to_tell(summed, monkeypatch):
    monkeypatch.setattr(result, "_RESAMPLES", 200)  # here it matters
    net, quality = summed
    platforms = ["scripted-device:us=20,noise=0.6", "scripted-device:us=30,noise=0.6"]
    brief = profile("quiet", cap_s=0.12, warmup_s=0.0, sessions=1, fresh=0)  # what never converges is not waited for
    noisy = transfer(net, platforms, quality=quality, algorithm="random", evals=4, samples=14, protocol=brief)
    first = noisy.words()[0]
    assert first.startswith("Too noisy to tell whether the platforms order sub-networks alike: these ")
    assert "unstable" in first
    assert noisy.correlations.kendall_tau[0, 1] < noisy.intervals["kendall_tau"].high[0, 1] < 1
    assert noisy.agreement.ceiling[0, 1] < 0.9
    assert not any("you lose" in one or "keeps" in one for one in noisy.words())
