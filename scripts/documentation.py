"""What mkdocs calls while it makes the site: pages that follow from the code are written from the code."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill the places ``<!-- NAME -->`` of a page."""
    for name, written in _PARTS.items():
        if f"<!-- {name} -->" in markdown:
            markdown = markdown.replace(f"<!-- {name} -->", written())
    return markdown


def _commands() -> str:
    """Return the help texts of all commands."""
    import typer.main

    from hwnas.cli import build_app

    root = typer.main.get_command(build_app())
    return "\n".join(_command(name, command) for name, command in sorted(root.commands.items()))


def _command(name: str, command: Any, level: int = 2, prefix: str = "hwnas") -> str:
    whole = f"{prefix} {name}"
    with command.make_context(whole, [], resilient_parsing=True) as context:
        context.max_content_width = 100
        text = command.get_help(context)
    page = f"{'#' * level} {whole}\n\n```text\n{text}\n```\n"
    for below, one in sorted(getattr(command, "commands", {}).items()):
        page += _command(below, one, level + 1, whole)
    return page


def _protocol() -> str:
    """Return a table of the protocol's numbers, with their values in the two profiles and at quick effort."""
    from hwnas.harness.measurement.protocol import PROFILES, TimingProtocol, profile

    said = _attributes(TimingProtocol.__doc__ or "")
    columns = {"noisy": PROFILES["noisy"], "quiet": PROFILES["quiet"], "noisy, quick": profile("noisy", effort="quick")}
    lines = ["| number | " + " | ".join(columns) + " | what it is |", "| --- |" + " --- |" * (len(columns) + 1)]
    for one in fields(TimingProtocol):
        values = " | ".join(str(getattr(protocol, one.name)) for protocol in columns.values())
        lines.append(f"| `{one.name}` | {values} | {said[one.name]} |")
    return "\n".join(lines)


def _attributes(docstring: str) -> dict[str, str]:
    """Return what a docstring's section of attributes says of each."""
    section = textwrap.dedent(docstring.partition("Attributes:\n")[2])
    found = re.findall(r"^(\w+): (.*(?:\n +.*)*)", section, re.MULTILINE)
    return {name: " ".join(text.split()).replace("``", "`") for name, text in found}


def _contributing() -> str:
    return (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").replace("docs/architecture.md", "architecture.md")


_PARTS: dict[str, Callable[[], str]] = {
    "commands": _commands,
    "protocol": _protocol,
    "contributing": _contributing,
}
