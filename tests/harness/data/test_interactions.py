from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hwnas import supernets
from hwnas.harness import data
from hwnas.harness.data._interaction_files import InteractionLog, Split, read
from hwnas.harness.data.interactions import InteractionTask, digest, leave_one_out, load
from hwnas.supernets.errors import DataError, UsageError
from hwnas.supernets.training import SoftTask, TrainingTask

NET = supernets.get("ncf:users=40,items=150")


def log(users, items, times, n_items=150):
    names = tuple(map(str, range(max(users) + 1))), tuple(map(str, range(n_items)))
    return InteractionLog("log", np.array(users), np.array(items), np.array(times, dtype=np.float64), *names)


def made_up(n_users=20, n_items=150, n=12, seed=0):
    """Users with ``n`` different items each, in the order of time."""
    rng = np.random.default_rng(seed)
    items = np.concatenate([rng.permutation(n_items)[:n] for _ in range(n_users)])
    return log(np.repeat(np.arange(n_users), n).tolist(), items.tolist(), list(range(n * n_users)), n_items)


def write(file, lines):
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return str(file)


# --- layouts ---------------------------------------------------------------------------------------------------------


def test_movielens_and_recbole_tell_the_same(tmp_path):
    rows = [("12", "7", "3", "30"), ("3", "110", "5", "10"), ("12", "110", "1", "20")]
    movielens = read(write(tmp_path / "u.data", map("\t".join, rows)))
    header = "rating:float\titem_id:token\tuser_id:token\ttimestamp:float"
    recbole = read(write(tmp_path / "ml.inter", [header, *(f"{r}\t{i}\t{u}\t{t}" for u, i, r, t in rows)]))
    for found in (movielens, recbole):
        assert found.user_names == ("3", "12")
        assert found.item_names == ("7", "110")
        assert found.users.tolist() == [1, 0, 1]
        assert found.items.tolist() == [0, 1, 1]
        assert found.times.tolist() == [30, 10, 20]


@pytest.mark.parametrize("asked", ["ml/ml.inter", "ml/ml", "ml"])
def test_recboles_folder_is_found(tmp_path, asked):
    (tmp_path / "ml").mkdir()
    write(tmp_path / "ml" / "ml.inter", ["user_id:token\titem_id:token\ttimestamp:float", "a\tx\t1"])
    assert read(str(tmp_path / asked)).user_names == ("a",)


def split_files(folder, train=("0\t3\t5\t1", "1\t0\t4\t2", "1\t2\t4\t3"), test=("0\t1", "1\t3"), negative=None):
    write(folder / "d.train.rating", train)
    write(folder / "d.test.rating", test)
    write(folder / "d.test.negative", negative or ("(0,1)\t0\t2", "(1,3)\t1\t1"))
    return str(folder / "d")


def test_split_files(tmp_path):
    found = read(split_files(tmp_path))
    assert (found.n_users, found.n_items) == (2, 4)
    assert found.users.tolist() == [0, 1, 1]
    assert found.items.tolist() == [3, 0, 2]
    assert found.test_users.tolist() == [0, 1]
    assert found.candidates.tolist() == [[1, 0, 2], [3, 1, 1]]


HEADER = "user_id:token\titem_id:token\ttimestamp:float"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "is empty, expected one interaction a line"),
        (["1\t2\t3"], "line 1: expected 4 columns separated by tabs, got 3"),
        (["1\t2\t3\t4", "1 2 3 4"], "line 2: expected 4 columns separated by tabs, got 1"),
        (["1\t2\t3\t4", "", "1\t2\t3\t4"], "line 2: is empty"),
        (["1\t2\t3\tnoon"], "line 1: expected a time as a number, got 'noon'"),
        (["1\t2\t3\tnan"], "line 1: expected a time as a number, got 'nan'"),
        (["\t2\t3\t4"], "line 1: column 1 is empty"),
        ([HEADER], "has a header but no interactions"),
        ([HEADER, "1\t2"], "line 2: expected 3 columns separated by tabs, got 2"),
        ([HEADER.replace("timestamp", "time"), "1\t2\t3"], "line 1: expected columns user_id, item_id, timestamp;"),
    ],
)
def test_a_malformed_line_is_named(tmp_path, lines, message):
    file = write(tmp_path / "u.data", lines)
    with pytest.raises(DataError) as caught:
        read(file)
    assert str(caught.value).startswith(f"{file}: {message}")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"train": []}, "d.train.rating: is empty"),
        ({"train": ["0"]}, "d.train.rating: line 1: expected a user and an item"),
        ({"train": ["0\t-1"]}, "d.train.rating: line 1: expected a whole number from 0, got '-1'"),
        ({"train": ["0\t9999999999"]}, "d.train.rating: line 1: expected a whole number from 0, got '9999999999'"),
        ({"test": ["0\t1", "7\t3"]}, "d.test.rating: line 2: user 7 has no line in d.train.rating"),
        ({"test": ["0\t1", "1\t4"]}, "d.test.rating: line 2: item 4 is unknown; d.train.rating has 0 to 3"),
        ({"negative": ["(0,1)\t0\t2"]}, "d.test.negative: has 1 lines, "),
        ({"negative": ["(0,1)\t0", "(1,2)\t1"]}, "d.test.negative: line 2: expected (1,3) as in d.test.rating"),
        ({"negative": ["(0,1)\t0", "(1,3)"]}, "d.test.negative: line 2: expected 1 items to rank beside it, got 0"),
        ({"negative": ["(0,1)\t0", "(1,3)\t9"]}, "d.test.negative: line 2: item 9 is unknown"),
        ({"negative": ["(0,1)\t0", "(1,3)\t1", "(1,3)\t1"]}, "d.test.negative: line 3: is one line more than"),
    ],
)
def test_a_malformed_split_is_named(tmp_path, changed, message):
    prefix = split_files(tmp_path, **changed)
    with pytest.raises(DataError) as caught:
        read(prefix)
    assert message in str(caught.value)


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere: no interactions there; expected PREFIX of PREFIX\.train\.rating"):
        read(str(tmp_path / "nowhere"))
    prefix = split_files(tmp_path)
    (tmp_path / "d.test.negative").unlink()
    with pytest.raises(DataError, match=r"d\.test\.negative: no such file"):
        read(prefix)
    (tmp_path / "noise").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="noise: cannot be read as text"):
        read(str(tmp_path / "noise"))


@given(st.lists(st.text(st.sampled_from("0123456789\t\n:(),.-ax \r"), max_size=30), max_size=6))
def test_any_text_is_read_or_refused_by_name(tmp_path_factory, lines):
    folder = tmp_path_factory.mktemp("any")
    file = folder / "d.train.rating"
    write(file, lines)
    write(folder / "d.test.rating", lines)
    write(folder / "d.test.negative", lines)
    for asked in (file, folder / "d"):
        try:
            found = read(str(asked))
        except DataError as error:
            assert str(folder) in str(error)  # noqa: PT017 - either outcome is right
            continue
        assert len(found.users) == len(found.items) > 0


names = st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=4)


@pytest.mark.slow
@given(st.lists(st.tuples(names, names, st.integers(0, 10**9)), min_size=1, max_size=30))
def test_round_trip(tmp_path_factory, rows):
    file = write(tmp_path_factory.mktemp("trip") / "x.inter", [HEADER, *("\t".join(map(str, row)) for row in rows)])
    found = read(file)
    told = [
        (found.user_names[user], found.item_names[item], int(time))
        for user, item, time in zip(found.users, found.items, found.times, strict=True)
    ]
    assert told == rows
    assert len(set(found.user_names)) == len(found.user_names)


# --- leaving one out -------------------------------------------------------------------------------------------------


def test_the_latest_item_is_held_out():
    found = leave_one_out(log([0, 0, 0, 1, 1], [5, 6, 7, 8, 9], [30, 10, 20, 1, 1]), np.random.default_rng(0))
    assert found.candidates[:, 0].tolist() == [5, 9]  # of equal times the later line
    assert list(zip(found.users.tolist(), found.items.tolist(), strict=True)) == [(0, 6), (0, 7), (1, 8)]


def test_an_item_that_comes_again_is_held_out_whole():
    found = leave_one_out(log([0, 0, 0], [5, 6, 5], [1, 2, 3]), np.random.default_rng(0))
    assert found.candidates[0, 0] == 5
    assert found.items.tolist() == [6]


def test_a_user_with_one_item_is_not_tested():
    found = leave_one_out(log([0, 0, 1], [5, 6, 7], [1, 2, 3]), np.random.default_rng(0))
    assert found.test_users.tolist() == [0]
    assert 7 in found.items.tolist()
    with pytest.raises(DataError, match="no user has two items"):
        leave_one_out(log([0, 1], [5, 6], [1, 2]), np.random.default_rng(0))


def test_others_are_new_to_the_user_and_differ():
    whole = made_up()
    found = leave_one_out(whole, np.random.default_rng(0))
    for user, candidates in zip(found.test_users, found.candidates, strict=True):
        others = set(candidates[1:].tolist())
        assert len(others) == 99
        assert not others & set(whole.items[whole.users == user].tolist())


def test_other_items_are_uniform():
    counts = np.zeros(150)
    for seed in range(200):
        found = leave_one_out(log([0, 0], [3, 4], [1, 2]), np.random.default_rng(seed))
        counts[found.candidates[0, 1:]] += 1
    assert not counts[[3, 4]].any()
    left = np.delete(counts, [3, 4])
    assert abs(left.mean() - 200 * 99 / 148) < 1e-9
    assert left.std() < 2 * np.sqrt(200 * (99 / 148) * (49 / 148))


def test_the_same_seed_the_same_split():
    one, same, other = (digest(leave_one_out(made_up(), np.random.default_rng(seed))) for seed in (0, 0, 1))
    assert one == same != other


def test_a_user_of_nearly_everything_is_named():
    with pytest.raises(DataError, match=r"log: user 1 had to do with 52 of 150 items; 99 others are needed"):
        leave_one_out(log([0, 0, *[1] * 52], [0, 1, *range(52)], range(54)), np.random.default_rng(0))


# --- the task --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def task():
    return InteractionTask("interactions:x", "x", leave_one_out(made_up(), np.random.default_rng(0)), batch=64)


def test_it_is_a_task(task):
    assert isinstance(task, TrainingTask)
    assert isinstance(task, SoftTask)
    assert task.note == "220 interactions of 20 users with 150 items; 20 are held out"
    assert (task.defaults.sampling, task.defaults.samples, task.defaults.optimizer) == ("uniform", 1, "adam")


def test_a_pass_has_every_interaction_once_and_random_items(task):
    batches = list(task.batches(np.random.default_rng(0)))
    assert len(batches) == task.batches_per_epoch == 4
    users, items = (torch.cat(parts).numpy() for parts in zip(*batches, strict=True))
    learned = sorted(zip(task.split.users.tolist(), task.split.items.tolist(), strict=True))
    assert sorted(zip(users.tolist(), items[:, 0].tolist(), strict=True)) == learned
    assert items.shape == (220, 5)
    random = {(user, item) for user, row in zip(users.tolist(), items.tolist(), strict=True) for item in row[1:]}
    assert not random & set(learned)


def test_a_pass_that_is_joined_later_goes_on_alike(task):
    whole = list(task.batches(np.random.default_rng(1)))
    rest = list(task.batches(np.random.default_rng(1), start=2))
    assert len(rest) == 2
    for one, other in zip(whole[2:], rest, strict=True):
        assert all(map(torch.equal, one, other))


def test_the_loss_is_the_mean_cross_entropy(task):
    logits = torch.tensor([[2.0, -1, 0, 3, 1], [-1, 0, 0, 1, -2]])
    labels = torch.tensor([[1.0, 0, 0, 0, 0]] * 2)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels)
    torch.testing.assert_close(task.loss(logits, ()), expected)
    least = task.soft_loss(logits, logits)
    assert all(task.soft_loss(logits + step, logits) > least for step in (-0.1, 0.1))


def test_a_user_of_everything_cannot_be_learned_from():
    split = Split(1, 3, np.zeros(3, dtype=int), np.arange(3), np.array([0]), np.array([[0, 1]]))
    with pytest.raises(DataError, match="user 0 had to do with all items"):
        InteractionTask("x", "x", split)


def write_log(file, whole):
    rows = zip(whole.users.tolist(), whole.items.tolist(), whole.times.tolist(), strict=True)
    return write(file, [f"{user}\t{item}\t5\t{time}" for user, item, time in rows])


def test_data_and_super_network_must_fit(tmp_path):
    file = write_log(tmp_path / "u.data", made_up(n_users=45, n=40))
    with pytest.raises(DataError, match=r"45 users and 150 items, .* for 40 and 150; use ncf:users=45,items=150"):
        load(file, NET)
    with pytest.raises(UsageError, match="interactions are for ncf"):
        load(file, supernets.get("ofa-mbv3-w1.0"))


def test_it_is_asked_for_by_name_or_path_alone(tmp_path):
    file = write_log(tmp_path / "u.data", made_up())
    by_name, alone = data.get(f"interactions:{file},batch=100", NET), data.get(file, NET)
    assert (by_name.batch, by_name.batches_per_epoch) == (100, 3)
    assert digest(by_name.split) == digest(alone.split)
    with pytest.raises(UsageError, match=r"batch=0: expected a whole number from 1"):
        data.get(f"interactions:{file},batch=0", NET)


ROWS = [
    ("1", "1193", "5", 978300760),
    ("1", "661", "3.5", 978302109),
    ("2", "914", "3", 978301968),
    ("2", "661", "4", 9),
]
LAYOUTS = {
    "u.data": "".join(f"{user}\t{item}\t{rating}\t{time}\n" for user, item, rating, time in ROWS),
    "ratings.dat": "".join(f"{user}::{item}::{rating}::{time}\n" for user, item, rating, time in ROWS),
    "ratings.csv": "\ufeffuserId,movieId,rating,timestamp\r\n"
    + "".join(f"{user},{item},{rating},{time}\r\n" for user, item, rating, time in ROWS),
}


@pytest.mark.parametrize("of_folder", [False, True])
@pytest.mark.parametrize("name", LAYOUTS)
def test_every_release_of_movielens_is_read(tmp_path, name, of_folder):
    (tmp_path / name).write_bytes(LAYOUTS[name].encode())
    found = read(str(tmp_path if of_folder else tmp_path / name))
    assert (found.user_names, found.item_names) == (("1", "2"), ("661", "914", "1193"))
    assert (found.users.tolist(), found.items.tolist()) == ([0, 0, 1, 1], [2, 0, 1, 0])
    assert found.times.tolist() == [978300760, 978302109, 978301968, 9]


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("ratings.dat", "1::2::3::4\n1::2::3\n", "line 2: expected 4 columns separated by two colons, got 3"),
        (
            "ratings.csv",
            "userId,movieId,rating\n1,2,3\n",
            "expected columns user_id, item_id, timestamp; timestamp",
        ),
        ("ratings.csv", "userId,movieId,rating,timestamp\n1,2,3,x\n", "line 2: expected a time as a number, got 'x'"),
        (
            "ratings.csv",
            "userId,movieId,rating,timestamp\n1,2\n",
            "expected 4 columns separated by commas, got 2",
        ),
    ],
)
def test_a_release_that_is_damaged_is_refused(tmp_path, name, text, fault):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError) as caught:
        read(str(tmp_path))
    assert fault in str(caught.value)
    assert f"{name}: line " in str(caught.value)
