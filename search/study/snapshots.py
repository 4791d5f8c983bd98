"""What lies beside a study's evaluations in the store: its latest snapshot, and what was found when it had ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwnas.harness.store import Store, StudyRecord
    from hwnas.search.study.result import Study

# The final front of a study that has ended; of no use once it has gone on.
FINAL = "final"
# Fixed models that were measured beside its front; they stay with it when it goes on.
MODELS = "models"
# When what it was searched for began to be compared; of no use once it has gone on.
COMPARED = "compared"


def lasting(snapshot: Any, more: int) -> dict[str, Any]:
    """Return the parts of a study's snapshot that stay when another takes its place.

    Args:
        snapshot: the one that was there when the study was resumed.
        more: by how many evaluations the new one has more than the study had then; below 0: it is still replayed.
    """
    # A final front knows of how many evaluations it is; when a comparison began has to go before there is one more.
    stays = [MODELS, *([FINAL] if more <= 0 else []), *([COMPARED] if more < 0 else [])]
    return {name: snapshot[name] for name in stays if isinstance(snapshot, Mapping) and name in snapshot}


def extend(store: Store, record: StudyRecord, **parts: Any) -> None:
    """Put parts into the latest snapshot of a study, beside what it has; they are JSON values."""
    latest = store.snapshot(record)
    store.put_snapshot(record, {**(latest if isinstance(latest, Mapping) else {}), **parts})


def compared_since(store: Store | None, studies: Sequence[Study]) -> str | None:
    """Return when studies began to be compared, ISO 8601, UTC; it is kept with the last one, and is now where none is.

    What was measured since then was measured to compare them. Measurements are dated in whole seconds: it is the next
    one, so that none of a search is among them. ``None`` without a store, and without studies.
    """
    record = None if store is None or not studies else store.study(studies[-1].name)
    if store is None or record is None:
        return None
    snapshot = store.snapshot(record)
    if isinstance(snapshot, Mapping) and isinstance(snapshot.get(COMPARED), str):
        return str(snapshot[COMPARED])
    since = (datetime.now(tz=UTC) + timedelta(seconds=1)).isoformat(timespec="seconds")
    extend(store, record, **{COMPARED: since})
    return since
