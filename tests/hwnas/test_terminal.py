"""What files, plug-ins and the command line say never steers the terminal, wherever it is printed."""

from __future__ import annotations

import contextlib
import io
import json
import sqlite3

import pytest
from rich.markup import escape
from rich.progress import Progress, TextColumn
from rich.table import Table

from hwnas import supernets
from hwnas.cli import output, run
from hwnas.harness.store import Store
from hwnas.search.study.run import search

# Colours, a title of the window, an 8-bit control sequence, text that runs backwards, half of a file's name.
HOSTILE = "a\x1b[31mb\x1b]0;title\x07c\x9b2J\u202ed\u2066e\udcff"
SHOWN = r"a\x1b[31mb\x1b]0;title\x07c\x9b2J\u202ed\u2066e\udcff"


def harmless(text):
    return all(char.isprintable() or char in "\n\t" for char in text)


class Terminal(io.StringIO):
    """A terminal with colours; in its ``with`` block it is standard output and error."""

    def __enter__(self):
        self.both = contextlib.ExitStack()
        self.both.enter_context(contextlib.redirect_stdout(self))
        self.both.enter_context(contextlib.redirect_stderr(self))
        return self

    def __exit__(self, *_):
        self.both.close()

    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """A terminal, wide."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "200")
    return Terminal()


def plain(text):
    """Take away the colours that are ours."""
    for code in ("1;31", "31", "33", "32", "1", "2", "0"):
        text = text.replace(f"\x1b[{code}m", "")
    return text


def test_messages(terminal):
    with terminal:
        output.complain(f"study {HOSTILE}: is\r\nnone")
        output.remark(HOSTILE)
    assert terminal.getvalue().count(SHOWN) == 2
    assert harmless(plain(terminal.getvalue()))
    assert terminal.getvalue().count("\n") == 2


@pytest.mark.parametrize(
    "hidden", ["[link=http://example.org]x[/link]", "[/]", "[/bold]", "[blink]x", "[@click=f()]x[/]"]
)
def test_cells_have_no_markup_but_ours(terminal, hidden):
    table = Table()
    for name in ("a", "b", "c"):
        table.add_column(name)
    table.add_row(f"{hidden}{HOSTILE}", escape(hidden), "[green]yes[/]")
    with terminal:
        output.results().print(table)
        output.results().print(f"[x] {hidden}{HOSTILE}", markup=False)
    shown = plain(terminal.getvalue())
    assert harmless(shown)
    assert shown.count(hidden) == 3
    assert f"[x] {hidden}{SHOWN}" in shown
    assert "[green]" not in shown


def test_what_is_laid_out_is_what_is_shown(terminal):
    table = Table()
    table.add_column("a")
    table.add_row(HOSTILE)
    table.add_row("x")
    with terminal:
        output.results().print(table)
    assert len({len(line) for line in plain(terminal.getvalue()).splitlines()}) == 1


def test_progress(terminal):
    with terminal, Progress(TextColumn("{task.description}"), console=output.notes(), auto_refresh=False) as bars:
        bars.add_task(output.plain(HOSTILE))
        bars.refresh()
    assert SHOWN in terminal.getvalue()
    assert "\x1b]0" not in terminal.getvalue()
    assert "\u202e" not in terminal.getvalue()


@pytest.mark.parametrize(
    "arguments",
    [[HOSTILE], [f"--{HOSTILE}"], ["search", HOSTILE, "-p", "torch"], ["profile", "ncf", "-c", HOSTILE, "-p", HOSTILE]],
)
def test_the_command_line_itself(capsys, arguments):
    assert run(arguments) == 2
    said = capsys.readouterr().err
    assert harmless(said)
    assert r"\x1b[31m" in said


def test_names_in_a_store(tmp_path, terminal):
    net = supernets.get("ncf")
    name = HOSTILE[:-1]  # a store keeps text
    with Store.open(str(tmp_path / "s.db")) as store:
        search(net, objectives=["macs", "params"], algorithm="random", evals=2, store=store, study="plain")
    # No study is called so any more, but stores of earlier versions have some.
    with contextlib.closing(sqlite3.connect(tmp_path / "s.db")) as database, database:
        database.execute("update study set name = ?", (name,))
    there = ["--store", str(tmp_path / "s.db")]
    with terminal:
        for command in (["studies"], ["studies", "--json", "-"], ["export", name, "--csv", "-"]):
            assert run([*command, *there]) == 0
    assert harmless(plain(terminal.getvalue()))
    assert SHOWN[:-6] in terminal.getvalue()


def test_a_file_is_given_what_was_said(tmp_path):
    output.write_json(str(tmp_path / "a.json"), [HOSTILE])
    assert json.loads((tmp_path / "a.json").read_text()) == [HOSTILE]
