"""What tests of transfers share."""

from __future__ import annotations

import pytest


@pytest.fixture
def few_resamples(monkeypatch):
    """The intervals of a transfer, which take most of its time, are rough: for tests of what is not them."""
    from hwnas.search.transfer import result

    monkeypatch.setattr(result, "_RESAMPLES", 20)
