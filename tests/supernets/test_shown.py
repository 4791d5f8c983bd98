from __future__ import annotations

import pytest

from hwnas.supernets.errors import suggestion
from hwnas.supernets.shown import counted


@pytest.mark.parametrize(("n", "said"), [(0, "0 seeds"), (1, "1 seed"), (2, "2 seeds")])
def test_one_is_no_plural(n, said):
    assert counted(n, "seed") == said


@pytest.mark.parametrize(
    ("name", "said"),
    [("rigde", "; did you mean 'ridge'? (known: gp, ridge)"), ("xyzzy", " (known: gp, ridge)")],
)
def test_known_names_are_listed_whether_one_is_meant_or_not(name, said):
    assert suggestion(name, ["ridge", "gp"]) == said
