"""The fronts of several searches are measured together: at one pace, in full, and once."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from hwnas import supernets
from hwnas.harness.measurement.protocol import THOROUGH, profile
from hwnas.harness.store import Store
from hwnas.search.comparison.run import compare
from hwnas.search.comparison.together import at_one_pace
from hwnas.search.objectives import Outcome
from hwnas.search.study.snapshots import compared_since, extend


def in_batches(paces, rows, rng, noise=0.001):
    """What is measured in batches of so many rows, each at its own pace, beside three anchors."""
    truth = rng.uniform(1, 10, len(paces) * rows)
    values, beside = [], []
    for batch, pace in enumerate(paces):
        anchors = {f"a{one}": (one + 1.0) * pace * np.exp(rng.normal(0, noise)) for one in range(3)}
        for row in range(rows):
            values.append(truth[batch * rows + row] * pace * np.exp(rng.normal(0, noise)))
            beside.append(anchors)
    ends = np.stack([0.99 * np.array(values), 1.01 * np.array(values)], axis=1)
    n = len(values)
    return truth, Outcome(np.array(values), ("ok",) * n, ("",) * n, ends, tuple(beside), (None,) * n, (THOROUGH,) * n)


@pytest.mark.parametrize("paces", [(1.0, 1.3), (1.3, 0.8, 1.0), (1.0,)])
def test_batches_at_different_paces_become_values_of_one(paces, rng):
    truth, outcome = in_batches(paces, 20, rng)
    found = at_one_pace(outcome, [f"n{row}" for row in range(len(truth))])
    ratio = found.values / truth
    assert np.ptp(np.log(ratio)) < 0.02
    # Ends are those of the value that they belong to.
    np.testing.assert_allclose(found.intervals / found.values[:, None], outcome.intervals / outcome.values[:, None])
    assert (found.status, found.efforts) == (outcome.status, outcome.efforts)


def test_values_of_one_batch_stay_as_they_are(rng):
    truth, outcome = in_batches((1.1,), 9, rng)
    found = at_one_pace(outcome, [f"n{row}" for row in range(len(truth))])
    np.testing.assert_allclose(found.values, outcome.values)


def test_what_failed_stays_failed(rng):
    truth, outcome = in_batches((1.0, 1.2), 4, rng)
    outcome.values[2] = np.nan
    found = at_one_pace(outcome, [f"n{row}" for row in range(len(truth))])
    assert np.flatnonzero(np.isnan(found.values)).tolist() == [2]


def test_what_was_measured_to_compare_other_studies_does_not_serve():
    a, b, c = (SimpleNamespace(name=name) for name in "abc")
    long_ago = "2020-01-31T00:00:00+00:00"
    with Store.open(":memory:") as store:
        records = {one.name: store.create_study(one.name, {}) for one in (a, b, c)}
        extend(store, records["b"], state=1, compared=long_ago)  # as earlier versions kept it
        assert compared_since(store, [a, b]) > long_ago
        extend(store, records["b"], compared={"since": long_ago, "studies": ["a", "b"]})
        assert compared_since(store, [a, b]) == long_ago
        # The search of c has measured since then, in moments of its own.
        since = compared_since(store, [c, a, b])
        assert since > long_ago
        assert store.snapshot(records["b"]) == {"state": 1, "compared": {"since": since, "studies": ["a", "b", "c"]}}
        assert compared_since(store, [a, b]) > long_ago
        assert compared_since(store, [c, a]) > long_ago
        assert compared_since(None, [a, b]) is compared_since(store, []) is None


@pytest.mark.slow
@pytest.mark.usefixtures("scripted")
def test_the_same_call_again_measures_nothing(tmp_path):
    brief = profile("quiet", cap_s=0.05, warmup_s=0.0, sessions=1, fresh=0)
    asked = {"algorithms": ["random"], "evals": 5, "seeds": 2, "quality": "capacity", "protocol": brief}
    events = []
    with Store.open(str(tmp_path / "s.db")) as store:
        found = compare(supernets.get("toy"), "scripted:us=20", store=store, progress=events.append, **asked)
        kept = [row["id"] for row in store.measurements(samples=False)]
        again = compare(supernets.get("toy"), "scripted:us=20", store=store, **asked)
        assert [row["id"] for row in store.measurements(samples=False)] == kept
    together = found.measured_together
    assert together >= 2
    assert len(kept) >= 2 * 5 + together  # what the searches have measured is measured again
    assert [event.measuring.message for event in events if event.measuring]
    for runs, others in zip(found.studies.values(), again.studies.values(), strict=True):
        for run, other in zip(runs, others, strict=True):
            assert [one.objectives for one in run.front] == [one.objectives for one in other.front]
