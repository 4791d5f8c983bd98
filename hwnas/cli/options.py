"""Options that several commands share, spelled once."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwnas.cli import complete
from hwnas.cli.output import STANDARD_OUTPUT, check_writable
from hwnas.supernets.errors import UsageError, suggestion
from hwnas.supernets.writing import is_stream

if TYPE_CHECKING:
    from hwnas.harness.farm.connection import FarmOptions

# Where a command's context keeps which option names which output.
_OUTPUTS = "hwnas.outputs"

_SUPERNET = typer.Argument(
    help="Super-network, as 'hwnas supernets' lists them.", show_default=False, autocompletion=complete.supernets
)
Supernet = Annotated[str, _SUPERNET]
SupernetOrNone = Annotated[str | None, _SUPERNET]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        metavar="FILE.py:FUNCTION|FILE.onnx|FILE.pt2",
        help="A fixed model of your own, measured side by side with the rest; repeatable.",
        show_default=False,
    ),
]


def output(context: typer.Context, option: typer.CallbackParam, path: str | None) -> str | None:
    """Return the value of an option that names an output; raises ``UsageError`` where it cannot be written."""
    check_writable(path)
    if path is not None:
        _check_alone(context, option, path)
    return path


def output_file(context: typer.Context, option: typer.CallbackParam, path: str) -> str:
    """Return the value of an option that names an output which is not for reading as it comes, likewise."""
    if path == STANDARD_OUTPUT:
        raise UsageError("expected the name of a file, got '-'; standard output is /dev/stdout")
    check_writable(path)
    _check_alone(context, option, path)
    return path


def _check_alone(context: typer.Context, option: typer.CallbackParam, path: str) -> None:
    """Raise ``UsageError`` where another option of the command names the same file, so that one would be lost."""
    if path != STANDARD_OUTPUT and is_stream(path):
        return  # a pipe or a device takes one after the other
    place = path if path == STANDARD_OUTPUT else os.path.realpath(path)
    name, named = option.opts[0], context.meta.setdefault(_OUTPUTS, {})
    other = named.setdefault(place, name)
    if other != name:
        raise UsageError(f"{name} {path!r}: {other} goes there too, and one of the two would be lost")


JsonFile = Annotated[
    str | None,
    typer.Option("--json", metavar="FILE", help="Write JSON to FILE; - is standard output.", callback=output),
]
HtmlFile = Annotated[
    str | None, typer.Option("--html", metavar="FILE", help="Write one self-contained HTML page.", callback=output)
]
StoreUrl = Annotated[str, typer.Option("--store", metavar="URL", help="Database of measurements and studies.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print no progress and no remarks, only errors.")]
_PLATFORM = "BACKEND[:KEY=VALUE,...], as 'hwnas platforms' lists them, or a name from hwnas.toml"
Platform = Annotated[str, typer.Option("--platform", "-p", help=f"{_PLATFORM}.", autocompletion=complete.platforms)]
WherePlatform = Annotated[
    str | None,
    typer.Option(
        "--platform",
        "-p",
        help=f"{_PLATFORM}; needed where latency is asked for.",
        autocompletion=complete.platforms,
    ),
]
Platforms = Annotated[
    list[str],
    typer.Option("--platform", "-p", help=f"{_PLATFORM}; repeatable.", autocompletion=complete.platforms),
]
Quality = Annotated[
    str | None,
    typer.Option(
        "--quality",
        metavar="SOURCE",
        help="Quality source, as 'hwnas qualities' lists them; default: the super-network's own.",
        autocompletion=complete.qualities,
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(
        "--weights", metavar="FILE", help="The super-network's weights, for a quality source that runs sub-networks."
    ),
]
Subset = Annotated[
    int | None,
    typer.Option(
        "--subset", "--images", min=1, help="Number of test examples to use, always the same ones; default: all."
    ),
]
Workers = Annotated[int, typer.Option("--workers", min=0, help="Threads that read and prepare examples.")]
Evals = Annotated[int, typer.Option("--evals", min=1, help="Number of sub-networks to evaluate.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of all randomness.")]
Algorithm = Annotated[
    str,
    typer.Option(
        "--algorithm",
        "-a",
        help="Search algorithm, as 'hwnas algorithms' lists them.",
        autocompletion=complete.algorithms,
    ),
]

References = Annotated[
    list[str] | None,
    typer.Option("--reference", help="Reference point of the hypervolume, like latency=92.4; repeatable."),
]

Scheduler = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        metavar="ADDRESS",
        help="Measure on the workers of this farm; see 'hwnas farm' and 'hwnas worker'.",
    ),
]
LocalCluster = Annotated[
    int | None,
    typer.Option("--local-cluster", metavar="N", min=1, help="Start N workers on this machine and measure there."),
]
TlsCaFile = Annotated[
    str | None, typer.Option("--tls-ca-file", metavar="FILE", help="TLS: the authority's certificate.")
]
TlsCert = Annotated[str | None, typer.Option("--tls-cert", metavar="FILE", help="TLS: this machine's certificate.")]
TlsKey = Annotated[str | None, typer.Option("--tls-key", metavar="FILE", help="TLS: this machine's private key.")]


def effort(name: str | None) -> str | None:
    """Return the value of ``--effort``; raises ``UsageError`` where there is no such level."""
    from hwnas.harness.measurement.protocol import EFFORTS

    if name is not None and name not in EFFORTS:
        raise UsageError(f"unknown effort {name!r}{suggestion(name, EFFORTS)}")
    return name


Effort = Annotated[
    str | None,
    typer.Option(
        "--effort",
        metavar="LEVEL",
        help="How precisely to measure: quick (0.15 s a sub-network), normal (1 s) or thorough (2 s, the default).",
        callback=effort,
        autocompletion=complete.efforts,
    ),
]
SearchEffort = Annotated[
    str | None,
    typer.Option(
        "--effort",
        metavar="LEVEL",
        help="How precisely to measure while searching: quick (the default), normal or thorough.",
        callback=effort,
        autocompletion=complete.efforts,
    ),
]
Timings = Annotated[bool, typer.Option("--timings", help="Print where the time went.")]
FinalFront = Annotated[
    int | None,
    typer.Option(
        "--final-front",
        metavar="N",
        min=0,
        help="Measure up to N sub-networks that may be on the front thoroughly when the search ends; default: 20.",
    ),
]
Protocol = Annotated[
    list[str] | None,
    typer.Option(
        "--protocol",
        metavar="NAME|NUMBER=VALUE",
        help="Timing protocol: noisy or quiet, or one of its numbers, like interval=0.01; repeatable. Default: what "
        "hwnas.toml says, and a calibration.",
    ),
]
Cap = Annotated[
    float | None,
    typer.Option(
        "--cap", metavar="SECONDS", help="The most time to spend on one network; short for --protocol cap_s=SECONDS."
    ),
]
Wait = Annotated[
    float | None,
    typer.Option(
        "--wait",
        metavar="SECONDS",
        min=0,
        help="Where other programs keep the CPUs busy, wait so long for calm; default: 30 at a terminal, 0 in scripts.",
    ),
]
# Somebody who sits at a terminal can end what keeps the machine busy; a script cannot.
_WAIT_S = 30.0


def farm_options(
    scheduler: str | None, local_cluster: int | None, ca_file: str | None, cert: str | None, key: str | None
) -> FarmOptions:
    """Return what was said of the farm; raises ``UsageError`` where it does not go together."""
    from hwnas.harness.farm.connection import FarmOptions
    from hwnas.harness.farm.security import Tls

    return FarmOptions(scheduler, local_cluster, Tls(ca_file, cert, key))


def protocol_asked(protocol: list[str] | None, cap: float | None) -> dict[str, Any]:
    """Return what is asked of the timing protocol; raises ``UsageError`` where it cannot be."""
    from hwnas.harness.measurement.request import asked, parse

    return asked(parse([*(protocol or ()), *([] if cap is None else [f"cap_s={cap!r}"])]))


def check_platforms(farm: FarmOptions, texts: Iterable[str]) -> None:
    """Raise ``PlatformError`` where a platform string is none; what a farm has is known when it is connected.

    Commands call it before they make the super-network: of a model of one's own that may take some seconds.
    """
    from hwnas.harness.platform import parse

    if farm.scheduler is None:
        for text in texts:
            parse(text)


def wait_s(given: float | None) -> float:
    """Return the value of ``--wait``, or its default; raises ``UsageError`` where that is no time."""
    if given is None:
        return _WAIT_S if sys.stderr is not None and sys.stderr.isatty() else 0.0
    if not math.isfinite(given):
        raise UsageError(f"wait: expected a finite number of seconds, got {given}")
    return given


def reference_point(texts: list[str] | None) -> dict[str, float] | None:
    """Read ``NAME=NUMBER`` strings; raises ``UsageError`` with the right form."""
    if not texts:
        return None
    point: dict[str, float] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        try:
            number = float(value)
        except ValueError:
            equals = ""
        if not equals or not name:
            raise UsageError(f"reference {text!r}: expected NAME=NUMBER, in the objective's unit, like latency=92.4")
        if name in point:
            raise UsageError(f"reference: {name} is given twice")
        point[name] = number
    return point
