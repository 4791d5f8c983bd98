"""What lies beside a study's evaluations in the store: its latest snapshot, and what was found when it had ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwnas.harness.store import Store, StudyRecord

# The final front of a study that has ended; of no use once it has gone on.
FINAL = "final"
# Fixed models that were measured beside its front; they stay with it when it goes on.
MODELS = "models"
# When what it was searched for began to be compared; of no use once it has gone on.
COMPARED = "compared"


def outliving(snapshot: Any) -> dict[str, Any]:
    """Return the parts of a study's snapshot that stay when the study goes on."""
    return {name: snapshot[name] for name in (MODELS,) if isinstance(snapshot, Mapping) and name in snapshot}


def extend(store: Store, record: StudyRecord, **parts: Any) -> None:
    """Put parts into the latest snapshot of a study, beside what it has; they are JSON values."""
    latest = store.snapshot(record)
    store.put_snapshot(record, {**(latest if isinstance(latest, Mapping) else {}), **parts})
