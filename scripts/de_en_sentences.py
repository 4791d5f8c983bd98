"""German and English sentences out of a Ding dictionary, as parallel text files.

The dictionary (https://dict.tu-chemnitz.de, GPL; Debian's package ``trans-de-en``) has one entry a line, German and
English parted by ``::``, and in each the headword and its examples parted by ``|``. Examples that are whole sentences
become pairs; where there are fewer than asked for, phrases of several words follow. Nothing of it is part of this
project: run this on your own copy.

    apt-get install trans-de-en
    python scripts/de_en_sentences.py --out data/de-en --pairs 15000

writes ``train.de``, ``train.en``, ``valid.de``, ``valid.en``, ``test.de`` and ``test.en``. Whole entries are held out,
so that no held-out sentence has a variant of itself in the training text.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

DICTIONARY = Path("/usr/share/trans/de-en")

# Notes on grammar and use: {f}, [mus.], <other spelling>, (explanation).
_NOTES = re.compile(r"\{[^}]*\}|\[[^\]]*\]|<[^>]*>|\([^)]*\)")
_QUOTES = str.maketrans("\u2018\u2019\u201c\u201d\u201e\u2013", '\'\'"""-')
_ENDS = (".", "!", "?")
_WORDS = range(3, 26)
# Alternatives ("a/an", "sb.", "etw.") have no one translation.
_ODD = re.compile(r"[/|;:]|\b(sb|sth|so|jd|jdn|jdm|jds|etw|usw|etc|esp|bes)\b\.?|\.\.\.|\u2026|\d{3}")

Pair = tuple[str, str]


def entries(lines: Iterable[str]) -> Iterator[tuple[list[Pair], list[Pair]]]:
    """Yield the sentences and the phrases of each entry."""
    for line in lines:
        german, found, english = line.strip().partition(" :: ")
        cells = german.split(" | "), english.split(" | ")
        if line.startswith("#") or not found or len(cells[0]) != len(cells[1]):
            continue
        both = ((first(one), first(other)) for one, other in zip(*cells, strict=True))
        pairs = [pair for pair in both if usable(pair)]
        sentences = [pair for pair in pairs if all(text.endswith(_ENDS) for text in pair)]
        yield sentences, [pair for pair in pairs if not any(text.endswith(_ENDS) for text in pair)]


def first(cell: str) -> str:
    """Return the first of a cell's alternatives, without notes, in plain quotation marks."""
    return " ".join(_NOTES.sub(" ", cell.partition(";")[0]).translate(_QUOTES).split()).replace(" .", ".")


def usable(pair: Pair) -> bool:
    """Tell whether both sides are several words and say one thing."""
    return all(len(text.split()) in _WORDS and not _ODD.search(text) for text in pair)


def pairs_by_entry(file: Path, wanted: int) -> list[list[Pair]]:
    """Return pairs, entry by entry, each side once: all sentences, and phrases where they are fewer than ``wanted``."""
    text = file.read_text(encoding="utf-8").splitlines()
    sentences, phrases = zip(*entries(text), strict=True)
    seen: tuple[set[str], set[str]] = (set(), set())
    kept = [_new(group, seen) for group in sentences]
    count = sum(map(len, kept))
    for number, group in enumerate(phrases):
        if count >= wanted:
            break
        fresh = _new(group, seen)
        kept[number] = kept[number] + fresh
        count += len(fresh)
    return [group for group in kept if group]


def _new(group: list[Pair], seen: tuple[set[str], set[str]]) -> list[Pair]:
    kept = []
    for german, english in group:
        if german.lower() in seen[0] or english.lower() in seen[1]:
            continue
        seen[0].add(german.lower())
        seen[1].add(english.lower())
        kept.append((german, english))
    return kept


def write(folder: Path, name: str, pairs: list[Pair]) -> None:
    """Write ``name.de`` and ``name.en``."""
    for suffix, texts in zip(("de", "en"), zip(*pairs, strict=True), strict=True):
        (folder / f"{name}.{suffix}").write_text("\n".join(texts) + "\n", encoding="utf-8")


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description="German and English sentences out of a Ding dictionary")
    parser.add_argument("--dictionary", type=Path, default=DICTIONARY)
    parser.add_argument("--out", type=Path, required=True, help="folder")
    parser.add_argument("--pairs", type=int, default=15_000, help="of all files together")
    parser.add_argument("--held-out", type=int, default=500, help="of the valid and the test files, each")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    groups = pairs_by_entry(args.dictionary, args.pairs)
    order = np.random.default_rng(args.seed).permutation(len(groups))
    pairs = [pair for number in order for pair in groups[number]][: args.pairs]
    args.out.mkdir(parents=True, exist_ok=True)
    held = args.held_out
    for name, part in (("test", pairs[:held]), ("valid", pairs[held : 2 * held]), ("train", pairs[2 * held :])):
        write(args.out, name, part)
        print(f"{name}: {len(part)} pairs, {sum(len(german.split()) for german, _ in part)} German words")  # noqa: T201


if __name__ == "__main__":
    main()
