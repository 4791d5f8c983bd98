"""The loop of a search, step by step: a scripted algorithm asks, and what it is told is looked at."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scripted_search import (
    ALL,
    SPACE,
    Beside,
    Devices,
    Drifting,
    Objective,
    Remembering,
    Scripted,
    algorithm_told,
    evaluated,
    keys,
    loop,
    run,
)

from hwnas.search.objectives import Directions, Outcome
from hwnas.search.study.archive import Archive, Evaluation
from hwnas.search.study.asking import PATIENCE
from hwnas.search.study.constraints import Constraint
from hwnas.search.study.drift import Drift
from hwnas.search.study.evaluating import SMALL
from hwnas.search.study.loop import Loop
from hwnas.search.study.stored import Snapshot, StudyCheckpoint
from hwnas.search.study.task import EvaluationTask
from hwnas.supernets.errors import UsageError, WorkError
from hwnas.supernets.space import Choice, SearchSpace

# --- asking and telling ----------------------------------------------------------------------------------------------


def test_each_batch_is_evaluated_and_told():
    algorithm, objective, reports = Scripted([[0, 0], [1, 2]], [[2, 1]]), Objective(), []
    made = loop(algorithm, objective)
    reason = run(made, report=lambda: reports.append(len(made.archive)))
    assert reason == "the algorithm has nothing left to ask for after 3 evaluations"
    assert objective.calls == [[[0, 0], [1, 2]], [[2, 1]]]
    assert algorithm.told == [([[0, 0], [1, 2]], [[1.0], [13.0]]), ([[2, 1]], [[22.0]])]
    assert reports == [2, 3]
    assert [(one.index, one.iteration, one.vector) for one in made.archive] == [
        (0, 0, (0, 0)),
        (1, 0, (1, 2)),
        (2, 1, (2, 1)),
    ]
    assert made.archive[1].config == SPACE.decode([[1, 2]])[0]
    assert made.archive[1].objectives == {"latency": 13.0}
    assert made.archive[1].intervals == {"latency": pytest.approx((11.7, 14.3))}
    assert (made.archive[1].status, made.archive[1].reason, made.archive[1].beside) == ("ok", "", {})
    assert 0 <= made.archive[0].total_s <= made.archive[2].total_s


def test_what_was_asked_before_is_answered_from_the_archive():
    algorithm, objective = Scripted([[0, 0], [0, 0], [0, 1]], [[0, 1], [0, 2], [0, 0]]), Objective()
    made = loop(algorithm, objective)
    run(made)
    assert objective.calls == [[[0, 0], [0, 1]], [[0, 2]]]
    assert algorithm.told[1] == ([[0, 1], [0, 2], [0, 0]], [[2.0], [3.0], [1.0]])
    assert algorithm.told[0][0] == [[0, 0], [0, 0], [0, 1]]


def test_no_more_is_evaluated_than_was_wanted():
    algorithm, objective = Scripted(ALL[:2], ALL[2:6]), Objective()
    made = loop(algorithm, objective)
    assert run(made, evals=4) == "4 evaluations are done"
    assert keys(made.archive) == SPACE.keys(ALL[:4])
    assert algorithm.told[1][0] == ALL[2:4].tolist()  # what was not evaluated is not told


def test_a_space_that_is_all_evaluated_ends_it():
    assert run(loop(Scripted(ALL), Objective())) == "all 9 sub-networks of the space are evaluated"


def test_a_rule_ends_it_between_batches():
    algorithm = Scripted(*ALL.reshape(-1, 1, 2))
    made = loop(algorithm)
    assert run(made, stop=lambda archive: "enough" if len(archive) >= 3 else None) == "enough"
    assert len(made.archive) == 3
    assert len(algorithm.told) == 3


@pytest.mark.slow
def test_an_algorithm_that_asks_for_nothing_new_is_let_go():
    made = loop(Scripted([[0, 0]], *[[[0, 0]]] * (PATIENCE - 1), [[0, 1]], *[[[0, 0]]] * (PATIENCE + 5)))
    assert run(made) == f"the algorithm asked {PATIENCE} times in a row for nothing new"
    assert keys(made.archive) == ["00", "01"]
    assert len(made.algorithm.batches) == 5


@pytest.mark.parametrize(
    "asked", [[[0, 3]], [[0, -1]], [[0]], [["a", "b"]], "nothing", [[0.5, 1]], [[0, 0], [1]], [[None, 1]]]
)
def test_an_algorithm_that_proposes_no_sub_networks_is_named(asked):
    algorithm, objective = Scripted(), Objective()
    algorithm.batches = [asked]
    with pytest.raises(WorkError, match=r"^the algorithm \S*Scripted proposed what is no vectors: "):
        run(loop(algorithm, objective))
    assert objective.calls == []


# --- what an evaluation is ------------------------------------------------------------------------------------------


def test_the_worst_status_is_kept_with_every_reason():
    first = Objective("latency", unstable=("00", "01"), fails=("02",))
    second = Objective("memory", fails=("01",), unstable=("00",))
    made = loop(Scripted(ALL[:3]), first, second)
    run(made)
    assert [one.status for one in made.archive] == ["unstable", "failed", "failed"]
    assert made.archive[0].reason == "latency: it was unstable; memory: it was unstable"
    assert made.archive[1].reason == "latency: it was unstable; memory: it was failed"
    assert made.archive[2].reason == "latency: it was failed"
    assert made.archive[2].intervals == {"memory": pytest.approx((2.7, 3.3))}
    np.testing.assert_equal(made.algorithm.told[0][1], [[1.0, 1.0], [np.nan, np.nan], [np.nan, np.nan]])


@pytest.mark.parametrize(
    ("interval", "kept"),
    [
        ((0.5, 2.0), {"latency": (0.5, 2.0)}),
        ((1.0, 1.0), {"latency": (1.0, 1.0)}),
        ((2.0, 0.5), {}),
        ((np.nan, 2.0), {}),
        ((0.5, np.nan), {}),
        ((0.5, np.inf), {}),
    ],
)
def test_an_interval_is_kept_where_it_is_one(interval, kept):
    objective = Objective()
    objective.evaluate = lambda X: Outcome(np.ones(len(X)), ("ok",), ("",), np.array([interval]))
    made = loop(Scripted(ALL[:1]), objective)
    run(made)
    assert made.archive[0].intervals == kept


def test_objectives_that_take_one_at_a_time_are_kept_one_by_one():
    batched, single, checkpoint = Objective("latency"), Objective("top1", batched=False, maximise=True), []
    store = StudyCheckpoint(put=lambda evaluations: checkpoint.append([one.key for one in evaluations]))
    made = loop(Scripted(ALL[:3]), batched, single, checkpoint=store)
    run(made)
    assert batched.calls == [ALL[:3].tolist()]
    assert single.calls == [[row] for row in ALL[:3].tolist()]
    assert checkpoint == [["00"], ["01"], ["02"]]
    assert made.archive[2].objectives == {"latency": 3.0, "top1": 3.0}
    assert made.archive[2].intervals["latency"] == pytest.approx((2.7, 3.3))
    assert made.algorithm.told[0][1] == [[1.0, -1.0], [2.0, -2.0], [3.0, -3.0]]


def test_a_limit_on_an_objective_is_kept_and_left_to_the_algorithm():
    limit = Constraint("latency", False, 2.0, "ms")
    made = loop(Scripted(ALL[:3]), constraints=[limit])
    run(made)
    assert [one.violation for one in made.archive] == [0.0, 0.0, 0.5]
    assert made.algorithm.told[0][1] == [[1.0], [2.0], [3.0]]


@pytest.mark.parametrize(("exact", "last"), [(True, 3.0), (False, np.nan)])
def test_a_limit_on_something_that_the_algorithm_cannot_see_is_told_as_a_failure(exact, last):
    macs = Objective("macs", exact=exact)
    made = loop(Scripted(ALL[:3]), Objective(), limited=[macs], constraints=[Constraint("macs", False, 2.0, "M")])
    run(made)
    assert made.archive[2].objectives == {"latency": 3.0, "macs": 3.0}
    assert [one.violation for one in made.archive] == [0.0, 0.0, 0.5]
    np.testing.assert_equal(made.algorithm.told[0][1], [[1.0], [2.0], [last]])


# --- a machine that drifts -------------------------------------------------------------------------------------------


def test_some_of_the_front_are_measured_again_beside_a_small_batch():
    objective, drift = Drifting(), Drift()
    made = loop(Scripted([[0, 2]], [[0, 1]], [[2, 2], [0, 0]]), objective, drifts={"latency": drift})
    run(made)
    # The front is one network, the best so far.
    assert objective.again == [[], [[0, 2]], [[0, 1]]]
    assert [one.beside for one in made.archive] == [
        {"latency": {}},
        {"latency": {"02": 3.0}},
        {"latency": {"01": 2.0}},
        {"latency": {"01": 2.0}},
    ]
    assert (drift.times("02"), drift.times("01"), drift.times("00")) == (2, 2, 1)
    # Those that were measured again are told again, after those that were asked for.
    assert algorithm_told(made)[1] == [[0, 1], [0, 2]]
    assert algorithm_told(made)[2] == [[2, 2], [0, 0], [0, 1]]


def test_of_the_front_those_measured_least_often_come_first_and_then_the_latest():
    up, down = Drifting(), Objective("top1", maximise=True)
    made = loop(Scripted(ALL[:1], ALL[1:2], ALL[2:3], ALL[3:4]), up, down, drifts={"latency": Drift()})
    run(made)
    # All are on the front: 00; 01; then 02, with 00 and 01 measured twice each, 02 once.
    assert up.again == [[], [[0, 0]], [[0, 1], [0, 0]], [[0, 2], [0, 1]]]


def test_of_the_front_those_that_were_not_measured_again_have_their_turn():
    up, down = Drifting(), Objective("top1", maximise=True)
    run(loop(Scripted(ALL[:3], ALL[3:4], ALL[4:5]), up, down, drifts={"latency": Drift()}))
    # 02 and 01 beside the second batch; then 10, which is new, and 00, whose turn has not come yet.
    assert up.again == [[], [[0, 2], [0, 1]], [[1, 0], [0, 0]]]


def test_a_rate_that_drifts_is_told_as_what_is_maximised():
    """A measured throughput: what is minimised is its negative, freed from drift too."""
    fast = Drifting(maximise=True)
    made = loop(Scripted([[0, 0], [2, 2]], [[1, 1]]), fast, drifts={"latency": Drift()})
    run(made)
    assert made.algorithm.told == [
        ([[0, 0], [2, 2]], [[-1.0], [pytest.approx(-23.0)]]),
        ([[1, 1], [2, 2]], [[pytest.approx(-12.0)], [pytest.approx(-23.0)]]),
    ]


class Bare(Objective):
    """One without bounds on its values."""

    def evaluate(self, X):
        return replace(super().evaluate(X), intervals=None)


def test_each_of_a_batch_keeps_its_own_of_everything_beside_what_is_evaluated_alone():
    drifting, bare = Drifting(unstable=("02",)), Bare("memory", fails=("01",))
    alone = Objective("top1", batched=False, maximise=True)
    made = loop(Scripted([[0, 0]], ALL[1:3]), drifting, bare, alone, drifts={"latency": Drift()})
    run(made)
    assert [one.beside for one in made.archive] == [{"latency": {}}, *[{"latency": {"00": 1.0}}] * 2]
    assert [one.reason for one in made.archive] == ["", "memory: it was failed", "latency: it was unstable"]
    assert [one.objectives["latency"] for one in made.archive] == [1.0, 2.0, 3.0]
    assert [one.intervals["latency"][1] for one in made.archive] == pytest.approx([1.1, 2.2, 3.3])
    assert "memory" not in made.archive[0].intervals


def test_an_evaluation_says_with_how_much_effort_and_beside_what_it_was_measured():
    load = {"busy": 1.5, "programs": []}

    class Measured(Objective):
        def evaluate(self, X):
            n = len(X)
            return replace(super().evaluate(X), loads=(None, load)[:n], efforts=("thorough", "quick")[:n])

    made = loop(Scripted(ALL[:2]), Measured(), Objective("macs"))
    run(made)
    assert [one.load for one in made.archive] == [None, load]
    assert [one.effort for one in made.archive] == ["thorough", "quick"]
    bare = loop(Scripted(ALL[:1]))
    run(bare)
    assert (bare.archive[0].load, bare.archive[0].effort) == (None, "")


def test_intervals_tell_a_drift_the_noise_of_values():
    drift, other = Drift(), Drift()
    made = loop(Scripted(ALL[:4]), Drifting(), Bare("memory"), drifts={"latency": drift, "memory": other})
    run(made)
    # Bounds of 10 % on either side, at 95 % confidence.
    assert drift.noise == pytest.approx(0.1 / 1.959964, rel=1e-6)
    assert other.noise is None


def test_what_the_algorithm_learns_is_free_of_drift_and_what_is_kept_is_not():
    class Warming(Drifting):
        """Everything takes 10 % longer with every batch."""

        batch = 0

        def evaluate(self, X):
            found = super().evaluate(X)
            return replace(found, values=found.values * 1.1**self.batch)

        def evaluate_beside(self, X, again):
            found = super().evaluate_beside(X, again)
            beside = {key: value * 1.1**self.batch for key, value in found.beside[0].items()} if len(X) else {}
            self.batch += 1
            return replace(found, beside=(beside,) * len(X))

    made = loop(Scripted(*ALL[:5].reshape(-1, 1, 2)), Warming(), drifts={"latency": Drift()})
    run(made)
    assert made.archive[4].objectives["latency"] == pytest.approx(12 * 1.1**4)
    (told,) = [f for x, (f,) in zip(*made.algorithm.told[-1], strict=True) if x == ALL[4].tolist()]
    assert told == pytest.approx(12.0, rel=0.03)


def test_only_what_can_be_measured_again_and_drifts_is():
    steady = Drifting()
    run(loop(Scripted(ALL[:2], ALL[2:4]), steady))
    assert steady.again == []
    assert steady.calls == [ALL[:2].tolist(), ALL[2:4].tolist()]
    once = Objective()
    run(loop(Scripted(ALL[:2], ALL[2:4]), once, drifts={"latency": Drift()}))
    assert once.calls == [ALL[:2].tolist(), ALL[2:4].tolist()]


def test_a_large_batch_ranks_by_itself():
    wide = SearchSpace((Choice("w", tuple(range(30))),))
    rows = np.arange(30).reshape(-1, 1)
    for n, again in ((SMALL, 2), (SMALL + 1, 0)):
        objective = Drifting()
        archive = Archive(["latency"], Directions([False]))
        algorithm = Scripted()
        algorithm.batches = [rows[:1], rows[1 : 1 + n]]
        objective.value = lambda row: float(row[0] + 1)
        objective.evaluate = lambda X: Outcome(X[:, 0] + 1.0, ("ok",) * len(X), ("",) * len(X))
        objective.evaluate_beside = lambda X, again, o=objective: o.again.append(len(again)) or o.evaluate(X)
        Loop(EvaluationTask(wide, (objective,), (), ()), algorithm, archive, drifts={"latency": Drift()}).run(
            99, lambda _: None, lambda: None
        )
        assert len(objective.again) == (2 if again else 1)


# --- going on from the store -----------------------------------------------------------------------------------------


BATCHES = [ALL[:2], ALL[2:4], ALL[4:6]]


def test_what_is_kept_is_replayed_and_not_evaluated_again():
    before = evaluated(BATCHES[:2])
    objective, checkpoint, algorithm = Objective(), [], Scripted(*BATCHES)
    made = loop(algorithm, objective, checkpoint=StudyCheckpoint(before, put=checkpoint.extend))
    run(made)
    assert list(made.archive)[:4] == before
    assert objective.calls == [ALL[4:6].tolist()]
    assert [one.key for one in checkpoint] == SPACE.keys(ALL[4:6])
    assert [one.iteration for one in made.archive] == [0, 0, 1, 1, 2, 2]
    assert algorithm_told(made) == [batch.tolist() for batch in BATCHES]
    assert made.archive[4].total_s >= before[3].total_s  # time goes on from where it was


@pytest.mark.parametrize("kept", [2, 3, 4])
def test_the_time_of_a_study_goes_on_from_its_last_evaluation(kept):
    spent = [{"measure_s": 1e4 * n, "search_s": 1e5 * n, "total_s": 1e6 * n} for n in range(1, 5)]
    before = [replace(one, **times) for one, times in zip(evaluated(BATCHES[:2]), spent, strict=True)][:kept]
    made = loop(Scripted(*BATCHES), checkpoint=StudyCheckpoint(before))
    run(made)
    assert list(made.archive)[:kept] == before
    for one in list(made.archive)[kept:]:
        assert (one.measure_s, one.search_s, one.total_s) == pytest.approx(
            (1e4 * kept, 1e5 * kept, 1e6 * kept), abs=1e3
        )


def test_a_batch_that_was_cut_short_is_completed():
    before = evaluated([ALL[:2], ALL[2:4]])[:3]
    objective = Objective()
    made = loop(Scripted(*BATCHES), objective, checkpoint=StudyCheckpoint(before))
    run(made)
    assert objective.calls == [ALL[3:4].tolist(), ALL[4:6].tolist()]
    assert [one.iteration for one in made.archive] == [0, 0, 1, 1, 2, 2]


def test_a_rule_sees_a_batch_that_was_cut_short_when_it_is_complete():
    before = evaluated([ALL[:3]])[:2]
    made = loop(Scripted(ALL[:3], ALL[3:6]), checkpoint=StudyCheckpoint(before))
    assert run(made, stop=lambda archive: "enough" if len(archive) >= 2 else None) == "enough"
    assert keys(made.archive) == SPACE.keys(ALL[:3])


def test_other_proposals_than_those_kept_are_refused():
    made = loop(Scripted(ALL[1:3]), checkpoint=StudyCheckpoint(evaluated([ALL[:2]])))
    with pytest.raises(UsageError, match="the algorithm proposes other sub-networks than the study has evaluated"):
        run(made)


def test_a_snapshot_is_saved_before_each_asking_once_there_is_something():
    saved = []
    run(loop(Remembering(*BATCHES), checkpoint=StudyCheckpoint(save=saved.append)))
    assert [(one["evaluations"], one["under_way"], one["state"]) for one in saved] == [
        (2, [], {"asked": 1}),
        (4, [], {"asked": 2}),
        (6, [], {"asked": 3}),
    ]


def test_an_algorithm_whose_state_cannot_be_stored_is_named():
    algorithm = Remembering(*BATCHES)
    algorithm.state = lambda: {"rng": object()}
    with pytest.raises(WorkError, match=r"^the state of the algorithm \S*Remembering is no JSON: .*object"):
        run(loop(algorithm, checkpoint=StudyCheckpoint(save=json.dumps)))


def test_with_a_snapshot_what_is_kept_is_told_and_not_asked_for():
    before, algorithm, objective, reports = evaluated(BATCHES[:2]), Remembering(*BATCHES), Objective(), []
    snapshot = Snapshot(4, (), {"asked": 2}).to_json()
    made = loop(algorithm, objective, checkpoint=StudyCheckpoint(before, snapshot))
    run(made, report=lambda: reports.append(len(made.archive)))
    assert algorithm.restored == ({"asked": 2}, ALL[:4].tolist())
    assert algorithm_told(made) == [batch.tolist() for batch in BATCHES]
    assert reports == [2, 4, 6]
    assert objective.calls == [ALL[4:6].tolist()]
    assert [one.iteration for one in made.archive] == [0, 0, 1, 1, 2, 2]
    assert algorithm.asked == 4  # the third batch, and that there is no fourth


def test_what_was_asked_for_and_had_not_arrived_is_restored_too():
    before = evaluated(BATCHES[:2])
    algorithm = Remembering(*BATCHES)
    run(loop(algorithm, checkpoint=StudyCheckpoint(before, Snapshot(2, (ALL[2:4],), {"asked": 1}).to_json())), evals=4)
    assert algorithm.restored == ({"asked": 1}, ALL[:4].tolist())


def test_what_was_under_way_with_one_batch_at_a_time_is_told_when_it_is_evaluated():
    objective, snapshot = Objective(), Snapshot(2, (ALL[2:4],), {"asked": 2}).to_json()
    made = loop(Remembering(*BATCHES), objective, checkpoint=StudyCheckpoint(evaluated(BATCHES[:1]), snapshot))
    run(made)
    assert objective.calls == [ALL[2:4].tolist(), ALL[4:6].tolist()]
    assert algorithm_told(made) == [batch.tolist() for batch in BATCHES]


def test_what_was_under_way_is_measured_first_and_not_asked_for_again():
    before, algorithm, devices = evaluated(BATCHES[:1]), Beside(*BATCHES), Devices()
    checkpoint = StudyCheckpoint(before, Snapshot(2, (ALL[2:4],), {"asked": 2}).to_json())
    made = loop(algorithm, devices, checkpoint=checkpoint, window=2)
    run(made)
    assert devices.calls == [ALL[2:4].tolist(), ALL[4:6].tolist()]
    assert keys(made.archive) == SPACE.keys(ALL[:6])
    assert algorithm_told(made) == [batch.tolist() for batch in BATCHES]


@pytest.mark.parametrize(
    "snapshot",
    [
        None,
        "nonsense",
        {"evaluations": 4},
        Snapshot(9, (), {"asked": 2}).to_json(),
        Snapshot(1, (), {"asked": 1}).to_json(),  # in the middle of a batch
        Snapshot(4, (), {"other": 2}).to_json(),
    ],
)
def test_without_a_snapshot_that_fits_everything_is_asked_for_again(snapshot):
    before, algorithm, objective = evaluated(BATCHES[:2]), Remembering(*BATCHES), Objective()
    made = loop(algorithm, objective, checkpoint=StudyCheckpoint(before, snapshot))
    run(made)
    assert algorithm.asked == 4
    assert algorithm_told(made) == [batch.tolist() for batch in BATCHES]
    assert objective.calls == [ALL[4:6].tolist()]
    assert keys(made.archive) == SPACE.keys(ALL[:6])


def test_kept_values_teach_the_drift():
    drift = Drift()
    one, two = evaluated([ALL[:1], ALL[1:2]])
    one = replace(one, beside={"latency": {"22": 5.0}})
    made = loop(
        Scripted(ALL[:1], ALL[1:2]), Drifting(), checkpoint=StudyCheckpoint([one, two]), drifts={"latency": drift}
    )
    run(made)
    assert (drift.times("00"), drift.times("01"), drift.times("22")) == (1, 1, 1)
    assert isinstance(made.archive[0], Evaluation)


def test_batches_of_one_are_told_one_by_one():
    singles = [ALL[:1], ALL[1:2], ALL[2:3]]
    algorithm = Remembering(*singles)
    made = loop(algorithm, checkpoint=StudyCheckpoint(evaluated(singles), Snapshot(3, (), {"asked": 3}).to_json()))
    run(made)
    assert algorithm_told(made) == [one.tolist() for one in singles]
    assert [one.iteration for one in made.archive] == [0, 1, 2]


def test_batches_are_told_apart_where_the_second_one_is_longer():
    batches = [ALL[:1], ALL[1:4]]
    made = loop(
        Remembering(*batches, ALL[4:5]),
        checkpoint=StudyCheckpoint(evaluated(batches), Snapshot(4, (), {"asked": 2}).to_json()),
    )
    run(made)
    assert algorithm_told(made) == [one.tolist() for one in (*batches, ALL[4:5])]
    assert made.archive[4].iteration == 2


@pytest.mark.slow
def test_patience_begins_with_the_first_asking():
    algorithm = Remembering(ALL[:1], *[ALL[:1]] * (PATIENCE + 5))
    made = loop(algorithm, checkpoint=StudyCheckpoint(evaluated([ALL[:1]]), Snapshot(1, (), {"asked": 1}).to_json()))
    assert "for nothing new" in run(made)
    assert algorithm.asked == 1 + PATIENCE
