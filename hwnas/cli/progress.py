"""Progress bars on standard error. They redraw between timings only, since the measurer reports only then."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.measure import Measurement
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from hwnas.cli.output import notes, plain

if TYPE_CHECKING:
    from hwnas.experiments.bench import Step
    from hwnas.harness.measure import Measurer
    from hwnas.harness.measure import MeasuringProgress as Measuring
    from hwnas.harness.platform import Platform
    from hwnas.harness.quality import QualityProgress
    from hwnas.harness.store import Store
    from hwnas.search.comparison.run import CompareProgress as Comparing
    from hwnas.search.study.run import SearchProgress as Searching
    from hwnas.search.transfer import TransferProgress as Transferring
    from hwnas.supernets.supernet import SuperNetwork
    from hwnas.supernets.training.loop import TrainingProgress as Training

_REDRAW_S = 0.2

# How wide a bar is, and how narrow names and notes may become.
_BAR, _LEAST_TEXT = 24, 12


@contextmanager
def measuring(
    net: SuperNetwork, platform: Platform, store: Store | None, quiet: bool, **options: object
) -> Iterator[Measurer]:
    """Open a measurer that shows what it is at."""
    from hwnas.harness.measure import Measurer

    with (
        telling(str(platform), quiet) as show,
        Measurer(net, platform, store=store, progress=show, **options) as measurer,  # type: ignore[arg-type]
    ):
        yield measurer


@contextmanager
def telling(what: str, quiet: bool) -> Iterator[Callable[[Measuring], None]]:
    """Show what a measurer is at, as one line called ``what``."""
    with _bars(quiet) as bars:
        line = bars.add_task(plain(what), total=None, note="")

        def show(event: Measuring) -> None:
            _warn(bars, event)
            bars.start()
            bars.update(line, total=event.total, completed=event.done, note=plain(event.message), refresh=True)

        yield show


@contextmanager
def searching(quiet: bool) -> Iterator[Callable[[Searching], None]]:
    """Show evaluations, hypervolume and the best under the constraints, one line per study."""
    with _bars(quiet) as bars:
        lines: dict[str, TaskID] = {}
        failing = _Failing(bars)

        def show(event: Searching) -> None:
            _warn(bars, event.measuring)
            bars.start()
            failing.tell(event)
            if event.study not in lines:
                lines[event.study] = bars.add_task(plain(event.study), total=event.total, note="")
            bars.update(lines[event.study], completed=event.done, note=plain(_note(event)), refresh=True)

        yield show


@contextmanager
def transferring(quiet: bool) -> Iterator[Callable[[Transferring], None]]:
    """Show each search, and the measuring of the fronts on each platform, as a line of its own."""
    with _bars(quiet) as bars:
        lines: dict[int, TaskID] = {}
        failing = _Failing(bars)

        def show(event: Transferring) -> None:
            bars.start()
            if event.step not in lines:
                what = f"[{event.step}/{event.steps}] {event.phase} on {event.platform}"
                lines[event.step] = bars.add_task(plain(what), total=None, note="")
            inner = event.event
            if inner is None:
                return
            _warn(bars, inner.measuring if event.phase == "search" else inner)
            if event.phase == "search":
                failing.tell(inner)
            note = _note(inner) if event.phase == "search" else inner.message
            bars.update(lines[event.step], completed=inner.done, total=inner.total, note=plain(note), refresh=True)

        yield show


@contextmanager
def comparing(quiet: bool) -> Iterator[Callable[[Comparing], None]]:
    """Show finished searches, and what the one under way is at."""
    with _bars(quiet) as bars:
        line, failing = bars.add_task("searches", total=None, note=""), _Failing(bars)

        def show(event: Comparing) -> None:
            _warn(bars, event.measuring or (event.searching and event.searching.measuring))
            bars.start()
            note = event.last
            if event.measuring is not None:
                note = f"all fronts together; {event.measuring.message}"
            if event.searching is not None:
                failing.tell(event.searching)
                note = f"{event.searching.done} of {event.searching.total}; {_note(event.searching)}"
            bars.update(line, completed=event.done, total=event.total, note=plain(note), refresh=True)

        yield show


@contextmanager
def reproducing(what: str, quiet: bool) -> Iterator[Callable[[Step], None]]:
    """Show the parts of an experiment that are done, and the one under way."""
    with _bars(quiet) as bars:
        line = bars.add_task(plain(what), total=None, note="")

        def show(step: Step) -> None:
            bars.start()
            bars.update(line, completed=step.done, total=step.total, note=plain(step.what), refresh=True)

        yield show


@contextmanager
def training(quiet: bool) -> Iterator[Callable[[Training], None]]:
    """Show steps and the loss; redrawn a few times a second, for a step may take a millisecond."""
    with _bars(quiet) as bars:
        line = bars.add_task("steps", total=None, note="")
        drawn = 0.0

        def show(event: Training) -> None:
            nonlocal drawn
            if event.elapsed_s - drawn < _REDRAW_S and event.step < event.steps:
                return
            drawn = event.elapsed_s
            bars.start()
            note = f"loss {event.loss:.4f}, learning rate {event.lr:.3g}"
            bars.update(line, completed=event.step, total=event.steps, note=note, refresh=True)

        yield show


class EvaluatingBar:
    """Shows which sub-network is evaluated, and what is done with it."""

    def __init__(self, bars: Progress, total: int) -> None:
        self._bars = bars
        self._line = bars.add_task("sub-networks", total=total, note="")

    def tell(self, event: QualityProgress) -> None:
        """Show what the evaluation under way is at."""
        self._bars.start()
        self._bars.update(self._line, note=plain(event.message), refresh=True)

    def rows(self, n: int) -> Iterator[int]:
        """Yield 0, 1, ... and count those that are done."""
        for row in range(n):
            yield row
            self._bars.update(self._line, completed=row + 1)


@contextmanager
def evaluating(total: int, quiet: bool) -> Iterator[EvaluatingBar]:
    """Show finished sub-networks, and the images tested of the one under way."""
    with _bars(quiet) as bars:
        yield EvaluatingBar(bars, total)


def _warn(bars: Progress, event: Measuring | QualityProgress | None) -> None:
    """Print a warning of a measurer as a line of its own, which stays."""
    # An evaluation of accuracy has no phases.
    if event is not None and getattr(event, "phase", "") == "busy" and not bars.disable:
        bars.console.print(f"[dim]{plain(event.message)}[/]", soft_wrap=True)


class _Failing:
    """Prints once of each study that all of its evaluations have failed so far: whoever sees it may stop and mend."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._told: set[str] = set()

    def tell(self, event: Searching) -> None:
        """Print the line where there is a new one."""
        if event.failing and event.study not in self._told and not self._bars.disable:
            self._told.add(event.study)
            self._bars.console.print(plain(event.failing), soft_wrap=True)


def _note(event: Searching) -> str:
    parts = [f"hypervolume {event.hypervolume:.4g}"]
    if event.best is not None:
        parts.append("best " + ", ".join(f"{name} {value:.4g}" for name, value in event.best.objectives.items()))
    if event.measuring is not None:
        parts.append(event.measuring.message)
    return "; ".join(parts)


class _Lines(Progress):
    """Lines whose counts are always whole: where one is too long, bar, time left, note and name give way in turn.

    rich's own narrow the counts first, down to "20/…".
    """

    def make_tasks_table(self, tasks: Iterable[Task]) -> Table:
        """Return the lines, as wide as the terminal at most."""
        table = super().make_tasks_table(tasks)
        if not table.row_count:  # rich asks before it has a console
            return table
        console = self.console
        widths = [
            max((Measurement.get(console, console.options, cell).maximum for cell in column.cells), default=0)
            for column in table.columns
        ]
        too_many = sum(widths) + len(widths) - 1 - console.width
        name, bar, left, note = 0, 1, -2, -1
        # Of the time that is left a part would be another time.
        for place, least in ((bar, 0), (left, 0), (note, _LEAST_TEXT), (name, _LEAST_TEXT)):
            spare = max(0, widths[place] - least)
            taken = 0 if too_many <= 0 else spare if place == left else min(too_many, spare)
            widths[place] -= taken
            too_many -= taken
        for column, width in zip(table.columns, widths, strict=True):
            column.width = width
        return table


@contextmanager
def _bars(quiet: bool) -> Iterator[Progress]:
    """Make bars that appear with the first event: before it, an error message should stand alone."""
    # Not refreshed by a thread of its own: a redraw in the middle of a timing would disturb what is timed.
    bars = _Lines(
        TextColumn("{task.description}"),
        BarColumn(bar_width=_BAR),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[note]}"),
        console=notes(),
        auto_refresh=False,
        disable=quiet,
        redirect_stdout=False,
    )
    try:
        yield bars
    finally:
        if bars.live.is_started:
            bars.stop()
