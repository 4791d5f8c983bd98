"""A store in which something is damaged: every command that opens it says in one line which store, and what in it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

from hwnas import supernets
from hwnas.cli import run
from hwnas.harness.store import Store
from hwnas.search.study.run import search

NCF = supernets.get("ncf")
TABLE = "lut:table=note10"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A store with a study of MobileNetV3 on a table of latencies; its path, and its first evaluation."""
    file = tmp_path_factory.mktemp("whole") / "s.db"
    with Store.open(str(file)) as store:
        net = supernets.get("ofa-mbv3-w1.2")
        search(net, TABLE, objectives=["latency", "params"], algorithm="random", evals=10, store=store, study="one")
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        rows = connection.execute("SELECT record FROM evaluation ORDER BY number").fetchall()
    return file, [json.loads(row[0]) for row in rows]


def _key_too_short(record, _other):
    return {**record, "key": record["key"][:-1]}


def _no_digit_of_the_choice(record, _other):
    return {**record, "key": f"z{record['key'][1:]}"}


def _another_config(record, other):
    return {**record, "config": other["config"]}


def _no_config(record, _other):
    return {**record, "config": {"d": [9]}}


def _no_key(record, _other):
    return {name: value for name, value in record.items() if name != "key"}


DAMAGES = (_no_digit_of_the_choice, _key_too_short, _another_config, _no_config, _no_key)


@pytest.fixture
def damaged(whole, tmp_path, monkeypatch):
    """Make a copy of the store, here, whose second evaluation is damaged in some way."""
    file, records = whole
    monkeypatch.chdir(tmp_path)

    def damage(how):
        (tmp_path / "s.db").write_bytes(file.read_bytes())
        with closing(sqlite3.connect("s.db")) as connection, connection:
            record = json.dumps(how(records[1], records[0]))
            connection.execute("UPDATE evaluation SET record = ? WHERE number = 1", [record])

    return damage


COMMANDS = (
    "report one --html page.html",
    "export one --csv x.csv",
    "export one --onnx folder",
    f"transfer ofa-mbv3-w1.2 -p {TABLE} -p torch:threads=1 --study one",
    f"search ofa-mbv3-w1.2 -p {TABLE} --objective latency --objective params --evals 12 --warm-start one",
    "search ofa-mbv3-w1.2 -p torch:threads=1 --objective latency --objective params --evals 12 --transfer-from one",
    f"search ofa-mbv3-w1.2 -p {TABLE} --objective latency --objective params -a random --evals 12 --study one --resume",
)


# Each of them with a key, and the first with every damage.
CASES = [(command, _no_digit_of_the_choice) for command in COMMANDS] + [(COMMANDS[0], damage) for damage in DAMAGES[1:]]


@pytest.mark.parametrize(("command", "damage"), CASES)
def test_an_evaluation_that_is_damaged(damaged, capfd, command, damage):
    damaged(damage)
    assert run([*command.split(), "--store", "s.db", "--quiet"]) == 1
    said = capfd.readouterr().err.split("\n\n")[-1]
    assert "s.db: the study 'one' is damaged: " in " ".join(said.split())
    assert "Traceback" not in said


def test_a_damaged_evaluation_as_a_config(damaged, capfd):
    damaged(_no_digit_of_the_choice)
    assert run(["profile", "ofa-mbv3-w1.2", "-p", TABLE, "-c", "one#1", "--store", "s.db"]) == 1
    assert "s.db: the study 'one' is damaged: key 'z" in " ".join(capfd.readouterr().err.split())
    assert run(["profile", "ofa-mbv3-w1.2", "-p", TABLE, "-c", "one#0", "--store", "s.db"]) == 0


@pytest.mark.parametrize("command", ["studies", "measurements"])
def test_a_listing_of_what_is_damaged(tmp_path, monkeypatch, capfd, command):
    monkeypatch.chdir(tmp_path)
    with Store.open("s.db") as store:
        store.create_study("one", {"search": {}})
        columns = {"supernet": "ncf", "key": "0", "platform": "p", "fingerprint": "f", "protocol": "quiet"}
        store.put_measurement({**columns, "status": "ok", "latency_s": 1.0, "measured_at": "2026-01-01"})
    with closing(sqlite3.connect("s.db")) as connection, connection:
        connection.execute("UPDATE measurement SET record = '{}'")
    assert run([command, "--store", "s.db"]) == 1
    what = "the study 'one'" if command == "studies" else "a measurement"
    assert f"s.db: {what} is damaged: KeyError" in " ".join(capfd.readouterr().err.split())


def test_a_study_of_another_super_network_is_not_damaged(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    with Store.open("s.db") as store:
        search(NCF, objectives=["macs"], algorithm="random", evals=2, store=store, study="one")
        search(NCF, objectives=["macs"], algorithm="random", evals=2, store=store, study="two", warm_start="one")
    for option in ("--warm-start one", "--study two --resume"):
        line = f"search ofa-mbv3-w1.2 -p {TABLE} --objective macs -a random --evals 4 {option} --store s.db"
        assert run(line.split()) == 2
        assert "ncf" in capfd.readouterr().err
