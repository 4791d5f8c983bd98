"""``hwnas check-plugin``: does an installed plug-in hold what its kind has to hold?"""

from __future__ import annotations

import faulthandler
import textwrap
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwnas.cli import complete
from hwnas.cli.options import JsonFile
from hwnas.cli.output import STANDARD_OUTPUT, results, write_json

if TYPE_CHECKING:
    from hwnas.conformance import Outcome, Suite

# Before a check's title: its status, and how long it took.
_STATUS = 9
_INDENT = " " * (_STATUS + 10)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="check-plugin")(check_plugin)


def check_plugin(
    plug_in: Annotated[
        str,
        typer.Argument(
            metavar="NAME[:ARGUMENT]",
            help="As it is registered; after a colon what its kind takes there, such as options or a file.",
            show_default=False,
        ),
    ],
    supernet: Annotated[
        str | None,
        typer.Option(
            "--supernet",
            metavar="NAME",
            help="The super-network that it is checked with: for quality sources, training data and tables.",
            autocompletion=complete.supernets,
        ),
    ] = None,
    json: JsonFile = None,
) -> int:
    """Check an installed plug-in: backend, super-network, algorithm, quality source or any other kind.

    hwnas's own pass the same checks. Exit code 0: it passes all that apply to it; 1: it fails some.
    """
    with suppress(OSError, ValueError, RuntimeError):  # where standard error is no file
        faulthandler.enable()  # of a runtime that takes the process down, a traceback is left
    records: list[dict[str, Any]] = []
    for suite, subject in _subjects(plug_in, supernet):
        _print(f"{suite.kind} {plug_in}: {len(suite.checks)} checks", json)
        for outcome in suite.run(subject):
            records.append(_record(suite.kind, outcome))
            _print(_line(outcome), json)
    counted = Counter(one["status"] for one in records)
    _print(", ".join(f"{counted[status]} {status}" for status in ("passed", "failed", "skipped")), json)
    if json is not None:
        write_json(json, {"schema": 1, "plug_in": plug_in, "checks": records})
    return int(counted["failed"] > 0)


def _subjects(plug_in: str, supernet: str | None) -> Iterator[tuple[Suite, Any]]:
    """Yield the suite of each kind that has something of this name, with what its checks are run on."""
    from hwnas.conformance import NotApplicableError, Request, suites
    from hwnas.supernets.errors import UnknownNameError, UsageError

    names = {name for suite in suites() for name in suite.registry.names()}
    request = Request.of(plug_in, names, supernet)
    mine = [suite for suite in suites() if request.name in suite.registry.names()]
    if not mine:
        raise UnknownNameError("plug-in", request.name, names)
    reasons = []
    for suite in mine:
        subject = None
        # Caught inside: whatever leaves that block is taken for the plug-in's own failure.
        with suite.registry.at_work(request.name):
            try:
                subject = suite.subject(request)
            except NotApplicableError as nothing:
                reasons.append(str(nothing))
        if subject is not None:
            yield suite, subject
    if len(reasons) == len(mine):
        raise UsageError(f"there are no checks for {request.name}: {'; '.join(reasons)}")


def _record(kind: str, outcome: Outcome) -> dict[str, Any]:
    return {
        "kind": kind,
        "check": outcome.check.name,
        "title": outcome.check.title,
        "status": outcome.status,
        "reason": outcome.reason,
        "seconds": round(outcome.seconds, 3),
        "warnings": list(outcome.warnings),
    }


def _line(outcome: Outcome) -> str:
    """Return what came of a check, and below it why, and what was warned of."""
    status = outcome.status.upper() if outcome.status == "failed" else outcome.status
    first = f"  {status:<{_STATUS}}{outcome.seconds:6.1f} s {outcome.check.title.replace('``', '')}"
    below = [outcome.reason] if outcome.reason else []
    below += [f"warning: {one}" for one in outcome.warnings]
    return "\n".join([first, *(f"{_INDENT} {line}" for line in below)])


def _print(text: str, json: str | None) -> None:
    """Print lines as they come; each goes on below itself, as far to the right as its title or reason begins."""
    if json == STANDARD_OUTPUT:
        return
    console = results()
    for line in text.splitlines():
        indent = f"{_INDENT} " if line.startswith(" ") else ""
        shown = textwrap.fill(line, console.width, subsequent_indent=indent, drop_whitespace=True)
        console.print(shown, markup=False, soft_wrap=True)
