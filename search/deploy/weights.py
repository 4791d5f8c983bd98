"""Which weights a sub-network is exported with: those with which its study measured quality, or others by name."""

from __future__ import annotations

from collections.abc import Mapping

from hwnas.search.study.result import Study
from hwnas.supernets.contents import SHOWN, Content, content_digest, of_records
from hwnas.supernets.errors import UsageError
from hwnas.supernets.files import is_file


def weights_of(study: Study, given: str | None) -> str | None:
    """Return the file of weights; ``None``: those that the super-network has by itself, or random ones.

    Args:
        study: the study.
        given: the file that the user names; ``None``: the study's own.

    Raises:
        UsageError: the study's own is not there any more, or has changed.
    """
    recorded = _recorded(study)
    if given is not None or recorded is None:
        return given
    if not is_file(recorded.name):
        happened = "which is not there (seen from this folder)"
    elif content_digest(recorded.name) != recorded.digest:
        happened = f"which has changed since (its SHA-256 began with {recorded.digest[:SHOWN]})"
    else:
        return recorded.name
    raise UsageError(
        f"study {study.name!r}: its quality was measured with the weights {recorded.name!r}, {happened}; "
        "name the file to export with: weights (--weights FILE)"
    )


def other_weights(study: Study, used: str | None) -> str:
    """Say that a quality was measured with other weights than are exported; "" where it was not."""
    recorded = _recorded(study)
    if recorded is None or used is None or content_digest(used) == recorded.digest:
        return ""
    return f"**Its quality was measured with other weights**: `{recorded.name}`, as it was then."


def _recorded(study: Study) -> Content | None:
    held = study.settings.get("contents", {})
    return of_records(held).get("weights") if isinstance(held, Mapping) else None
