"""What every objective, predictor, layout of tables and looked-up platform must hold, whichever are registered."""

from __future__ import annotations

import pytest
from conforming import every_check, hold

from hwnas.conformance import Request, objectives, predictors, table_layouts, tables

MADE = (objectives, predictors, table_layouts)
PARAMETERS = [
    pytest.param(one.SUITE, *each.values, id=f"{one.SUITE.kind}-{each.id}", marks=each.marks)
    for one in MADE
    for each in every_check(one.SUITE, one.SUITE.registry.names())
]


@pytest.mark.parametrize(("suite", "name", "check"), PARAMETERS)
def test_every_one(suite, name, check, assets):
    hold(check, suite.subject(Request(name)))


@pytest.mark.parametrize("check", [pytest.param(check, id=check.name) for check in tables.SUITE.checks])
def test_a_published_table(check, assets):
    hold(check, tables.SUITE.subject(Request("lut", "table=note10", "ofa-mbv3-w1.2")))
