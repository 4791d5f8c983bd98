"""Layouts of other packages: one that is broken is named, and keeps no table of another layout from being read."""

from __future__ import annotations

import pytest

from hwnas.latency_luts import formats
from hwnas.supernets.errors import PlugInError, TableError

ACME = r"the plug-in 'acme' \(table format, acme-hwnas 1.2\)"
OURS = "Conv-input:224x224x3-output:112x112x24: {mean: 2.0}"
MATCHES = "def matches(document):\n    return 'acme' in document\n"
READS = """
from hwnas.latency_luts import Entry, LatencyTable

def read(document, file):
    return LatencyTable(file, {"block": Entry(document["acme"])})
"""


@pytest.fixture
def table(site, tmp_path):
    """Return a function that installs a layout and reads a table beside it."""

    def read(source, text, name="acme"):
        site.add("hwnas.table_formats", name, source)
        file = tmp_path / "table.yaml"
        file.write_text(text)
        return formats.read(file)

    return read


def test_a_layout_of_another_package_is_read(table, tmp_path):
    found = table(MATCHES + READS, "acme: 0.25")
    assert (found.name, found.entries["block"].mean_s) == (str(tmp_path / "table.yaml"), 0.25)
    assert "acme" in formats.names()


@pytest.mark.parametrize("name", ["acme", "zacme"])  # before ours and after
def test_one_that_fails_to_look_at_a_table_leaves_it_to_the_others(table, name):
    broken = "def matches(document):\n    raise KeyError('x')\n" + READS
    (found,) = table(broken, OURS, name).entries.values()
    assert found.mean_s == 2e-3


def test_where_no_layout_knows_a_table_those_that_failed_are_named(table):
    broken = "def matches(document):\n    raise KeyError('x')\n" + READS
    layouts = "known layouts: acme, hwnas, nsganet, ofa, proxylessnas"
    with pytest.raises(TableError, match=rf"{layouts}; {ACME} failed: KeyError: 'x' \(acme_acme.py, line 2\)$"):
        table(broken, "what: 1")


def test_all_that_failed_are_named(table, site):
    site.add("hwnas.table_formats", "bcme", "def matches(document):\n    raise ValueError('y')\n" + READS)
    with pytest.raises(
        TableError, match=r"KeyError: 'x' \([^)]*\); the plug-in 'bcme' \([^)]*\) failed: ValueError: y"
    ):
        table("def matches(document):\n    raise KeyError('x')\n" + READS, "what: 1")


def test_one_that_fails_to_read_its_own_table_is_named(table):
    with pytest.raises(PlugInError, match=rf"^{ACME} failed: ZeroDivisionError: .* \(acme_acme.py, line \d+\)$"):
        table(MATCHES + "def read(document, file):\n    1 / 0\n", "acme: 1")


def test_what_a_layout_reads_is_a_table(table):
    with pytest.raises(PlugInError, match=rf"^{ACME} failed: TypeError: read gave no LatencyTable but a dict$"):
        table(MATCHES + "def read(document, file):\n    return document\n", "acme: 1")


def test_its_own_words_on_a_table_stand(table):
    """An error that hwnas has a name for is the layout's to give."""
    refuses = "from hwnas.supernets.errors import TableError\ndef read(document, file):\n    raise TableError('no')\n"
    with pytest.raises(TableError, match=r"^no$"):
        table(MATCHES + refuses, "acme: 1")
