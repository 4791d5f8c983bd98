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
# When it began to be compared, and with which other studies; of no use once it has gone on.
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

    What was measured since then was measured to compare them, as long as they are the same: what the search of another
    has measured meanwhile was not. Measurements are dated in whole seconds: it is the next
    one, so that none of a search is among them. ``None`` without a store, and without studies.
    """
    record = None if store is None or not studies else store.study(studies[-1].name)
    if store is None or record is None:
        return None
    snapshot, these = store.snapshot(record), sorted(one.name for one in studies)
    begun = snapshot.get(COMPARED) if isinstance(snapshot, Mapping) else None
    # Earlier versions kept the time alone.
    if isinstance(begun, Mapping) and begun.get("studies") == these and isinstance(begun.get("since"), str):
        return str(begun["since"])
    since = (datetime.now(tz=UTC) + timedelta(seconds=1)).isoformat(timespec="seconds")
    extend(store, record, **{COMPARED: {"since": since, "studies": these}})
    return since
