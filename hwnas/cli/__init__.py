"""The command line. Every file of this package that has ``add_to(app)`` adds its commands; there is no list to edit."""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from hwnas.cli.groups import Groups
from hwnas.cli.interrupts import Interrupted, Interrupts
from hwnas.cli.once import refuse_second_values
from hwnas.cli.output import complain, say
from hwnas.cli.streams import ReaderGone, standard_streams
from hwnas.harness.host.variables import set_aside
from hwnas.supernets.errors import HwnasError, WorkError
from hwnas.supernets.plug_ins import FAILURES, blamed
from hwnas.supernets.quoting import shortened_message, visible

# Root of the errors of typer's argument parser. Typer carries its own copy of click, under a private name: its public
# BadParameter is a UsageError, which is a ClickException.
_ParserError: Any = typer.BadParameter.__mro__[2]

# Set to 1, this variable lets the traceback of an error be printed above its one line.
_TRACEBACK = "HWNAS_TRACEBACK"
# A shell sets this variable to ask what a command line may go on with.
_COMPLETE = "_HWNAS_COMPLETE"


def build_app() -> typer.Typer:
    """Return the application with every command."""
    app = typer.Typer(
        name="hwnas",
        help="Profile sub-networks on real hardware, search them per platform, see what transfers.",
        no_args_is_help=True,
        cls=Groups,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    )
    app.callback()(_root)
    for info in sorted(pkgutil.iter_modules(__path__), key=lambda info: info.name):
        module = importlib.import_module(f"{__name__}.{info.name}")
        if hasattr(module, "add_to"):
            module.add_to(app)
    refuse_second_values(app)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        from hwnas.version import __version__

        typer.echo(f"hwnas {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 the work failed, 2 wrong arguments, 130 interrupted, 143 terminated."""
    set_aside(os.environ)
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    with standard_streams(), Interrupts(given) as interrupts:
        try:
            return _run(given, interrupts)
        except Interrupted as signalled:
            for line in interrupts.words(signalled.number):
                say(line)
            return 128 + signalled.number


def _run(given: Sequence[str], interrupts: Interrupts) -> int:
    try:
        return _invoked(given, interrupts)
    except FAILURES as error:
        code = _explained(error)
        if code is None:
            raise
        return code


def _invoked(given: Sequence[str], interrupts: Interrupts) -> int:
    command = typer.main.get_command(build_app())
    if _COMPLETE in os.environ:
        command._main_shell_completion({}, "hwnas", _COMPLETE)  # noqa: SLF001 - typer's own main, which is not used, calls it
    try:
        # Not by the command's own main(), which would swallow an interruption.
        with command.make_context("hwnas", list(given), obj=interrupts) as context:
            result = command.invoke(context)
        sys.stdout.flush()
    except typer.Exit as wanted:
        return int(wanted.exit_code)
    except _ParserError as error:
        error.message = visible(shortened_message(error.message))
        error.show()
        return int(error.exit_code)
    except ReaderGone:
        return 0
    return result if isinstance(result, int) else 0


def _explained(error: BaseException) -> int | None:
    """Say in one line what went wrong, and return the exit code; ``None`` where it is a mistake of ours."""
    named = error if isinstance(error, HwnasError) else blamed(error)
    if named is None and (isinstance(error, ConnectionError) or not isinstance(error, OSError)):
        return None  # a lost connection is one to our own processes
    if os.environ.get(_TRACEBACK, "0") not in {"", "0"}:
        say("".join(traceback.format_exception(error)).rstrip())
    if named is not None:
        complain(str(named))
        return named.exit_code
    if isinstance(error, OSError):
        complain(": ".join(str(part) for part in (error.filename, error.strerror or error) if part))
    return WorkError.exit_code
