"""The loop driven step by step: what a caller may ask for, tell in parts, interrupt, and go on with from the store."""

from __future__ import annotations

import numpy as np
import pytest
from scripted_search import ALL, SPACE, Beside, Objective, Remembering, Scripted, algorithm_told, keys, loop

from hwnas.search.objectives import Outcome
from hwnas.search.study.asking import PATIENCE
from hwnas.search.study.stored import Snapshot, StudyCheckpoint
from hwnas.supernets.errors import UsageError

ROWS = ALL.tolist()
EVALS = 9


def driven(algorithm, *objectives, **options):
    """Return a loop with as wide a window as a caller's is."""
    return loop(algorithm, *objectives, window=EVALS, **options)


def ask(made, size=None, evals=EVALS):
    return made.loop.ask(evals, size).tolist()


def tell(made, rows, **known):
    made.loop.tell(np.array(rows).reshape(-1, 2), known)


# --- asking ----------------------------------------------------------------------------------------------------------


def test_without_a_size_it_is_what_the_algorithm_asks_for_at_once():
    made = driven(Beside(ALL[:3], ALL[3:5]))
    assert ask(made) == ROWS[:3]
    assert ask(made) == ROWS[3:5]
    assert made.loop.pending.tolist() == ROWS[:5]
    assert made.algorithm.pending == [[], ROWS[:3]]


def test_with_a_size_it_is_so_many_from_as_many_askings_as_it_takes():
    made = driven(Beside(ALL[:3], ALL[3:5], ALL[5:9]))
    assert ask(made, 2) == ROWS[:2]
    assert made.algorithm.asked == 1
    assert ask(made, 5) == ROWS[2:7]
    assert made.algorithm.asked == 3
    assert made.algorithm.pending == [[], ROWS[:3], ROWS[:5]]
    assert ask(made) == ROWS[7:9]


def test_never_more_than_there_is_room_for():
    made = driven(Beside(ALL[:3], ALL[3:9]))
    assert ask(made, 99, evals=5) == ROWS[:5]
    assert ask(made, 1, evals=5) == []
    assert made.loop.stopped(5) == ""
    tell(made, ROWS[:5])
    assert ask(made, 1, evals=5) == []
    assert made.loop.stopped(5) == "5 evaluations are done"
    assert ask(made, evals=6) == ROWS[5:6]


def test_one_that_has_to_be_told_first_is_not_asked_before():
    algorithm = Scripted(ALL[:3], ALL[3:5])
    made = driven(algorithm)
    assert ask(made, 9) == ROWS[:3]
    assert ask(made) == []
    tell(made, ROWS[2:3])
    assert ask(made, 1) == []
    assert algorithm.told == []
    tell(made, ROWS[:2])
    assert algorithm_told(made) == [ROWS[:3]]  # in the order of its asking
    assert ask(made) == ROWS[3:5]


def test_why_nothing_is_asked_for_is_said_once_nothing_is_under_way():
    made = driven(Beside(ALL[:2]))
    assert made.loop.stopped(EVALS) == ""
    assert ask(made) == ROWS[:2]
    assert ask(made) == []
    assert made.loop.stopped(EVALS) == ""
    tell(made, ROWS[:1])
    assert ask(made) == []
    assert made.loop.stopped(EVALS) == ""
    tell(made, ROWS[1:2])
    assert made.loop.stopped(EVALS) == ""  # having been told, it may have something to ask for
    assert ask(made) == []
    assert made.loop.stopped(EVALS) == "the algorithm has nothing left to ask for after 2 evaluations"


def test_an_algorithm_that_asks_for_what_there_is_already_is_asked_so_often_and_told_each_time():
    algorithm = Scripted(ALL[:1], *[ALL[:1]] * PATIENCE, ALL[1:2])
    made = driven(algorithm)
    tell(made, ask(made))
    assert ask(made) == []
    assert made.loop.stopped(EVALS) == f"the algorithm asked {PATIENCE} times in a row for nothing new"
    assert len(algorithm.told) == PATIENCE  # the first, and all but the last of those that were nothing new
    assert ask(made) == ROWS[1:2]


def test_all_of_the_space_ends_it():
    made = driven(Beside(ALL))
    tell(made, ask(made))
    assert ask(made, evals=99) == []
    assert made.loop.stopped(99) == "all 9 sub-networks of the space are evaluated"


# --- telling ---------------------------------------------------------------------------------------------------------


def test_what_is_known_is_not_evaluated_and_what_is_not_is():
    own, other, put = Objective("own"), Objective("macs"), []
    made = driven(Beside(ALL[:3]), own, other, checkpoint=StudyCheckpoint(put=put.extend))
    ask(made)
    tell(made, ROWS[1:3], own=Outcome(np.array([7.0, 8.0]), ("ok", "ok"), ("", "")))
    assert own.calls == []
    assert other.calls == [ROWS[1:3]]
    assert [dict(one.objectives) for one in put] == [{"own": 7.0, "macs": 2.0}, {"own": 8.0, "macs": 3.0}]
    assert made.algorithm.told == [(ROWS[1:3], [[7.0, 2.0], [8.0, 3.0]])]
    assert made.loop.pending.tolist() == ROWS[:1]


def test_parts_of_several_batches_are_told_in_any_order_and_each_once():
    made = driven(Beside(ALL[:2], ALL[2:4], ALL[4:6]))
    ask(made, 4)
    tell(made, [ROWS[3], ROWS[0]])
    assert made.loop.pending.tolist() == [ROWS[1], ROWS[2]]
    assert ask(made) == ROWS[4:6]
    assert made.algorithm.pending[-1] == [ROWS[1], ROWS[2]]
    tell(made, [ROWS[4], ROWS[2], ROWS[1]])
    assert algorithm_told(made) == [[ROWS[3], ROWS[0]], [ROWS[4], ROWS[2], ROWS[1]]]
    assert [one.iteration for one in made.archive] == [0, 0, 1, 1, 1]


def test_where_evaluating_is_interrupted_what_was_stored_is_told_and_the_rest_stays_under_way():
    class Fragile(Objective):
        broken = True

        def evaluate(self, X):
            if self.broken and len(self.calls) == 2:
                raise KeyboardInterrupt
            return super().evaluate(X)

    fragile, put = Fragile(batched=False), []
    made = driven(Beside(ALL[:4]), fragile, checkpoint=StudyCheckpoint(put=put.extend))
    ask(made)
    with pytest.raises(KeyboardInterrupt):
        tell(made, ROWS[:4])
    assert keys(put) == keys(made.archive) == SPACE.keys(ALL[:2])
    assert algorithm_told(made) == [ROWS[:2]]
    assert made.loop.pending.tolist() == ROWS[2:4]
    fragile.broken = False
    tell(made, ROWS[2:4])
    assert algorithm_told(made) == [ROWS[:2], ROWS[2:4]]


# --- going on from the store -----------------------------------------------------------------------------------------


def stored(batches, told):
    """Return what is stored of a study whose caller asked for all at once and told it so."""
    snapshots = []
    made = driven(Beside(*batches), checkpoint=StudyCheckpoint(save=snapshots.append))
    asked = ask(made, EVALS)
    for part in told:
        tell(made, [asked[row] for row in part])
    return list(made.archive), snapshots


def test_without_a_snapshot_it_is_asked_in_the_order_in_which_all_was_told_and_what_is_left_comes_first():
    before, _ = stored([ALL[:2], ALL[2:4]], [[3, 0], [2]])
    algorithm, saved = Beside(ALL[:2], ALL[2:4], ALL[4:6]), []
    made = driven(algorithm, checkpoint=StudyCheckpoint(before, save=saved.append))
    made.loop.replay(EVALS)
    assert list(made.archive) == before
    # 03 was told before anything else: so 02 and 03 had been asked for by then. Now only 01 is missing.
    assert algorithm.asked == 2
    assert algorithm_told(made) == [[ROWS[3], ROWS[0]], [ROWS[2]]]
    assert len(made.loop.pending) == 0
    assert ask(made, 3) == [ROWS[1], *ROWS[4:6]]
    assert saved[-1]["evaluations"] == 3


def test_what_was_told_to_the_last_leaves_nothing_to_ask_for():
    before, _ = stored([ALL[:2]], [[1, 0]])
    made = driven(Beside(ALL[:2]), checkpoint=StudyCheckpoint(before))
    made.loop.replay(EVALS)
    assert made.algorithm.asked == 1
    assert len(made.loop.pending) == 0


def test_an_algorithm_that_does_not_ask_for_what_was_told_is_refused():
    before, _ = stored([ALL[:2]], [[0]])
    for others in ([ALL[1:2], ALL[2:3]], [ALL[3:9]], []):
        made = driven(Beside(*others), checkpoint=StudyCheckpoint(before))
        with pytest.raises(UsageError, match="the algorithm proposes other sub-networks than the study has evaluated"):
            made.loop.replay(EVALS)


def test_no_more_is_asked_for_than_the_study_has_evaluations():
    """Whoever asks for more than there is room for proposes something else."""
    before, _ = stored([ALL[:3]], [[2]])
    made = driven(Beside(ALL[:3]), checkpoint=StudyCheckpoint(before))
    with pytest.raises(UsageError, match="proposes other sub-networks"):
        made.loop.replay(2)


def test_with_a_snapshot_what_was_under_way_is_asked_for_first():
    before, snapshots = stored([ALL[:2], ALL[2:4]], [[1]])
    assert snapshots == []  # of nothing there is none
    snapshot = Snapshot(1, (ALL[:1], ALL[2:4]), {"asked": 2}).to_json()
    algorithm = Beside(ALL[:2], ALL[2:4], ALL[4:6])
    made = driven(algorithm, checkpoint=StudyCheckpoint(before, snapshot))
    made.loop.replay(EVALS)
    assert algorithm.restored == ({"asked": 2}, [ROWS[1], ROWS[0], *ROWS[2:4]])
    assert algorithm_told(made) == [[ROWS[1]]]
    assert ask(made) == [ROWS[0], *ROWS[2:4], *ROWS[4:6]]
    assert algorithm.pending == [[ROWS[0], *ROWS[2:4]]]


def test_what_was_told_after_the_snapshot_is_taken_out_of_what_was_under_way():
    before, _ = stored([ALL[:2], ALL[2:4]], [[1], [2, 0]])
    snapshot = Snapshot(1, (ALL[:1], ALL[2:4]), {"asked": 2}).to_json()
    made = driven(Beside(ALL[:2], ALL[2:4], ALL[4:6]), checkpoint=StudyCheckpoint(before, snapshot))
    made.loop.replay(EVALS)
    assert algorithm_told(made) == [[ROWS[1]], [ROWS[2], ROWS[0]]]
    assert keys(made.archive) == SPACE.keys(ALL[[1, 2, 0]])
    assert ask(made, 2) == ROWS[3:5]


def test_of_a_new_study_nothing_is_asked_beforehand():
    algorithm = Remembering(ALL[:2])
    made = driven(algorithm)
    made.loop.replay(EVALS)
    assert algorithm.asked == 0
    assert ask(made) == ROWS[:2]


def test_the_clock_goes_on_from_the_last_that_is_replayed():
    before, _ = stored([ALL[:3]], [[0], [1]])
    made = driven(Beside(ALL[:3]), checkpoint=StudyCheckpoint(before))
    made.loop.replay(EVALS)
    tell(made, ask(made))
    assert [one.total_s for one in made.archive] == sorted(one.total_s for one in made.archive)
