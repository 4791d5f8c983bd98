"""Progress bars on standard error. They redraw between timings only: the measurer speaks up when it is not timing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from hwnas.cli.output import notes

if TYPE_CHECKING:
    from harness.measure import Measurer
    from harness.measure import Progress as Measuring
    from harness.platform import Platform
    from harness.store import Store
    from search.study import Progress as Searching
    from supernets.supernet import SuperNetwork


@contextmanager
def measuring(
    net: SuperNetwork, platform: Platform, store: Store, quiet: bool, **options: object
) -> Iterator[Measurer]:
    """Open a measurer that shows what it is at."""
    from harness.measure import Measurer

    with _bars(quiet) as bars:
        line = bars.add_task(str(platform), total=None, note="")

        def show(event: Measuring) -> None:
            bars.update(line, total=event.total, completed=event.done, note=event.message, refresh=True)

        with Measurer(net, platform, store=store, progress=show, **options) as measurer:  # type: ignore[arg-type]
            yield measurer
        bars.remove_task(line)


@contextmanager
def searching(quiet: bool) -> Iterator[Callable[[Searching], None]]:
    """Show evaluations, hypervolume and the best under the constraints, one line per study."""
    with _bars(quiet) as bars:
        lines: dict[str, int] = {}

        def show(event: Searching) -> None:
            if event.study not in lines:
                lines[event.study] = bars.add_task(event.study, total=event.total, note="")
            line = bars.tasks[lines[event.study]].id
            bars.update(line, completed=event.done, total=event.total, note=_note(event), refresh=True)

        yield show


def _note(event: Searching) -> str:
    parts = [f"hypervolume {event.hypervolume:.4g}"]
    if event.best is not None:
        parts.append("best " + ", ".join(f"{name} {value:.4g}" for name, value in event.best.objectives.items()))
    if event.measuring is not None:
        parts.append(event.measuring.message)
    return "; ".join(parts)


def _bars(quiet: bool) -> Progress:
    # Not refreshed by a thread of its own: a redraw in the middle of a timing would disturb what is timed.
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[note]}"),
        console=notes(),
        auto_refresh=False,
        disable=quiet,
        redirect_stdout=False,
    )
