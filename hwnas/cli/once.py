"""Options that take one value: a second one is refused, where typer would silently take the last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperOption

from hwnas.supernets.errors import UsageError

_COMMAS = "separate several by commas"
# Who is to be asked for several, by the option.
_SEVERAL = {
    "platform": "hwnas profile measures on several platforms, hwnas transfer searches on several and compares them",
    "algorithm": "hwnas compare runs several algorithms",
    "seed": "hwnas compare runs several seeds",
    "algorithms": _COMMAS,
    "kinds": _COMMAS,
    "sizes": _COMMAS,
}


class OnceCommand(TyperCommand):
    """A command that refuses two values for an option that takes one."""

    def make_parser(self, ctx: Any) -> Any:
        """Return the parser of the command's arguments."""
        parser: Any = super().make_parser(ctx)
        parse = parser.parse_args

        def checked(args: list[str]) -> tuple[dict[str, Any], list[str], list[Any]]:
            values, rest, order = parse(args)
            # A shell that completes a line asks with half of one, and help is shown of whatever there is.
            if not ctx.resilient_parsing and not any(one.is_eager for one in order):
                _check(order)
            return values, rest, order

        parser.parse_args = checked
        return parser


def refuse_second_values(app: typer.Typer) -> None:
    """Make every command of an application, and of its groups, one that refuses them."""
    for command in app.registered_commands:
        command.cls = OnceCommand
    for group in app.registered_groups:
        if group.typer_instance is not None:
            refuse_second_values(group.typer_instance)


def _check(order: Sequence[Any]) -> None:
    """Raise ``UsageError`` where an option that takes one value, or one of two words, was given again.

    Args:
        order: options and arguments, one for each time that it was given.
    """
    for option, times in Counter(order).items():
        # A flag that is given twice says what it says once.
        alone = isinstance(option, TyperOption) and not option.multiple
        if times > 1 and alone and (not option.is_flag or option.secondary_opts):
            spelled = "/".join([max(option.opts, key=len), *option.secondary_opts])
            several = _SEVERAL.get(str(option.name))
            raise UsageError(
                f"{spelled} is given {times} times, and takes one value{f'; {several}' if several else ''}"
            )
