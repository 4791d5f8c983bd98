"""The checks of ``hwnas check-plugin`` as parameters of a test."""

from __future__ import annotations

import pytest

from hwnas.conformance import NotApplicableError


def every_check(suite, names):
    """Return a parameter for each name and each check, with the mark that says what it costs."""
    return [
        pytest.param(name, check, id=f"{name}-{check.name}", marks=marks(check))
        for name in names
        for check in suite.checks
    ]


def marks(check):
    return [getattr(pytest.mark, check.cost.value)] if check.cost else []


def hold(check, subject):
    """Run a check; what has nothing to look at is skipped."""
    try:
        check.function(subject)
    except NotApplicableError as nothing:
        pytest.skip(str(nothing))
