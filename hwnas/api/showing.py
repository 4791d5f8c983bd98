"""Show progress: bars in terminals, a line that changes in notebooks, and nothing where that is asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeAlias

# Whether progress is shown, or what it is given to.
ProgressLike: TypeAlias = "bool | Callable[[Any], None] | None"

Shown = Callable[[Any], None]


def bars(progress: ProgressLike, make: Callable[[bool], AbstractContextManager[Shown]]) -> AbstractContextManager[Any]:
    """Return a context manager that yields what progress is given to.

    Args:
        progress: ``True`` shows bars, ``False`` and ``None`` nothing; a function is given every event itself.
        make: makes bars, as the functions of ``hwnas.cli.progress`` do.
    """
    from hwnas.supernets.errors import UsageError

    if progress is None or progress is False:
        return nullcontext(None)
    if progress is True:
        return _in_notebook() if is_notebook() else make(False)
    if not callable(progress):
        raise UsageError(f"progress: expected True, False or a function, got a {type(progress).__name__}")
    return nullcontext(progress)


def is_notebook() -> bool:
    """Return whether this is a Jupyter kernel, whose output is cells and no terminal."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"


def is_interactive() -> bool:
    """Return whether somebody sits at a prompt: a notebook, IPython, or Python's own."""
    return hasattr(sys, "ps1") or bool(sys.flags.interactive)


@contextmanager
def _in_notebook() -> Iterator[Shown]:
    """Yield what shows each event in one line of the cell's output, in place of the one before."""
    from IPython.display import display

    handle: Any = display({"text/plain": ""}, raw=True, display_id=True)

    def show(event: Any) -> None:
        handle.update({"text/plain": in_words(event)}, raw=True)

    yield show


def in_words(event: Any) -> str:
    """Return one line about how far something is: a search, a transfer, or measuring."""
    phase, inner = getattr(event, "phase", ""), getattr(event, "event", None)
    if hasattr(event, "step"):  # of a transfer
        begun = f"[{event.step}/{event.steps}] {phase} on {event.platform}"
        return begun if inner is None else f"{begun}: {in_words(inner)}"
    if hasattr(event, "hypervolume"):  # of a search
        done = f"{event.study}: {event.done} of {event.total} evaluations, hypervolume {event.hypervolume:.4g}"
        if event.failing:
            done = f"{event.study}: {event.failing}"
        return done if event.measuring is None else f"{done}; {in_words(event.measuring)}"
    return str(getattr(event, "message", event))
