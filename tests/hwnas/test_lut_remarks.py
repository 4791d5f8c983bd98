"""What ``lut build`` and ``lut check`` say of measurements that did not converge, in one line each."""

from __future__ import annotations

import pytest

from hwnas.cli.lut import _remark_on_noise

BUSY = (
    "1 of 2 blocks was measured while other programs (stress) kept up to 90 % of the CPUs busy: it is marked as busy, "
    "and not used again"
)
LOAD = {"busy": 0.9, "programs": [{"name": "stress", "cpus": 1.8}]}


@pytest.mark.parametrize(
    ("reasons", "loads", "lines"),
    [
        ([], [None] * 3, []),
        (
            ["its interval is ±1 %; --cap 4", "its interval is ±2 %; --cap 4", "it wandered"],
            [None] * 96,
            ["3 of 96 blocks are unstable: its interval is ±1 %; --cap 4 (2 of them); see the header"],
        ),
        (
            ["it wandered"],
            [LOAD, None],
            [
                "1 of 2 blocks is unstable: it wandered; see the header",
                BUSY,
            ],
        ),
    ],
)
def test_what_did_not_converge_is_counted_in_one_line(reasons, loads, lines, capsys):
    _remark_on_noise(reasons, loads, "blocks", "see the header")
    assert capsys.readouterr().err.splitlines() == lines
