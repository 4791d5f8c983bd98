"""Searches that are parts of something larger, each a study that the same call goes on with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from hwnas.search.objectives import Sources
from hwnas.search.study.conclusion import is_whole
from hwnas.search.study.plan import Plan
from hwnas.search.study.request import Request
from hwnas.search.study.result import Study
from hwnas.search.study.run import SearchProgress, search
from hwnas.search.study.same import by_content
from hwnas.search.study.stored import load
from hwnas.supernets.supernet import SuperNetwork

if TYPE_CHECKING:
    from hwnas.harness.platform import Platform
    from hwnas.harness.store import Store, StudyRecord


def continued(
    net: SuperNetwork,
    platform: Platform | str | None,
    store: Store | None,
    part_of: str,
    *,
    progress: Callable[[Any], None] | None = None,
    **options: Any,
) -> Study:
    """Search, or do what an earlier call has left of the same search: nothing where it is whole.

    Args:
        net: the super-network.
        platform: see ``hwnas.search.study.run.search``.
        store: where the study is kept; ``None``: nowhere, and the search begins anew.
        part_of: what the search is a part of, in one word, for the study's name.
        progress: see ``hwnas.search.study.run.search``.
        options: of ``hwnas.search.study.run.search``.

    Raises:
        UsageError: see ``hwnas.search.study.run.search``.
    """
    if store is None:
        return search(net, platform, progress=progress, **options)
    name, there = part(store, _name(net, platform, store, part_of, options), options["evals"])
    if there is not None and there.evaluations >= options["evals"]:
        study = load(store, name, net)
        if is_whole(study, options.get("final_front")):
            if progress is not None:
                n = len(study.archive)
                progress(SearchProgress(name, n, n, study.hypervolume, None, 0.0))
            return study
    return search(net, platform, store=store, study=name, resume=there is not None, progress=progress, **options)


def part(store: Store, name: str, evals: int) -> tuple[str, StudyRecord | None]:
    """Return the name of a study that is a part of something larger, and the study where it is there.

    Where somebody has resumed it for more evaluations, another takes its place, with a number behind the name: parts
    are compared at as many.

    Args:
        store: where it is kept.
        name: of the first.
        evals: how many evaluations it is to have.
    """
    tried, number = name, 1
    while (there := store.study(tried)) is not None and there.evaluations > evals:
        number += 1
        tried = f"{name}-{number}"
    return tried, there


def _name(
    net: SuperNetwork, platform: Platform | str | None, store: Store, part_of: str, options: Mapping[str, Any]
) -> str:
    """Return the study's name, which all that decides its evaluations is in: the machine and the files as well."""
    algorithm = options["algorithm"]
    request = Request(
        algorithm,
        options["seed"],
        options.get("objectives"),
        options.get("constraints", ()),
        options.get("preset"),
        dict(options.get("settings") or {}),
        options.get("reference"),
    )
    quality, quality_options, protocol = (options.get(name) for name in ("quality", "quality_options", "protocol"))
    with Sources(net, platform, quality, store=store, quality_options=quality_options, protocol=protocol) as sources:
        settings = Plan(request, sources).settings()
    text = json.dumps([by_content(settings), options["evals"]], sort_keys=True, default=str)
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{net.name.partition(':')[0]}-{algorithm}-{part_of}-{digest}"
