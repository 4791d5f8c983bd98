"""Change the code in small ways and see whether a test notices: ``python scripts/mutants.py PATH...``.

``PATH`` is a module, or a folder of modules, that ``tests/mutants/suites.toml`` names with the tests that guard it.
Prints each module's share of mutants that a test killed, and every survivor that is not listed in
``tests/mutants/equivalent.toml``. Exit code 1 where such a survivor is left, where less than 90 % were killed, or where
mutmut was interrupted: of a module whose mutants were not all tried no share is known::

    tox run -e mutants harness/measurement/statistics.py
    tox run -e mutants                              # all of them: the better part of an hour

The mutants are mutmut's. It works on a copy of the tree under ``build/mutants``, imports once and forks per mutant, and
runs only the tests that reach the changed function, the slow ones last.
"""

# ruff: noqa: T201 - it prints what it found

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import groupby
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "build" / "mutants"
# Beside hwnas's own folder; installed they lie in it, and so they do in the copy.
ROOMS = ("experiments", "search", "harness", "backends", "latency_luts", "supernets")
LEAST_KILLED = 0.9
# mutmut's exit codes of a mutant. The tests passed, or no test reaches the function.
_SURVIVED = (0, 5, 33)
# It was not tried, or not to the end: mutmut or its worker was interrupted before.
_UNTRIED = (None, 2, 34, -signal.SIGINT, -signal.SIGTERM)
_OUT_OF_TIME = (24, 36, 152, 255, -signal.SIGXCPU)
# What mutmut puts beside a protocol's methods, a class would have to have too.
_PROTOCOL = re.compile(r"^(class \w+\(.*\bProtocol\):)$", re.MULTILINE)


@dataclass(frozen=True)
class Mutant:
    """A change to one function, and what became of it.

    Attributes:
        module: the file, relative to the tree.
        where: the function, with its module and class.
        old: the lines that were taken out, on one line.
        new: the lines that stand there instead.
        survived: no test failed; ``None``: it is not known, the tests did not run to their end.
    """

    module: str
    where: str
    old: str
    new: str
    survived: bool | None

    @property
    def in_a_sentence(self) -> bool:
        """Only a sentence for people was changed: tests quote the part of a message that matters, not all of it."""
        return " " in _changed_literal(self.old, self.new)


def main() -> int:
    """Run mutmut and judge what it found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", metavar="PATH", help="default: all that suites.toml names")
    parser.add_argument("--processes", type=int, default=2, metavar="N", help="mutants tried at once; default: 2")
    arguments = parser.parse_args()
    suites = chosen(_read("suites.toml"), arguments.paths)
    if not suites:
        parser.error(f"tests/mutants/suites.toml names no tests for {', '.join(arguments.paths)}")
    prepare(suites)
    run(arguments.processes)
    # A mutant that hangs is killed by time. But time runs out on a busy machine too: those are tried once more.
    late = [name for module in suites for name, code in exit_codes(module).items() if code in _OUT_OF_TIME]
    if late:
        run(arguments.processes, late)
    return report(list(mutants(suites)), _read("equivalent.toml").get("equivalent", []))


def chosen(suites: Mapping[str, Sequence[str]], paths: Sequence[str]) -> dict[str, Sequence[str]]:
    """Return the modules under ``paths`` with their tests; all, where there are no paths."""
    wanted = [Path(path).resolve().relative_to(ROOT) for path in paths] or [Path()]
    return {name: tests for name, tests in suites.items() if any(Path(name).is_relative_to(path) for path in wanted)}


def prepare(suites: Mapping[str, Sequence[str]]) -> None:
    """Copy the tree, and say to mutmut what it shall change and which tests it may run."""
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    for name, there in (("hwnas", "hwnas"), ("tests", "tests"), *((room, f"hwnas/{room}") for room in ROOMS)):
        shutil.copytree(ROOT / name, WORK / there, ignore=shutil.ignore_patterns("__pycache__"))
    for name in suites:
        file = WORK / "hwnas" / name
        file.write_text(_PROTOCOL.sub(r"\1  # pragma: no mutate block", file.read_text()))
    settings = {
        "source_paths": ["hwnas"],
        "only_mutate": sorted(f"hwnas/{name}" for name in suites),
        # A mutant is out of time after three times what its tests took beforehand, and 15 s.
        "timeout_multiplier": 3.0,
        "timeout_constant": 5.0,
        "pytest_add_cli_args": ["--hypothesis-profile=mutants", "--hypothesis-seed=0"],
        "pytest_add_cli_args_test_selection": sorted({test for tests in suites.values() for test in tests}),
    }
    # JSON's lists of strings are TOML's too.
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    project = (ROOT / "pyproject.toml").read_text()
    (WORK / "pyproject.toml").write_text("\n".join([project, "[tool.mutmut]", *lines, ""]))


def run(processes: int, names: Sequence[str] = ()) -> None:
    """Let mutmut try every mutant, or as many as it can before Ctrl-C; its log stays in the working folder.

    Args:
        processes: mutants tried at once.
        names: only these mutants.

    Raises:
        SystemExit: it could not: the tests fail without a change, for example.
    """
    # A process that is forked has none of its parent's threads: there must be none.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    environment.pop("PYTHONPATH", None)  # the tree that is mutated is to be imported, not this one
    # Tests that run elsewhere delete old temporary folders: a mutant's that failed in that would pass for killed.
    environment["PYTEST_DEBUG_TEMPROOT"] = str(WORK)
    assets = ROOT.parent / "shared" / "assets"
    if assets.is_dir():
        environment.setdefault("HWNAS_ASSETS", str(assets))
    command = ["nice", "-n", "10", sys.executable, "-m", "mutmut", "run", "--max-children", str(processes), *names]
    with (WORK / "mutmut.log").open("a") as log:
        done = subprocess.Popen(command, cwd=WORK, env=environment, stdout=log, stderr=log)  # noqa: S603 - our own
        with contextlib.suppress(KeyboardInterrupt):
            done.wait()
        done.wait()  # the terminal interrupted mutmut too: it keeps what it knows
    if done.returncode:
        raise SystemExit((WORK / "mutmut.log").read_text()[-4000:])


def exit_codes(module: str) -> dict[str, int | None]:
    """Return what mutmut wrote of a module's mutants, by their names; nothing of a module without functions."""
    found = WORK / "mutants" / "hwnas" / f"{module}.meta"
    codes: dict[str, int | None] = json.loads(found.read_text())["exit_code_by_key"] if found.exists() else {}
    return codes


def mutants(suites: Iterable[str]) -> Iterator[Mutant]:
    """Read what mutmut found out."""
    for module in sorted(suites):
        for name, code in exit_codes(module).items():
            survived = None if code in _UNTRIED else code in _SURVIVED
            old, new = changed_lines(name, module) if survived else ("", "")
            yield Mutant(module, _function(name), old, new, survived)


def changed_lines(name: str, module: str) -> tuple[str, str]:
    """Return the lines that a mutant takes out, and those that it puts there, each on one line."""
    from mutmut.mutation.diff_apply import get_diff_for_mutant

    with contextlib.chdir(WORK):
        return _lines(get_diff_for_mutant(name, path=f"hwnas/{module}"))


def report(found: Sequence[Mutant], equivalent: Sequence[Mapping[str, Any]]) -> int:
    """Print the shares and the survivors; return the exit code."""
    failed = False
    for module, those in groupby(found, key=lambda one: one.module):
        all_ = list(those)
        if untried := sum(one.survived is None for one in all_):
            print(f"{module}: not known: {untried} of {len(all_)} mutants were not tried; run it to its end")
            failed = True
            continue
        sentences = [one for one in all_ if one.survived and one.in_a_sentence]
        survivors = [one for one in all_ if one.survived and not one.in_a_sentence]
        unlisted = [one for one in survivors if not is_listed(one, equivalent)]
        counted = len(all_) - len(sentences)
        share = 1 - len(survivors) / counted if counted else 1.0
        print(
            f"{module}: {share:.1%} of {counted} killed; {len(survivors)} survived, {len(survivors) - len(unlisted)} "
            f"of them listed as equivalent; {len(sentences)} more only in sentences"
        )
        for one in unlisted:
            print(f"    {one.where}\n      - {one.old}\n      + {one.new}")
        failed = failed or bool(unlisted) or share < LEAST_KILLED
    return int(failed)


def is_listed(mutant: Mutant, equivalent: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether a survivor is one of those that cannot be told from the original."""
    return any(
        fnmatchcase(mutant.where, entry["where"])
        and fnmatchcase(_plain(mutant.old), _plain(entry["old"]))
        and any(fnmatchcase(_plain(mutant.new), _plain(new)) for new in entry["new"])
        for entry in equivalent
    )


def _plain(text: str) -> str:
    # In a pattern only * is special, so that code can be written as it is.
    return text.translate({ord("["): "(", ord("]"): ")", ord("?"): "!"})


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / "tests" / "mutants" / name).read_text())


def _function(name: str) -> str:
    """Return the name of what a mutant is of: ``Archive.add`` in its module for ``xǁArchiveǁadd__mutmut_1``."""
    module, _, mangled = name.partition("__mutmut_")[0].rpartition(".")
    return f"{module}.{mangled.removeprefix('x_').removeprefix('xǁ').replace('ǁ', '.')}"


def _lines(diff: str) -> tuple[str, str]:
    body = [line for line in diff.splitlines() if not line.startswith(("---", "+++"))]
    old, new = (" ".join(line[1:].strip() for line in body if line.startswith(sign)) for sign in "-+")
    return old, new


def _changed_literal(old: str, new: str) -> str:
    """Return the text of the string that was marked with XX or changed its case; empty where something else changed."""
    if marked := re.search(r"XX(.*)XX", new):
        return marked[1] if new.replace(marked[0], marked[1], 1) == old else ""
    if old == new or old.casefold() != new.casefold():
        return ""
    first = next(index for index, (a, b) in enumerate(zip(old, new, strict=True)) if a != b)
    begin = max(old.rfind(quote, 0, first) for quote in "\"'")
    end = old.find(old[begin], first)
    return old[begin + 1 : end] if begin >= 0 else ""


if __name__ == "__main__":
    sys.exit(main())
