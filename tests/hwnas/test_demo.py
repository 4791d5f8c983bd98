"""What the demo says of itself; ``tox run -e demo`` runs it whole."""

from __future__ import annotations

import pytest

from hwnas.cli import run
from hwnas.harness.store import Store
from hwnas.search import transfer as transferring
from hwnas.supernets.errors import MeasurementError


@pytest.fixture
def begun(monkeypatch, tmp_path):
    """Runs the demo up to its first search, and returns what it said."""

    def transfer(*_, store, effort, **__):
        store.create_study(None, {"what": "a search", "effort": effort})
        raise MeasurementError("far enough")

    monkeypatch.setattr(transferring, "transfer", transfer)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def demo(capsys, *more):
        assert run(["demo", *more]) == 1
        return " ".join(capsys.readouterr().err.split())

    return demo


def test_a_demo_that_takes_from_an_earlier_one_says_so_and_how_to_begin_anew(begun, capsys):
    assert "earlier demo" not in begun(capsys)
    again = begun(capsys)
    assert "hwnas-demo/hwnas.db holds an earlier demo" in again
    assert "to begin anew, name another folder by --out, or remove hwnas-demo" in again
    assert "earlier demo" not in begun(capsys, "--out", "another")
    assert "earlier demo" not in begun(capsys, "--quiet")


@pytest.mark.parametrize(("more", "effort"), [((), "quick"), (("--effort", "thorough"), "thorough")])
def test_it_measures_as_precisely_as_its_verdict_asks_for(begun, capsys, tmp_path, more, effort):
    begun(capsys, *more)
    with Store.open(str(tmp_path / "hwnas-demo" / "hwnas.db")) as store:
        assert [one.settings["effort"] for one in store.studies()] == [effort]
