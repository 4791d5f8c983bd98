"""Studies whose loop is the caller's, interrupted and resumed: they go on to what they would have been."""

from __future__ import annotations

import numpy as np
import pytest
from asked_and_told import NET, Energy, energies, opened, rows
from hypothesis import given, settings
from hypothesis import strategies as st

from hwnas.harness.store import Store
from hwnas.search import objectives
from hwnas.search.study.open_study import create_study
from hwnas.search.study.run import search
from hwnas.search.study.stored import load
from hwnas.supernets.errors import UsageError


@pytest.fixture
def store(tmp_path):
    with Store.open(str(tmp_path / "s.db")) as made:
        yield made


# --- stored and resumed ----------------------------------------------------------------------------------------------


def drive(study, turns, seed=5):
    """Ask and tell so many times, as a caller with several machines does: parts, late and out of order.

    A caller who begins anew has what was under way asked for first, so what it does follows from what is under way.
    """
    waiting = []
    for turn in range(turns):
        rng = np.random.default_rng([seed, len(study.evaluations), turn])
        waiting += study.ask(int(rng.integers(1, 4)))
        rng.shuffle(waiting)
        part, waiting = waiting[: len(waiting) // 2 + 1], waiting[len(waiting) // 2 + 1 :]
        study.tell(part, energies(part))
    return waiting


@pytest.mark.parametrize("algorithm", ["linas", "nsga2", "random"])
def test_evaluations_are_in_the_store_when_tell_returns(algorithm, store):
    with opened(algorithm, store=store, name="s") as study:
        drive(study, 4)
        assert rows(load(store, "s").evaluations) == rows(study.evaluations) != []
        assert rows(load(store, "s").front) == rows(study.front)


@pytest.mark.parametrize("algorithm", ["linas", "nsga2", "random"])
@pytest.mark.parametrize("turns", [0, 1, 2, 5])
def test_a_resumed_study_asks_again_for_what_was_not_told_first(algorithm, turns, store):
    with opened(algorithm, store=store, name="s") as study:
        waiting = drive(study, turns)
        before = rows(study.evaluations)
    with opened(algorithm, store=store, name="s", resume=True) as study:
        assert rows(study.evaluations) == before
        asked = study.ask(max(1, len(waiting)))
        assert {one.key for one in waiting} <= {one.key for one in asked}
        study.tell(asked, energies(asked))
        later = study.ask(2)
        assert later
        assert not {one.key for one in later} & {one.key for one in study.evaluations}


def test_an_interrupted_study_goes_on_to_what_it_would_have_been(tmp_path):
    def run(path, interrupted):
        with Store.open(str(path)) as store:
            study = opened(store=store, name="s", evals=26)
            while True:
                asked = study.ask(3)
                if not asked:
                    return rows(study.evaluations)
                # One of three is left under way while the next are asked for.
                study.tell(asked[1:], energies(asked[1:])) if len(asked) > 1 else None
                late = asked[:1]
                others = study.ask(1)
                if interrupted:
                    study.close()
                    study = opened(store=store, name="s", evals=26, resume=True)
                    assert study.ask(len(late + others)) == late + others
                study.tell(late + others, energies(late + others))

    assert run(tmp_path / "a.db", True) == run(tmp_path / "b.db", False)


TURNS = st.lists(
    st.tuples(st.integers(1, 7) | st.none(), st.lists(st.integers(0, 6), max_size=4), st.booleans()), max_size=9
)


@pytest.mark.slow
@settings(max_examples=15)
@given(turns=TURNS, algorithm=st.sampled_from(["linas", "nsga2", "random"]))
def test_wherever_it_is_interrupted_it_goes_on_to_what_it_would_have_been(turns, algorithm):
    """A caller asks for some, tells some of what he has in an order of his own, and is interrupted or is not."""

    def run(interrupted):
        with Store.open(":memory:") as store:
            study, waiting = opened(algorithm, 24, store=store, name="s"), []
            for n, places, ends in turns:
                waiting += study.ask(n)
                if ends and interrupted:
                    study.close()
                    study = opened(algorithm, 24, store=store, name="s", resume=True)
                    again = study.ask(len(waiting)) if waiting else []
                    assert sorted(one.key for one in again) == sorted(one.key for one in waiting)
                for place in places:
                    if waiting:
                        one = waiting.pop(place % len(waiting))
                        study.tell([one], energies([one]))
            return rows(study.evaluations)

    assert run(True) == run(False)


def test_a_study_is_resumed_with_more_evaluations_and_with_the_same_settings_only(store):
    with opened("random", evals=7, store=store, name="s") as study:
        while asked := study.ask():
            study.tell(asked, energies(asked))
    with opened("random", evals=12, store=store, name="s", resume=True) as study:
        while asked := study.ask():
            study.tell(asked, energies(asked))
        assert len(study.evaluations) == 12
    with pytest.raises(UsageError, match="has 12 evaluations already"):
        opened("random", evals=7, store=store, name="s", resume=True)
    with pytest.raises(UsageError, match="there is a study 's' already"):
        opened("random", store=store, name="s")
    with pytest.raises(UsageError, match=r"cannot be resumed with other settings .*objectives was"):
        create_study(NET, objectives=["energy[J]:min", "macs"], algorithm="random", settings={"batch": 5}, store=store,
                     name="s", resume=True)  # fmt: skip
    with pytest.raises(UsageError, match="resume: expected a store and the name"):
        opened("random", resume=True)


@pytest.mark.parametrize("algorithm", ["linas", "random"])
def test_a_search_says_who_goes_on_with_what_was_told_in_another_order(algorithm, store):
    same = {"objectives": ["macs", "params"], "algorithm": algorithm, "evals": 12, "store": store, "resume": True}
    with create_study(NET, name="s", **same | {"resume": False}) as study:
        study.tell(study.ask(6)[::-1])
    with pytest.raises(UsageError, match=r"or a caller drove the study .*, which hwnas\.create_study goes on with"):
        search(NET, study="s", **same)
    with create_study(NET, name="s", **same) as study:
        while proposals := study.ask():
            study.tell(proposals)
        assert len(study.evaluations) == 12


def test_a_study_whose_snapshot_is_lost_is_asked_for_everything_again(store):
    with opened(store=store, name="s") as study:
        for _ in range(3):
            asked = study.ask()
            study.tell(asked, energies(asked))
        store.put_snapshot(store.study("s"), {"evaluations": "damaged"})
        with opened(store=store, name="s", resume=True) as again:
            assert rows(again.evaluations) == rows(study.evaluations)
            assert again.ask() == study.ask()


def test_what_fails_to_evaluate_stays_under_way(monkeypatch, store):
    class Fragile(Energy):
        name, batched, calls = "fragile", False, 0

        def evaluate(self, X):
            self.calls += 1
            if self.calls == 3:
                raise KeyboardInterrupt
            return super().evaluate(X)

    fragile = Fragile()

    class Provider:
        create = staticmethod(lambda name, sources: fragile)

    monkeypatch.setitem(objectives.registry._providers, "fragile", Provider)
    with create_study(NET, objectives=["energy:min", "fragile"], algorithm="random", settings={"batch": 4}, evals=8,
                      store=store, name="s") as study:  # fmt: skip
        asked = study.ask()
        with pytest.raises(KeyboardInterrupt):
            study.tell(asked, energies(asked))
        assert [one.key for one in study.evaluations] == [one.key for one in asked[:2]]
        study.tell(asked[2:], energies(asked[2:]))
        assert [one.key for one in load(store, "s").evaluations] == [one.key for one in asked]
        assert len(study.ask()) == 4
