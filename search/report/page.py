"""Write figures as one HTML file that needs no network, runs only its own scripts and is readable without them."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from hwnas.search.report.figures import Command, Figure
from hwnas.search.words import number
from hwnas.supernets.shown import counted

if TYPE_CHECKING:
    from markupsafe import Markup


def render(
    template: str,
    figures: Sequence[Figure],
    networks: Sequence[Mapping[str, Any]] | Mapping[int, Mapping[str, Any]],
    **context: Any,
) -> str:
    """Fill ``templates/<template>``.

    Args:
        template: a file name.
        figures: every figure of the page.
        networks: what the hover shows, by row number: ``{"config": ["...", ...], "lines": ["...", ...]}``; all rows, or
            those that the figures draw.
        context: what else the template names.
    """
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("hwnas.search.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    environment.filters["counted"] = counted
    environment.filters["whole_options"] = whole_options
    environment.tests["command"] = lambda cell: isinstance(cell, Command)
    script = _asset("page.js")
    data = {"figures": {figure.id: figure.drawn() for figure in figures}, "networks": networks}
    return environment.get_template(template).render(
        # Our own files and text made inert: nothing here comes from a result unescaped.
        style=Markup(_asset("page.css")),  # noqa: S704
        script=Markup(script),  # noqa: S704
        data=Markup(json_in_script(data)),  # noqa: S704
        plotly=Markup(_packed()),  # noqa: S704
        policy=_policy(script.encode(), _plotly()),
        **context,
    )


def whole_options(text: str) -> Markup:
    """Return a text as HTML in which no line ends within an option: browsers break "--effort" after its hyphens."""
    from markupsafe import Markup, escape

    escaped = str(escape(text))  # of a Markup, re.sub would escape the spans too
    return Markup(re.sub(r"--[a-z][a-z-]*", r'<span class="option">\g<0></span>', escaped))  # noqa: S704


def json_in_script(data: Any) -> str:
    """Return ``data`` as JSON that cannot end the script element it stands in, nor open a comment there."""
    escapes = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}
    return json.dumps(data, allow_nan=False, separators=(",", ":"), ensure_ascii=False).translate(escapes)


def _policy(*scripts: bytes) -> str:
    """Return a content security policy under which only ``scripts`` run and nothing is ever fetched."""
    allowed = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'" for script in scripts)
    # Plotly sets its styles from script, and saves pictures through data: and blob: addresses, which stay on the page.
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def _packed() -> str:
    """Return Plotly.js as the page carries it: compressed, half its size as text; the page unpacks it when it opens."""
    return base64.b64encode(gzip.compress(_plotly(), mtime=0)).decode()


@cache
def _plotly() -> bytes:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs()).encode()


def _asset(name: str) -> str:
    return resources.files("hwnas.search.report").joinpath("assets", name).read_text(encoding="utf-8")
