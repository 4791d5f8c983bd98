"""Parallel text and subwords: what is read, what is refused with its line, batches that a resumed training meets."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hwnas import supernets
from hwnas.harness import data
from hwnas.harness.data._parallel_text import ParallelText
from hwnas.harness.data._subwords import Subwords
from hwnas.harness.data.translation import TranslationTask
from hwnas.supernets.errors import DataError, UsageError
from hwnas.supernets.training import TrainingTask
from hwnas.supernets.training.task import AccompaniedTask
from hwnas.supernets.transformer.dimensions import BOS, EOS, PAD, UNK

pytest.importorskip("sentencepiece", reason="pip install 'hwnas[translation]'")

NET = supernets.get("hat-transformer:layers=1,qkv=8,vocab=60,embed=8,ffn=8,heads=2")
WORDS = ["eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun", "zehn"]
SENTENCES = [" ".join(np.random.default_rng(n).permutation(WORDS)[: 1 + n % 7]) for n in range(80)]


def files(folder, source, target):
    for name, text in (("a.de", source), ("b.en", target)):
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return f"{folder / 'a.de'},{folder / 'b.en'}"


@pytest.fixture
def spec(tmp_path):
    return files(tmp_path, "\n".join(SENTENCES) + "\n", "\n".join(SENTENCES[::-1]))


@pytest.fixture
def task(spec):
    return data.get(f"{spec},batch=128,longest=30", NET)


# --- files -----------------------------------------------------------------------------------------------------------


def test_lines_are_pairs(tmp_path):
    text = ParallelText.read(files(tmp_path, "\ufeffeins zwei\r\n drei\n", "one two\nthree"), "bleu")
    assert text.source == ("eins zwei", "drei")
    assert text.target == ("one two", "three")
    assert text.at([1]).source == ("drei",)


@pytest.mark.parametrize(
    ("source", "target", "named"),
    [
        ("a\nb\nc\n", "a\nb\n", r"a\.de:3: has no counterpart, .*b\.en ends at line 2"),
        ("a\n", "a\nb\n", r"b\.en:2: has no counterpart, .*a\.de ends at line 1"),
        ("a\n\nc\n", "a\nb\nc\n", r"a\.de:2: is empty"),
        ("a\nb\n", "a\n  \t\n", r"b\.en:2: is empty"),
        (b"a\n\xff\xfe\n", "a\nb\n", r"a\.de:2: is not UTF-8"),
        ("", "", r"a\.de: is empty"),
    ],
)
def test_files_that_are_no_parallel_text_are_refused_with_the_line(tmp_path, source, target, named):
    with pytest.raises(DataError, match=named):
        ParallelText.read(files(tmp_path, source, target), "bleu")


@pytest.mark.parametrize("argument", ["a.de", "a.de,", ",b.en", "a,b,c"])
def test_anything_but_two_paths_is_refused(argument):
    with pytest.raises(UsageError, match="expected bleu:SRC,TGT"):
        ParallelText.read(argument, "bleu")


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(DataError, match=r"nowhere\.de: no such file"):
        ParallelText.read("nowhere.de,nowhere.en", "bleu")


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.text(), st.text()), max_size=5))
def test_what_is_read_is_what_was_written_or_is_refused(tmp_path_factory, pairs):
    folder = tmp_path_factory.mktemp("text")
    sides = list(zip(*pairs, strict=True)) or [(), ()]
    clean = all(text.strip() and "\n" not in text and not text.startswith("\ufeff") for side in sides for text in side)
    argument = files(folder, *("".join(f"{text}\n" for text in side).encode() for side in sides))
    try:
        text = ParallelText.read(argument, "bleu")
    except DataError:
        assert not (clean and pairs)
    else:
        if clean:
            assert text.source == tuple(part.strip() for part in sides[0])


def test_texts_have_digests_of_their_own(spec):
    text = ParallelText.read(spec, "bleu")
    assert text.digest == ParallelText.read(spec, "bleu").digest
    assert text.digest != text.at(range(10)).digest


# --- subwords --------------------------------------------------------------------------------------------------------


def test_subwords_are_learned_and_round_trip():
    one, two = (Subwords.learned(SENTENCES, 60) for _ in range(2))
    assert one.content == two.content
    assert one.size == 60
    tokens = one.encode(SENTENCES)
    assert one.decode(tokens) == SENTENCES
    assert not {BOS, PAD, EOS, UNK} & {token for row in tokens for token in row}
    assert one.unknown(one.encode(["\u4f60\u597d"])[0])
    assert not one.unknown(tokens[0])


def test_too_little_text_is_refused_with_what_there_is():
    with pytest.raises(DataError, match=r"vocab=5000: expected at most \d+"):
        Subwords.learned(SENTENCES, 5000)


def test_subwords_beside_a_checkpoint(tmp_path):
    weights = tmp_path / "weights.pt"
    with pytest.raises(UsageError, match=r"weights\.spm: no such file"):
        Subwords.beside(weights, 60)
    weights.with_suffix(".spm").write_bytes(Subwords.learned(SENTENCES, 60).content)
    assert Subwords.beside(weights, 60).size == 60
    with pytest.raises(UsageError, match="has 60 subwords, the super-network 64"):
        Subwords.beside(weights, 64)
    weights.with_suffix(".spm").write_bytes(b"nothing")
    with pytest.raises(UsageError, match="is no model of sentencepiece"):
        Subwords.beside(weights, 60)


# --- the task --------------------------------------------------------------------------------------------------------


def test_it_is_a_task_with_its_subwords(task):
    assert isinstance(task, (TrainingTask, AccompaniedTask))
    assert list(task.companions) == [".spm"]
    assert "80 sentence pairs" in task.note
    assert (task.defaults.sampling, task.defaults.schedule) == ("uniform", "inverse-sqrt")


def test_an_epoch_has_every_pair_once_in_batches_of_at_most_so_many_tokens(task):
    rows = []
    batches = list(task.batches(np.random.default_rng(0)))
    assert len(batches) == task.batches_per_epoch
    for source, target in batches:
        assert source.numel() <= 128
        assert target.numel() <= 128
        assert (target[:, 0] == EOS).all()
        assert (source[:, -1].ne(PAD) | target[:, -1].ne(PAD)).any()
        for one, other in zip(source.tolist(), target.tolist(), strict=True):
            pair = ([token for token in side if token not in (PAD, EOS)] for side in (one, other))
            rows.append(tuple(task.subwords.decode(pair)))
    assert sorted(rows) == sorted(zip(SENTENCES, SENTENCES[::-1], strict=True))


def test_the_same_state_gives_the_same_batches_and_a_start_leaves_some_out(task):
    def run(seed, start=0):
        return [tuple(part.tolist() for part in batch) for batch in task.batches(np.random.default_rng(seed), start)]

    assert run(1) == run(1)
    assert run(1) != run(2)
    assert run(1, start=3) == run(1)[3:]


def test_the_loss_is_of_the_next_token_and_not_of_padding(task):
    source, target = next(task.batches(np.random.default_rng(0)))
    given, before = task.inputs((source, target), {})
    assert torch.equal(given, source)
    assert torch.equal(before, target[:, :-1])
    plain = TranslationTask(task.name, task.text, task.subwords, smoothing=0.0)
    certain = torch.nn.functional.one_hot(target[:, 1:], 60).float() * 100
    assert plain.loss(certain, (source, target)) == pytest.approx(0.0, abs=1e-4)
    certain[target[:, 1:] == PAD] = 0
    assert plain.loss(certain, (source, target)) == pytest.approx(0.0, abs=1e-4)
    assert task.loss(certain, (source, target)) > 0.1  # smoothed


@pytest.mark.parametrize(
    ("option", "named"),
    [
        ("batch=8", "expected a whole number from 101"),
        ("longest=1", "more than 1 tokens"),
        ("longest=5000", "expected less than 1024"),
        ("smothing=0.1", "did you mean 'smoothing'"),
    ],
)
def test_options_that_cannot_be_are_refused(spec, option, named):
    with pytest.raises(UsageError, match=named):
        data.get(f"{spec},{option}", NET)


def test_other_super_networks_are_refused(spec):
    with pytest.raises(UsageError, match="is trained on interactions"):
        data.get(f"translation:{spec}", supernets.get("ncf"))
