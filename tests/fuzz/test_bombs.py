"""Documents that are small and stand for much: read, or refused, in a case's time and memory."""

from __future__ import annotations

import json

import pytest
from fuzzing import bounded, fuzz, put, refused_or_read
from hypothesis import example, given
from hypothesis import strategies as st

from hwnas import experiments, supernets
from hwnas.cli.configs import read_configs
from hwnas.harness import platform
from hwnas.latency_luts import formats
from hwnas.supernets import documents

NCF = supernets.get("ncf")
K = 1 << 10

TOMLS = {
    "a key of many parts": "a" + ".a" * 32_000 + " = 1",
    "a quoted key of many parts": '"a"' + ' . "a"' * 10_000 + " = 1",
    "a header of many parts": "[a" + ".a" * 32_000 + "]",
    "many headers of many parts": "\n".join(f"[a{n}{'.a' * 59}]" for n in range(500)),
    "keys of many parts": "\n".join(f"a{n}{'.a' * 59} = 1" for n in range(500)),
    "keys within tables": "a = " + "{a.b.c.d = " * 150 + "1" + "}" * 150,
    "brackets": "a = " + "[" * 65_000,
    "braces": "a = " + "{a=" * 21_000,
    "an array": "a = [" + "1," * 32_000 + "]",
    "megabytes": "a = [" + "1," * 4_000_000 + "]",
    "tables": "[[a]]\n" * 10_000,
    "quotes": '"' * 65_000,
    "escapes": '"""a\\' * 13_000,
    "digits": "a = " + "9" * 60_000,
    "hexadecimal digits": "a = 0x" + "f" * 60_000,
    "an exponent": "a = 1e999999",
}
YAMLS = {
    "brackets": "[" * 60 * K,
    "dashes": "- " * 60 * K,
    "questions": "? " * 60 * K,
    "laughs": "\n".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}' if n else '1'] * 9)}]" for n in range(12)),
    "a list repeated": f"a: &a [{'1,' * 10_000}]\nb: [{'*a,' * 10_000}]",
    "a table merged": f"a: &a {{{','.join(f'k{n}: 1' for n in range(5000))}}}\nb: {{<<: [{'*a,' * 5000}]}}",
    "itself": "&a {a: *a}",
    "digits": f"a: {'9' * 10**6}",
    "hexadecimal digits": f"a: 0x{'f' * 10**6}",
    "sixties": f"a: 1{':59' * 200_000}",
    "sixties with a fraction": f"a: 1{':59' * 2000}.5",
    "an exponent": "a: 1e999999",
    "a truth that is none": "a: !!bool maybe",
    "a number that is none": 'a: !!int ""',
    "a time that is none": "a: !!timestamp x",
    "documents": "--- 1\n" * 10_000,
}
JSONS = {
    "brackets": "[" * 60 * K,
    "brackets that close": "[" * 900 + "]" * 900,
    "braces": '{"a":' * 60 * K,
    "digits": '{"a": ' + "9" * 10**6 + "}",
    "an exponent": '{"a": 1e999999}',
    "no number": '{"a": NaN, "b": -Infinity}',
}
LITERALS = {
    "parentheses": "(" * 60 * K,
    "brackets that close": "[" * 90 + "]" * 90,
    "signs": "-" * 250 * K + "1",
    "sums": "1" + "+1" * 120 * K,
    "a list": "[" + "1," * 130_000 + "]",
    "megabytes": "[" + "1," * 4_000_000 + "]",
    "hexadecimal digits": "{'a': 0x" + "f" * 250_000 + "}",
    "digits": "{'a': " + "9" * 10**6 + "}",
    "texts": "'a'" * 85_000,
}


def go_through(parse, text):
    """Read a document and go through all that it says, in Python, as whoever uses it does."""
    try:
        json.dumps(parse(text), default=str, indent=1, skipkeys=True)
    except ValueError as error:
        said = str(error)
        assert said


PARSERS = (
    (documents.parse_toml, TOMLS),
    (documents.parse_yaml, YAMLS),
    (documents.parse_json, JSONS),
    (documents.parse_literal, LITERALS),
    (documents.parse_object, {**JSONS, **LITERALS}),
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("parse", "text"),
    [
        pytest.param(parse, text, id=f"{parse.__name__}-{name}")
        for parse, texts in PARSERS
        for name, text in texts.items()
    ],
)
def test_documents_that_stand_for_much(parse, text):
    with bounded():
        go_through(parse, text)


@pytest.mark.parametrize(
    ("name", "texts", "read"),
    [
        ("hwnas.toml", TOMLS, platform.named_platforms),
        ("mine.toml", TOMLS, experiments.read_file),
        ("table.yaml", YAMLS, formats.read),
        ("net.yml", YAMLS, lambda file: read_configs([str(file)], NCF.space)),
        ("net.json", JSONS, lambda file: read_configs([str(file)], NCF.space)),
        ("net.config", JSONS, lambda file: read_configs([str(file)], NCF.space)),
    ],
)
def test_files_that_stand_for_much(folder, name, texts, read):
    for text in (texts[what] for what in ("brackets", "digits", "an exponent")):
        file = put(folder, name, text.encode())
        with bounded():
            refused_or_read(lambda file=file: read(file))


# What is nested in what, and how deep: deeper than anything reads, and as deep as it does.
NESTS = {
    documents.parse_toml: (("a = ", ("[", "{a = ", "{a.b = "), ("]", "}", "}"), "1"),),
    documents.parse_yaml: (
        ("", ("[", "{a: ", "[&a "), ("]", "}", "]"), "1"),
        ("", ("- ", "? ", "&a "), ("",) * 3, "1"),
    ),
    documents.parse_json: (("", ("[", '{"a":', "[[1],"), ("]", "}", "]"), "1"),),
    documents.parse_literal: (("", ("[", "{'a': ", "("), ("]", "}", ",)"), "1"),),
}


@fuzz
@given(
    parse=st.sampled_from(list(NESTS)),
    which=st.lists(st.integers(0, 2), min_size=1, max_size=6),
    depth=st.integers(1, 3000),
    closed=st.booleans(),
    data=st.data(),
)
def test_depths(parse, which, depth, closed, data):
    before, opening, closing, inner = data.draw(st.sampled_from(NESTS[parse]))
    order = (which * depth)[:depth]
    text = before + "".join(opening[n] for n in order) + inner
    text += "".join(closing[n] for n in reversed(order)) if closed else ""
    go_through(parse, text)


@fuzz
@given(sizes=st.lists(st.integers(0, 400), min_size=1, max_size=5), links=st.data())
@example(sizes=[400, 400, 400], links=None)
def test_what_repeats_itself_in_yaml(sizes, links):
    lines = []
    for n, size in enumerate(sizes):
        to = n - 1 if links is None else links.draw(st.integers(-1, n))
        one = f"*a{to}" if to >= 0 else "x"
        merged = links is not None and links.draw(st.booleans())
        lines.append(
            f"k{n}: &a{n} {{<<: [{', '.join([one] * size)}]}}" if merged else f"k{n}: &a{n} [{', '.join([one] * size)}]"
        )
    lines.append("all: [" + ", ".join(f"*a{n}" for n in range(len(sizes)) for _ in range(sizes[n])) + "]")
    go_through(documents.parse_yaml, "\n".join(lines))
