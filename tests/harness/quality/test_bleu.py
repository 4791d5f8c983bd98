"""BLEU: against its formula, and of sub-networks that have learned a small language."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from hwnas import supernets
from hwnas.harness import data, quality
from hwnas.harness.quality import QualityOptions
from hwnas.harness.quality.bleu import corpus_bleu, signature
from hwnas.harness.store import Store
from hwnas.supernets.errors import DataError, QualityError, UsageError
from hwnas.supernets.training.loop import train

pytestmark = pytest.mark.slow

pytest.importorskip("sacrebleu", reason="pip install 'hwnas[translation]'")
pytest.importorskip("sentencepiece", reason="pip install 'hwnas[translation]'")

NET = supernets.get("hat-transformer:layers=1,qkv=32,vocab=60,dropout=0,embed=24+32,ffn=48+64,heads=2+4")
GERMAN = ["eins", "zwei", "drei", "vier", "acht", "neun", "zehn"]
ENGLISH = ["one", "two", "three", "four", "eight", "nine", "ten"]


# --- the metric ------------------------------------------------------------------------------------------------------

TRANSLATIONS = ["the cat sat on the mat", "a dog ran to the big house"]
REFERENCES = ["the cat sat on a mat", "the dog ran to the big red house"]


def by_hand(translations, references):
    """Papineni et al. (2002): brevity penalty times the geometric mean of clipped n-gram precisions, all at once."""
    logs = []
    for n in range(1, 5):
        right = total = 0
        for ours, theirs in zip(translations, references, strict=True):
            found, wanted = (
                Counter(zip(*(text.split()[k:] for k in range(n)), strict=False)) for text in (ours, theirs)
            )
            right += sum((found & wanted).values())
            total += sum(found.values())
        logs.append(math.log(right / total))
    ours, theirs = (sum(len(text.split()) for text in texts) for texts in (translations, references))
    return 100 * min(1.0, math.exp(1 - theirs / ours)) * math.exp(sum(logs) / 4)


def test_corpus_bleu_is_papinenis():
    found = corpus_bleu(TRANSLATIONS, REFERENCES)
    assert found.value == pytest.approx(by_hand(TRANSLATIONS, REFERENCES))
    assert found.n == 2
    assert found.low <= found.value <= found.high
    assert corpus_bleu(REFERENCES, REFERENCES).value == pytest.approx(100)


def test_it_is_no_mean_over_sentences():
    singles = [corpus_bleu([one], [other]).value for one, other in zip(TRANSLATIONS, REFERENCES, strict=True)]
    assert abs(np.mean(singles) - corpus_bleu(TRANSLATIONS, REFERENCES).value) > 0.5


def test_the_signature_tells_how():
    assert "tok:13a" in signature()
    assert "case:mixed" in signature()
    assert "version:" in signature()


# --- the source ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A language in which every word has its translation, and weights that have learned it."""
    folder = tmp_path_factory.mktemp("translation")
    rng = np.random.default_rng(0)
    for name, n in (("train", 400), ("test", 40)):
        rows = [rng.integers(len(GERMAN), size=rng.integers(2, 6)) for _ in range(n)]
        for suffix, words in (("de", GERMAN), ("en", ENGLISH)):
            text = "\n".join(" ".join(words[word] for word in row) for row in rows)
            (folder / f"{name}.{suffix}").write_text(text + "\n")
    task = data.get(f"{folder}/train.de,{folder}/train.en,batch=512", NET)
    train(NET, task, _options(task), folder / "weights.pt")
    return folder


def _options(task):
    from dataclasses import replace

    return replace(task.defaults, steps=250, lr=5e-3, warmup=40)


@pytest.fixture
def spec(folder):
    return f"bleu:{folder}/test.de,{folder}/test.en"


def source(spec, folder, **options):
    return quality.get(spec, NET, QualityOptions(weights=str(folder / "weights.pt"), **options))


def test_training_writes_the_subwords_beside_the_weights(folder):
    assert (folder / "weights.spm").is_file()


def test_what_was_learned_is_translated(spec, folder):
    found = source(spec, folder)
    smallest, largest = found.scores(np.concatenate([NET.space.smallest(), NET.space.largest()]))
    copied = largest.others["copy_bleu"]
    assert largest.value > copied + 50
    assert smallest.value > copied + 20
    assert largest.n == 40
    assert largest.low <= largest.value <= largest.high
    assert (found.metric, found.unit, found.maximise, found.predicted, found.costs_nothing) == (
        "bleu",
        "",
        True,
        False,
        False,
    )


def test_the_note_and_the_source_carry_the_signature_the_baseline_and_the_data(spec, folder):
    found = source(spec, folder)
    for text in (found.note, found.source):
        assert signature() in text
        assert "copying the source reaches" in text
        assert "beam 5, length penalty 0.6" in text
        assert "40 of 40 sentences" in text


def test_values_are_kept_and_a_subset_is_the_same_every_time(spec, folder, tmp_path, monkeypatch):
    heard = []
    with Store.open(f"sqlite:///{tmp_path / 's.db'}") as store:
        first = source(spec, folder, subset=10, store=store, progress=heard.append)
        values = first.evaluate(NET.space.largest())
        assert heard[-1].done == heard[-1].total == 10
        again = source(spec, folder, subset=10, store=store)
        monkeypatch.setattr(type(again.score), "translations", None)
        assert np.array_equal(again.evaluate(NET.space.largest()), values)
        with pytest.raises(TypeError):
            source(spec, folder, subset=11, store=store).evaluate(NET.space.largest())


@pytest.mark.parametrize(
    ("text", "line"),
    [("eins\n\nzwei\n", r"t\.de:2: is empty"), ("eins\n", r"t\.en:2: has no counterpart"),
     ("eins\n\u4f60\u597d\n", r"t\.de:2: nothing of it is in the vocabulary")],
)  # fmt: skip
def test_data_that_does_not_serve_is_refused_with_its_line(folder, tmp_path, text, line):
    (tmp_path / "t.de").write_text(text)
    (tmp_path / "t.en").write_text("one\ntwo\n" if text.count("\n") < 3 else "one\ntwo\nthree\n")
    with pytest.raises(DataError, match=line):
        source(f"bleu:{tmp_path}/t.de,{tmp_path}/t.en", folder)


def test_weights_of_another_vocabulary_are_refused(spec, folder):
    other = supernets.get("hat-transformer:layers=1,qkv=32,vocab=61,dropout=0,embed=24+32,ffn=48+64,heads=2+4")
    with pytest.raises(QualityError, match="has 60 subwords, the super-network 61"):
        quality.get(spec, other, QualityOptions(weights=str(folder / "weights.pt")))


def test_other_super_networks_and_a_missing_text_are_refused(spec, folder):
    options = QualityOptions(weights=str(folder / "weights.pt"))
    with pytest.raises(QualityError, match="ncf: translates nothing"):
        quality.get(spec, supernets.get("ncf"), options)
    with pytest.raises(QualityError, match="expected bleu:SRC,TGT"):
        quality.get("bleu", NET, options)


def test_a_training_goes_on_with_its_own_subwords_alone(folder, tmp_path):
    from dataclasses import replace

    task = data.get(f"{folder}/test.de,{folder}/test.en,batch=512", NET)
    options = replace(task.defaults, steps=2)
    file = tmp_path / "weights.pt"
    train(NET, task, options, file)
    assert train(NET, task, options, file, resume=True).step == 2
    (tmp_path / "weights.spm").write_bytes(b"others")
    with pytest.raises(UsageError, match=r"weights\.spm: was made from other data"):
        train(NET, task, options, file, resume=True)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_network_whose_logits_are_none_has_no_bleu(spec, folder, monkeypatch, value):
    from hwnas.supernets.transformer.network import DecoderStep

    forward, steps = DecoderStep.forward, []

    def breaking(self, *inputs):
        logits, *fresh = forward(self, *inputs)
        steps.append(logits)
        if len(steps) == 2:  # one logit of one beam, in the middle of a sentence
            logits = logits.clone()
            logits[0, -1, 5] = value
        return logits, *fresh

    monkeypatch.setattr(DecoderStep, "forward", breaking)
    (score,) = source(spec, folder).scores(NET.space.largest())
    assert np.isnan(score.value)
    assert "the network's logits: 1 of" in score.reason
