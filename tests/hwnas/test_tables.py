"""Tables fit the terminal: names, platforms, values and statuses are whole at 60 columns, the rest gives way."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import struct
import subprocess
import sys
import termios

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lookup_tables import written
from rich.cells import cell_len
from rich.console import Console

from hwnas import supernets
from hwnas.cli.tables import UNBOUNDED, Column, ColumnKind, TextTable

NET = supernets.get("ofa-mbv3-w1.0")
FOLDER = "a/very/long/path/to/the/folder/of/all/tables/that/were/ever/measured"
PLATFORM = f"lut:file={FOLDER}/table.yaml"


def lines(table, width=UNBOUNDED):
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(table)
    return console.file.getvalue().splitlines()


def sample(*platforms):
    columns = (
        Column("sub-network"),
        Column("platform", ColumnKind.NAME),
        Column("latency ms", right=True),
        Column("empty", rank=1),
        Column("interval", rank=2, right=True),
        Column("what it is", ColumnKind.TEXT, rank=3),
        Column("status"),
    )
    table = TextTable(columns)
    for platform in platforms:
        table.add("0123456789abcdef", platform, ("12.345 (p15)", "12.345"), "", "1 to 2", "words " * 12, "unstable")
    return table


@pytest.mark.parametrize("width", [52, 60, 70, 80, 100, 120])
def test_what_tells_rows_apart_is_whole_and_nothing_is_wider_than_the_terminal(width):
    shown = lines(sample("torch:threads=1", "torch:threads=2"), width)
    assert max(map(cell_len, shown)) <= width
    for number in (1, 2):
        row = next(line for line in shown if f"torch:threads={number}" in line)
        assert row.startswith("0123456789abcdef ")
        assert "12.345" in row
        assert "unstable" in row


def test_columns_are_left_out_in_their_order_and_named():
    table = sample("torch:threads=1")
    assert not any("not shown" in line for line in lines(table, 111))
    for width, hidden in (
        (110, "empty"),
        (104, "empty"),
        (103, "empty, what it is"),
        (62, "empty, what it is"),
        (61, "empty, interval, what it is"),
    ):
        said = " ".join("\n".join(lines(table, width)).split())
        assert said.endswith(f"not shown at {width} columns: {hidden}; COLUMNS=200 before the command shows them")


def test_values_are_brief_before_columns_are_left_out():
    table = TextTable((Column("name"), Column("value"), Column("more", rank=1)))
    table.add("n" * 10, ("1.0 (0.9 to 1.1)", "1.0"), "m" * 10)
    assert "(0.9 to 1.1)" in lines(table, 40)[1]
    assert lines(table, 39)[1].split() == ["n" * 10, "1.0", "m" * 10]
    assert lines(table, 25)[1].split() == ["n" * 10, "1.0"] or "m" in lines(table, 25)[1]


def test_paths_are_cut_in_the_middle_while_rows_still_differ():
    shown = lines(sample(f"lut:file={FOLDER}/one.yaml", f"lut:file={FOLDER}/two.yaml"), 80)
    for name in ("one", "two"):
        row = next(line for line in shown if f"{name}.yaml" in line)
        assert "lut:file=a/very" in row
        assert "\N{HORIZONTAL ELLIPSIS}" in row
        assert "unstable" in row
    alike = [f"lut:file={FOLDER}/{place}/and/more/folders/that/are/equal/table.yaml" for place in ("x", "y")]
    shown = lines(sample(*alike), 80)
    assert not any("\N{HORIZONTAL ELLIPSIS}" in line for line in shown)
    folded = "".join(line[18:].split("  ")[0].strip() for line in shown)
    assert alike[0] in folded
    assert alike[1] in folded


def test_a_terminal_narrower_than_what_is_whole_gets_a_line_per_cell():
    shown = lines(sample("torch:threads=1"), 30)
    assert [line.strip() for line in shown[:3]] == [
        "sub-network: 0123456789abcdef",
        "platform: torch:threads=1",
        "latency ms: 12.345 (p15)",
    ]
    assert "status: unstable" in " ".join(shown)


def test_in_a_pipe_a_table_has_all_its_columns():
    shown = lines(sample(f"lut:file={FOLDER}/one.yaml"))
    assert f"lut:file={FOLDER}/one.yaml  12.345 (p15)" in shown[1]
    assert "interval" in shown[0]


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="[]\\\n\r\t", exclude_categories=["C", "Z", "M"]))


@pytest.mark.slow
@given(
    st.lists(
        st.tuples(
            st.sampled_from(ColumnKind), st.integers(0, 3), st.booleans(), st.lists(CELLS, min_size=2, max_size=2)
        ),
        min_size=1,
        max_size=6,
    ),
    st.integers(20, 130),
)
def test_any_table_fits_any_terminal(columns, width):
    table = TextTable([Column(f"c{n}", kind, rank, right) for n, (kind, rank, right, _) in enumerate(columns)])
    for row in range(2):
        table.add(*(cells[row] for *_, cells in columns))
    shown = lines(table, width)
    assert all(cell_len(line) <= width for line in shown)
    everything = "".join("".join(shown).split())
    for kind, rank, _, cells in columns:
        if kind is ColumnKind.WHOLE and rank == 0:
            assert all("".join(cell.split()) in everything for cell in cells)


# --- commands in a terminal ------------------------------------------------------------------------------------------


ONE_AFTER_THE_OTHER = """
import sys
from hwnas.cli import run
for command in sys.argv[1:]:
    assert run(command.split()) == 0
    print("\\f", flush=True)
"""


def in_terminal(commands, width):
    """Run commands in a terminal of a width; yield what each shows, line by line."""
    mine, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    given = {name: value for name, value in os.environ.items() if name != "COLUMNS"} | {"TERM": "dumb"}
    command = [sys.executable, "-c", ONE_AFTER_THE_OTHER, *commands]
    process = subprocess.Popen(command, stdin=its, stdout=its, stderr=subprocess.DEVNULL, env=given)
    os.close(its)
    shown = b""
    try:
        while part := os.read(mine, 4096):
            shown += part
    except OSError:  # the terminal's other end is closed
        pass
    os.close(mine)
    assert process.wait(60) == 0
    return [one.split("\r\n") for one in shown.decode().split("\f\r\n")][:-1]


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """A table under a long path, and a study of it in the store of the working directory."""
    from hwnas.cli import run

    monkeypatch.chdir(tmp_path)
    (tmp_path / FOLDER).mkdir(parents=True)
    written(f"{FOLDER}/table.yaml", NET, lambda block: 1e-6 + block.macs * 1e-11, "torch:threads=1")
    assert run(["search", NET.name, "-p", PLATFORM, "-a", "random", "--evals", "5", "--study", "mine", "-q"]) == 0


@pytest.mark.slow
@pytest.mark.parametrize("width", [60, 80, 120])
def test_commands_at_the_widths_of_terminals(stored, width):
    lists = ("weights list", "supernets", "backends", "algorithms", "reproduce list")
    shown, studies, *others = in_terminal([f"profile {NET.name} -c min -p {PLATFORM} -q", "studies", *lists], width)
    row = next(line for line in shown if "lut:file=" in line)
    assert row.startswith("00000000\N{HORIZONTAL ELLIPSIS}0000000  lut:file=a/")
    assert "table.yaml" in row or width == 60
    assert ".229" in row
    assert row.rstrip().endswith("ok")
    assert next(line for line in studies if line.startswith("mine ")).count("yaml") == 1
    assert len(others) == len(lists)
    for shown in others:
        assert max(map(cell_len, shown)) <= width
        names = ("ofa-mbv3-w1.0 ", "openvino ", "linas ", "fig3 ")
        assert any(line.startswith(names) for line in shown)


@pytest.mark.slow
def test_the_width_may_be_said(stored, monkeypatch, capsys):
    from hwnas.cli import run

    monkeypatch.setenv("COLUMNS", "60")
    assert run(["studies"]) == 0
    assert max(map(cell_len, capsys.readouterr().out.splitlines())) <= 60
    monkeypatch.delenv("COLUMNS")
    assert run(["studies"]) == 0
    assert PLATFORM in capsys.readouterr().out
