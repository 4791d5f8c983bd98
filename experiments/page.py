"""The page of an experiment: substitutes for the paper's data, which claims held, and the figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from hwnas.search.report.page import render
from hwnas.search.words import facts

if TYPE_CHECKING:
    from hwnas.experiments.published import PublishedFigures
    from hwnas.experiments.section import Section


def experiment_page(
    result: Mapping[str, Any],
    sections: Sequence[Section],
    published: PublishedFigures | None,
    words: str,
    networks: Mapping[int, Mapping[str, Any]],
    files: Sequence[str] = (),
) -> str:
    """Return the page.

    Args:
        result: see ``hwnas.experiments.run.Finished``.
        sections: what its kind draws.
        published: the paper's numbers, drawn along with ours.
        words: how many claims held and did not.
        networks: what the hover shows of the networks that the figures draw.
        files: the names of its CSV and JSON, which lie beside the page.
    """
    return render(
        "experiment.html",
        [figure for section in sections for figure in section.figures],
        networks,
        title=f"{result['experiment']}: {result['title']}",
        result=result,
        sections=sections,
        published=published,
        words=words,
        files=[(name, quote(name)) for name in files],
        minutes=result["seconds"] / 60,
        environment=facts(result["environment"]),
    )
