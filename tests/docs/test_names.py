"""Whatever docs, docstrings, comments and pyproject.toml name is there: files, modules, options, variables."""

from __future__ import annotations

import functools
import importlib
import io
import re
import tokenize
from pathlib import Path

import pytest
import typer

ROOT = Path(__file__).parents[2]
PACKAGES = ("hwnas", "experiments", "search", "harness", "backends", "latency_luts", "supernets")
FOLDERS = (*PACKAGES, "tests", "docs", "scripts")
DOCS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
CODE = sorted(path for folder in (*PACKAGES, "scripts") for path in (ROOT / folder).rglob("*.py"))
SETTINGS = [ROOT / "pyproject.toml", ROOT / "tox.ini", ROOT / ".ci" / "run"]

FILE = re.compile(rf"(?<![\w/.-])((?:{'|'.join(FOLDERS)})(?:/[\w.-]+)+)")
MODULE = re.compile(rf"(?<![\w/.-])((?:{'|'.join(PACKAGES)})(?:\.[A-Za-z_]\w*)+)(?![\w/(])")
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)\s#]*)(?:#([^)\s]+))?\)")
OPTION = re.compile(r"(?<![\w-])(--[a-z][a-z-]+)")
VARIABLE = re.compile(r"\bHWNAS_[A-Z_]+\b")
# Programs whose options the docs print too.
OTHERS = re.compile(
    r"\b(pip|pytest|tox|git|venv|apt-get|openssl|chromium|createdb|pg_\w+|python (?:-m )?(?:scripts|tests)/\S+)\b"
)
# Entry-point groups and files of a user's look like modules and are none.
NO_MODULE = re.compile(
    r"^hwnas\.(supernets|backends|algorithms|quality|data|experiments|objectives|predictors|table_formats|db|toml|lock)$|^\w+\.(md|py)$"
)


def remarks(path):
    """Return what a Python file says to its reader: comments and docstrings, as lines with their numbers."""
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline)
    for token in tokens:
        if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and token.string.startswith('"""')):
            yield from enumerate(token.string.splitlines(), token.start[0])


def said(path):
    """Return the lines in which a file names other things."""
    if path.suffix == ".py":
        return list(remarks(path))
    return list(enumerate(path.read_text(encoding="utf-8").splitlines(), 1))


def missing(paths, pattern, there):
    return [
        f"{path.relative_to(ROOT)}:{number}: {name}"
        for path in paths
        for number, line in said(path)
        for name in pattern.findall(line)
        if not there(name, line)
    ]


def is_file(name, _line):
    name = name.rstrip(".")
    return any(character in name for character in "*<{") or (ROOT / name).exists() or (ROOT / f"{name}.py").exists()


@functools.cache
def resolves(name):
    """Tell whether a dotted name is a module, or something that is found in one."""
    parts = name.split(".")
    for n in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:n]))
        except ImportError:
            continue
        for part in parts[n:]:
            fields = getattr(found, "__annotations__", {})
            if not hasattr(found, part) and part not in fields:
                return False
            found = getattr(found, part, None)
        return True
    return False


@pytest.mark.slow
def test_files_that_are_named_are_there():
    assert not missing([*DOCS, *CODE, *SETTINGS], FILE, is_file)


@pytest.mark.slow
def test_modules_that_are_named_are_there():
    def there(name, _line):
        return bool(NO_MODULE.match(name)) or resolves(name)

    assert not missing([*DOCS, *CODE, ROOT / "pyproject.toml"], MODULE, there)


@pytest.mark.parametrize("page", DOCS, ids=lambda path: path.name)
def test_links_lead_somewhere(page):
    def anchors(path):
        heads = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}

    for target, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        file = (page.parent / target) if target else page
        assert file.exists(), f"{page.name}: {target}"
        assert not anchor or anchor in anchors(file), f"{page.name}: {target}#{anchor}"


def every_option():
    from hwnas.cli import build_app

    def of(command):
        for parameter in command.params:
            yield from (*parameter.opts, *parameter.secondary_opts)
        for sub in getattr(command, "commands", {}).values():
            yield from of(sub)

    return {"--help", *of(typer.main.get_command(build_app()))}


def test_options_that_are_named_are_there():
    known = every_option()
    scripts = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "scripts").glob("*.py"))

    def there(name, line):
        return name in known or bool(OTHERS.search(line)) or f'"{name}"' in scripts

    assert not missing(DOCS, OPTION, there)


def test_variables_that_are_named_are_read_somewhere():
    tests = [*(ROOT / "tests").rglob("*.py"), ROOT / ".ci" / "run"]
    shipped = (ROOT / "experiments" / "shipped").glob("*.toml")
    sources = [path for path in [*CODE, *tests, *shipped] if path != Path(__file__)]
    read = set(VARIABLE.findall("".join(path.read_text(encoding="utf-8") for path in sources)))

    assert not missing(DOCS, VARIABLE, lambda name, _: name.rstrip("_") in {one.rstrip("_") for one in read})
