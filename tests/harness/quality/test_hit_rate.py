from __future__ import annotations

import heapq
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hwnas import supernets
from hwnas.harness import quality
from hwnas.harness.data.interactions import Split, load
from hwnas.harness.quality import QualityOptions
from hwnas.harness.quality.hit_rate import distinct, hit_rate, ndcg, popularity, ranks
from hwnas.harness.store import Store
from hwnas.supernets.errors import DataError, QualityError, UsageError

NET = supernets.get("ncf:users=20,items=160")


# --- ranking ---------------------------------------------------------------------------------------------------------


def test_ranks_against_a_sort(rng):
    scores = rng.normal(size=(200, 100))
    expected = [list(np.argsort(-row)).index(0) for row in scores]
    assert ranks(scores).tolist() == expected


def test_ties_and_broken_numbers_count_against_the_model():
    scores = np.array([[1.0, 1, 1, 1], [2, 2, 1, 1], [np.nan, 1, 1, 1], [1, np.nan, 0, 0], [3, 2, 1, 0]])
    assert ranks(scores).tolist() == [3, 1, 3, 1, 0]


def scores_by_item(items, score):
    """Rank as He et al. publish it: scores are kept by item, and the best ten of them are taken."""
    by_item = {item: score[item] for item in items}
    best = heapq.nlargest(10, by_item, key=by_item.get)
    return best.index(items[0]) if items[0] in best else None


@given(data=st.data())
def test_ranks_are_those_of_distinct_items(data):
    # Few items and many candidates: most rows have repeats, many have the held-out item again.
    users = data.draw(st.lists(st.lists(st.integers(0, 30), min_size=24, max_size=24), min_size=1, max_size=5))
    score = data.draw(st.permutations(range(31)))
    candidates = np.array(users)
    found = ranks(np.array(score, dtype=float)[candidates], distinct(candidates))
    expected = [scores_by_item(items, score) for items in users]
    assert [rank if rank < 10 else None for rank in found.tolist()] == expected


def test_the_held_out_item_never_counts_against_itself():
    candidates = np.array([[7, 7, 1, 1, 7], [7, 1, 2, 3, 4]])
    scores = np.array([[0.5, 0.5, 0.9, 0.9, 0.5], [0.5, 0.5, 0.9, 0.9, 0.1]])
    assert distinct(candidates).tolist() == [[False, True, False, False], [True] * 4]
    assert ranks(scores, distinct(candidates)).tolist() == [1, 3]


def test_a_network_that_cannot_tell_hits_nothing():
    assert hit_rate(ranks(np.zeros((50, 100)))) == 0


def test_hit_rate_and_gain_by_hand():
    found = np.array([0, 1, 9, 10, 50])
    assert hit_rate(found) == 3 / 5
    assert ndcg(found) == pytest.approx((1 + 1 / math.log2(3) + 1 / math.log2(11)) / 5)
    assert (hit_rate(found, top=1), ndcg(found, top=1)) == (1 / 5, 1 / 5)


def test_chance_hits_a_tenth(rng):
    assert hit_rate(ranks(rng.random((20_000, 100)))) == pytest.approx(0.1, abs=0.01)


def test_popularity_counts_what_is_learned_from():
    split = Split(2, 4, np.array([0, 1, 1]), np.array([2, 2, 0]), np.array([0]), np.array([[1, 2, 0, 3]]))
    assert popularity(split, split.candidates).tolist() == [[0, 2, 1, 0]]


# --- the source ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Interactions of users with items of their own parity, and weights."""
    folder = tmp_path_factory.mktemp("interactions")
    rng = np.random.default_rng(0)
    rows = []
    for user in range(20):
        items = 2 * rng.permutation(80)[:40] + user % 2
        rows += [f"{user}\t{item}\t5\t{time}" for time, item in enumerate(items)]
    (folder / "u.data").write_text("\n".join(rows))
    NET.shared(seed=1).save(folder / "ncf.pth")
    return folder


def source(files, **options):
    options = {"weights": str(files / "ncf.pth"), **options}
    return quality.get(f"hit-rate:{files}/u.data", NET, QualityOptions(**options))


def test_it_says_what_it_is(files):
    found = source(files)
    assert (found.metric, found.unit, found.maximise, found.predicted, found.costs_nothing) == (
        "hr10",
        "",
        True,
        False,
        False,
    )
    assert "20 users of" in found.note
    assert "popularity alone reaches 0." in found.note


def test_a_value_is_the_modules_own(files):
    X = NET.space.sample(2, 0)
    found = source(files)
    split = found.score
    for config, score in zip(NET.space.decode(X), found.scores(X), strict=True):
        module = NET.build(config, weights=str(files / "ncf.pth"))
        with torch.no_grad():
            scores = module(torch.from_numpy(split.users), torch.from_numpy(split.candidates)).numpy()
        place = (scores[:, 1:] >= scores[:, :1]).sum(axis=1)
        assert score.value == (place < 10).mean()
        assert score.others["ndcg10"] == pytest.approx(np.where(place < 10, 1 / np.log2(place + 2), 0).mean())
        assert score.low <= score.value <= score.high
        assert score.n == 20


@pytest.mark.slow
def test_a_held_out_item_among_its_negatives_and_repeats(tmp_path):
    """The source ranks as the published files are ranked: the score of an item is one score."""
    rng = np.random.default_rng(3)
    train = [f"{user}\t{item}\t1\t1" for user in range(20) for item in rng.permutation(160)[:60]]
    held = rng.integers(160, size=20)
    negatives = [[*rng.integers(160, size=20), item, item] for item in held]
    (tmp_path / "ml.train.rating").write_text("\n".join([*train, "19\t159\t1\t1"]))
    (tmp_path / "ml.test.rating").write_text("".join(f"{user}\t{item}\t1\t2\n" for user, item in enumerate(held)))
    rows = [[f"({user},{item})", *map(str, negatives[user])] for user, item in enumerate(held)]
    (tmp_path / "ml.test.negative").write_text("".join("\t".join(row) + "\n" for row in rows))
    NET.shared(seed=1).save(tmp_path / "ncf.pth")
    found = quality.get(f"hit-rate:{tmp_path}/ml", NET, QualityOptions(weights=str(tmp_path / "ncf.pth")))
    config = NET.space.decode(NET.space.largest())[0]
    module = NET.build(config, weights=str(tmp_path / "ncf.pth")).double()
    expected = []
    for user, (item, others) in enumerate(zip(held, negatives, strict=True)):
        items = [int(item), *map(int, others)]
        with torch.no_grad():
            score = module(torch.tensor([user]), torch.arange(160)[None])[0].tolist()
        expected.append(scores_by_item(items, score))
    score = found.scores(NET.space.largest())[0]
    assert score.value == np.mean([place is not None for place in expected])
    gains = [0 if place is None else 1 / math.log2(place + 2) for place in expected]
    assert score.others["ndcg10"] == pytest.approx(np.mean(gains), abs=1e-12)


def test_scores_are_of_double_precision(files, monkeypatch):
    """Two items whose scores differ by less than single precision tells apart are in their order."""

    class Close(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.step = torch.nn.Parameter(torch.tensor(2.0**-30))

        def forward(self, user, items):
            # The held-out item, at the head of each row, is just above all others.
            first = torch.arange(items.shape[1]) == 0
            return 1 + first * self.step + 0 * items * user[:, None]

    monkeypatch.setattr(NET, "build", lambda *_: Close())
    assert source(files).evaluate(NET.space.smallest()) == [1.0]


@pytest.mark.slow
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_network_whose_scores_are_none_has_no_hit_rate(files, monkeypatch, tmp_path, value):
    build, broken = NET.build, NET.space.smallest()

    def breaking(config, weights=None):
        module = build(config, weights)
        if np.array_equal(NET.space.encode(config), broken):
            with torch.no_grad():
                module.head.bias.fill_(value)
        return module

    monkeypatch.setattr(NET, "build", breaking, raising=False)
    with Store.open(str(tmp_path / "s.db")) as store:
        found = source(files, store=store)
        failed, fine = found.scores(np.concatenate([broken, NET.space.largest()]))
        assert np.isnan(failed.value)
        assert "the network's scores: " in failed.reason
        assert "numbers that are not finite" in failed.reason
        assert 0 <= fine.value <= 1
        # A failure is no value: it is not kept.
        assert list(found.stored(NET.space.keys(np.concatenate([broken, NET.space.largest()])))) == NET.space.keys(
            NET.space.largest()
        )


def test_values_are_kept(files, monkeypatch):
    X = NET.space.sample(2, 0)
    with Store.open(":memory:") as store:
        first = source(files, store=store).scores(X)
        monkeypatch.setattr(NET, "build", None)
        assert source(files, store=store).scores(X) == first


def test_a_subset_is_drawn_once_and_told_apart(files):
    whole, some, again = source(files), source(files, subset=7), source(files, subset=7)
    assert some.score.users.tolist() == again.score.users.tolist()
    assert len(some.score.users) == 7
    assert len({whole.source, some.source}) == 2
    assert source(files, subset=99).source == whole.source
    with pytest.raises(QualityError, match="expected at least 1 user, got 0"):
        source(files, subset=0)


def test_progress_is_told(files):
    events = []
    source(files, progress=events.append).evaluate(NET.space.smallest())
    assert (events[-1].done, events[-1].total) == (20, 20)


@pytest.mark.parametrize(
    ("spec", "net", "error", "message"),
    [
        ("hit-rate", NET, QualityError, "expected hit-rate:PREFIX; PREFIX of PREFIX.train.rating"),
        ("hit-rate:nowhere", NET, DataError, "nowhere: no interactions there"),
        ("hit-rate:{}/u.data", supernets.get("ncf:users=20,items=10"), DataError, "use ncf:users=20,items=160"),
        ("hit-rate:{}/u.data", supernets.get("ofa-mbv3-w1.0"), UsageError, "scores no items"),
    ],
)
def test_what_does_not_serve_is_refused(files, spec, net, error, message):
    with pytest.raises(error) as caught:
        quality.get(spec.format(files), net, QualityOptions(weights=str(files / "ncf.pth")))
    assert message in str(caught.value)


def test_weights_are_needed(files):
    with pytest.raises(QualityError, match="--weights FILE"):
        source(files, weights=None)


# --- MovieLens-100k --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_movielens_and_its_popularity(movielens):
    split = load(str(movielens), supernets.get("ncf"))
    assert (split.n_users, split.n_items) == (943, 1682)
    assert (len(split.users), len(split.test_users)) == (100_000 - 943, 943)
    assert split.candidates.shape == (943, 100)
    popular = ranks(popularity(split, split.candidates))
    # Between chance, 0.1, and what factorisation reaches.
    assert 0.3 < hit_rate(popular) < 0.5
