"""A section of an experiment's page: figures and tables that its kind provides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hwnas.search.report.figures import Figure, PageTable


@dataclass(frozen=True)
class Section:
    """Some figures and a table under a heading.

    Attributes:
        title: the heading.
        lead: what is to be seen, in a sentence or two.
        figures: drawn below.
        table: shown whole, below the figures; ``None``: there is none.
        label: of the list from which one of many figures is chosen.
    """

    title: str
    lead: str
    figures: Sequence[Figure] = ()
    table: PageTable | None = None
    label: str = "Figure"
