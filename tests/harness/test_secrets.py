"""The password in a store's URL is in no message, however it is spelled there."""

from __future__ import annotations

import contextlib
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwnas.cli import run
from hwnas.harness.store import Store
from hwnas.harness.store.kinds import kind_of
from hwnas.harness.store.secrets import _OPEN, without
from hwnas.supernets.errors import StoreError, UsageError
from hwnas.supernets.quoting import discreet

SECRET = "hunter2"
# A port that nobody listens on.
HOST = "127.0.0.1:1"
SPELLED = (
    f"postgresql://me:{SECRET}@{HOST}/db",
    f"postgresql+psycopg://me:{SECRET}@{HOST}/db?sslmode=prefer",
    f"postgresql://me:a@{SECRET}@{HOST}/db",
    f"postgresql://me:{SECRET}@b@{HOST}/db",
    f"postgresql://me:a@/{SECRET}@{HOST}/db",
    f"postgresql://me:a@b?{SECRET}@{HOST}/db",
    f"postgresql://me:a@b?x={SECRET}@{HOST}/db",
    f"postgresql://me:a/{SECRET}#b@{HOST}/db",
    f"postgresql://me:#{SECRET}@{HOST}/db",
    f"postgresql://me:%23{SECRET}%40@{HOST}/db",
    f"postgresql://m/e:{SECRET}@{HOST}/db",
    f"postgresql://me%3A{SECRET}@{HOST}/db",
    f"postgresql://me:{SECRET}",
    f"postgresql://me:{SECRET}/db",
    f"postgresql://{HOST}/db?password={SECRET}",
    f"postgresql://{HOST}/db?user=me&passwd={SECRET}",
    f"postgresql://{HOST}/db?PASSWORD={SECRET}",
    f"postgresql://{HOST}/db?pass%77ord={SECRET}",
    f"postgresql://{HOST}/db?pasword={SECRET}&password={SECRET}&password=b",
    f"postgresql://{HOST}/db?sslpassword={SECRET}&sslkey=/none",
    f"postgresql://{HOST}/db?dbname=host=x password={SECRET}",
    f"postgresql://{HOST}/dbname=x password={SECRET}",
    f"postgresql:///db?host=/nowhere&password={SECRET}",
    f"postgresql+nosuch://me:{SECRET}@{HOST}/db",
    f"postgres://me:{SECRET}@{HOST}/db",
    f"mysql://me:{SECRET}@{HOST}/db",
    f"postgresql:me:{SECRET}@{HOST}/db",
    f"postgresql:/me:{SECRET}@{HOST}/db",
    f"me:{SECRET}@{HOST}/db",
    f"host=127.0.0.1 port=1 user=me password={SECRET}",
    f"password={SECRET} host=x",
    f"host=x passwd='{SECRET} b'",
    f"://me:{SECRET}@{HOST}",
    f"post gres://me:{SECRET}@{HOST}/db",
)


@pytest.fixture(autouse=True)
def impatient(monkeypatch, tmp_path):
    """Nobody waits for a server here."""
    monkeypatch.setattr("hwnas.harness.store.database._WAITS", (0.0,))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("location", SPELLED)
def test_no_message_has_it(location):
    with pytest.raises(StoreError) as caught:
        Store.open(location)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.slow
@pytest.mark.parametrize("location", SPELLED)
def test_no_command_prints_it(location, capsys):
    assert run(["studies", "--store", location]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("error: the store")
    assert SECRET not in said.err + said.out


@pytest.mark.parametrize(
    "location", [f"postgresql://me:{SECRET}@b/x@h/db", f"postgresql://h/d?user=me&password={SECRET}"]
)
@pytest.mark.parametrize(
    "command",
    ["studies", "report --html x", "search", "profile ncf -c min -p", "profile ncf -p torch -c", "studies --json"],
)
def test_nor_where_it_was_put_by_mistake(location, command, capsys):
    assert run([*command.split(), location]) == 2
    said = capsys.readouterr()
    assert SECRET not in said.err + said.out


def test_what_is_no_secret_is_shown():
    url, kind = kind_of("postgresql://me:x@db.lab:5433/nas?sslmode=verify-full&host=/run/pg")
    assert kind.name(url) == "postgresql+psycopg://me:***@db.lab:5433/nas?host=%2Frun%2Fpg&sslmode=verify-full"


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("postgresql://me@db.lab/nas", "me@db.lab/nas"),
        ("postgresql://db.lab/nas?password=x", "db.lab/nas?password=***"),
        # What follows the first colon of a name that has its password within.
        ("postgresql://me%3Aa%3Ab@db.lab/nas", "me%3A***@db.lab/nas"),
        ("postgresql://db.lab/dbname=x password=y", "db.lab/***"),
        ("postgresql://db.lab", "db.lab"),
    ],
)
def test_what_may_be_a_secret_is_hidden_and_nothing_else(given, name):
    url, kind = kind_of(given)
    assert kind.name(url) == f"postgresql+psycopg://{name}"


@pytest.mark.parametrize(
    "location",
    [
        "postgresql://me:p@ss@db.lab/nas",
        "postgresql://me:p@ss@db.lab/nas?application_name=a://b",
        "postgresql://me:a@b?c=d@db.lab/nas",
    ],
)
def test_an_at_sign_too_many_is_explained(location):
    with pytest.raises(StoreError, match=r"has an @ too many: .* write @ as %40"):
        kind_of(location)


def test_settings_that_are_no_secrets_may_have_an_at_sign():
    url, _ = kind_of("postgresql://db.lab/nas?" + "&".join(f"{name}=a@b" for name in sorted(_OPEN)))
    assert set(url.query) == _OPEN
    url, _ = kind_of("postgresql://me:p%40ss@db.lab/nas?host=@socket")
    assert (url.password, url.host) == ("p@ss", "db.lab")


def test_paths_are_paths(tmp_path):
    for name in ("host.db", "a=b.db", "x@y.db", "./me:x@y.db", "time 12:30.db"):
        with contextlib.closing(Store.open(str(tmp_path / name))) as store:
            assert store.name == str(tmp_path / name)
    with contextlib.closing(Store.open("./me:x@y.db")):
        pass


@pytest.mark.parametrize(
    "spelled", ["p/a ss", "p/a%20ss", "p%2Fa%20ss", "p%2Fa+ss", "'p/a ss'", r"tab\tbed", "tab%09bed", "p/a"]
)
def test_every_spelling_of_a_secret_is_hidden_whole(spelled):
    import sqlalchemy as sa

    settings = {"sslpassword": ("tab\tbed", "p/a")}
    url = sa.URL.create("postgresql+psycopg", "me", "p/a ss", "h", None, "d", settings)
    quoted = "'" if spelled.startswith("'") else ""
    assert without(f"cannot log in with {spelled} as me", url) == f"cannot log in with {quoted}***{quoted} as me"
    assert without("no host None, nor p or ss", url) == "no host None, nor p or ss"


def test_a_secret_that_has_another_one_within_is_hidden_whole():
    import sqlalchemy as sa

    url = sa.URL.create("postgresql+psycopg", "me", "a z b", "h", None, "d", {"sslpassword": "z"})
    assert without("cannot log in with a z b, nor with z", url) == "cannot log in with ***, nor with ***"


@given(st.text(min_size=6, max_size=30))
def test_what_a_driver_repeats(password):
    import sqlalchemy as sa

    url = sa.URL.create("postgresql+psycopg", "me", password, "h", None, "d", {"sslpassword": "another-one"})
    for secret in (password, "another-one"):
        said = without(f"cannot log in with <{secret}> or {secret!r}: refused", url)
        assert secret not in said or secret in "cannot log in with or refused ***"


@pytest.mark.parametrize(
    "said",
    [
        f"extra argument (postgresql://me:{SECRET}@x/db)",
        f"PGPASSWORD={SECRET}",
        f"connection failed: host=x password='{SECRET} b' user=y",
        f'Passwd = "{SECRET}"',
        f"?a=b&pwd={SECRET}&c=d",
    ],
)
def test_errors_of_any_kind_leave_passwords_out(said):
    assert SECRET not in str(UsageError(said))
    assert discreet(discreet(said)) == discreet(said)
