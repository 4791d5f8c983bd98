"""How many batches of a study are under way at a time."""

from __future__ import annotations

from collections.abc import Sequence

from hwnas.search.objectives import Objective, Startable
from hwnas.supernets.errors import UsageError
from hwnas.supernets.given import as_int


def startable(objectives: Sequence[Objective]) -> Startable | None:
    """Return the objective whose batches can be measured several at a time, where there is one."""
    return next((one for one in objectives if isinstance(one, Startable)), None)


def window_of(measured: Startable | None, wanted: int | None, begun: int | None) -> int:
    """Return how many batches to have under way.

    Args:
        measured: the objective that takes time.
        wanted: what the user says.
        begun: what the study was begun with, where it is resumed.

    Raises:
        UsageError: it is no whole number from 1, another than the study was begun with, or more than one where nothing
            is measured, so that nothing can be measured in parallel.
    """
    wanted = None if wanted is None else as_int("parallel", wanted, 1)
    if begun is not None and wanted not in {None, begun}:
        raise UsageError(f"parallel {wanted}: the study was begun with {begun} batches at a time, which it keeps")
    if wanted is not None and wanted > 1 and measured is None:
        raise UsageError(f"parallel {wanted}: nothing is measured in this search, so there is nothing to wait for")
    if wanted is not None or begun is not None or measured is None:
        return wanted or begun or 1
    # One more than there are devices, so that none of them waits while the algorithm thinks.
    return measured.devices + 1 if measured.devices > 1 else 1
