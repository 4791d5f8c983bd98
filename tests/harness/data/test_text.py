"""Text and tokenisers: what is read, what is refused by its name, and windows that a resumed training meets."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hwnas import supernets
from hwnas.harness import data
from hwnas.supernets.decoder.text import Text
from hwnas.supernets.decoder.tokens import tokeniser
from hwnas.supernets.errors import DataError, UsageError
from hwnas.supernets.training import TrainingTask
from hwnas.supernets.training.loop import train
from hwnas.supernets.training.task import AccompaniedTask, KnownTask, SoftTask

NET = supernets.get("hw-gpt-s:vocabulary=bytes,scale=0.0625")
WORDS = b"the quick brown fox jumps over the lazy dog, and then sleeps in the shade of a tree. " * 40


@pytest.fixture
def text(tmp_path):
    file = tmp_path / "a.txt"
    file.write_bytes(WORDS)
    return file


@pytest.fixture
def pieces(tmp_path):
    sentencepiece = pytest.importorskip("sentencepiece", reason="pip install 'hwnas[language]'")
    file = tmp_path / "words.model"
    with file.open("wb") as out:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(WORDS.decode().split(",")), model_writer=out, vocab_size=36, minloglevel=2
        )
    return file


@pytest.fixture
def json(tmp_path):
    tokenizers = pytest.importorskip("tokenizers", reason="pip install 'hwnas[language]'")
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.train_from_iterator(
        WORDS.decode().split(","), tokenizers.trainers.BpeTrainer(vocab_size=60, show_progress=False)
    )
    made.enable_truncation(5)
    made.enable_padding(length=700)
    file = tmp_path / "words.json"
    made.save(str(file))
    return file


# --- files -----------------------------------------------------------------------------------------------------------


def test_folders_and_lists_of_files_are_read_in_order(tmp_path):
    (tmp_path / "b").mkdir()
    for name, content in (("b/z.md", "two"), ("a.txt", "one"), ("c.png", "no text"), ("d.txt", "three")):
        (tmp_path / name).write_text(content)
    assert [content for _, content in Text.read(str(tmp_path)).files] == [b"one", b"two", b"three"]
    both = Text.read(f"{tmp_path / 'd.txt'},{tmp_path / 'a.txt'}")
    assert bytes(both.tokens(tokeniser("bytes")).astype(np.uint8)) == b"three\none"
    assert both.digest != Text.read(f"{tmp_path / 'a.txt'},{tmp_path / 'd.txt'}").digest


def test_a_name_with_a_comma_is_a_file(tmp_path):
    file = tmp_path / "a,b.txt"
    file.write_text("one")
    assert Text.read(str(file)).size == 3


@pytest.mark.parametrize(
    ("name", "content", "named"),
    [
        ("none.txt", None, r"none\.txt: no such file"),
        ("empty.txt", b"", r"empty\.txt: is empty"),
        ("\0.txt", None, "cannot be read"),
    ],
)
def test_what_is_no_text_is_refused_by_its_name(tmp_path, name, content, named):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=named):
        data.get(f"text:{tmp_path / name}", NET)


def test_a_folder_without_text_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"has no file that ends in \.txt"):
        data.get(f"text:{tmp_path}", NET)


# --- tokenisers ------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=40))
def test_bytes_are_their_own_tokens(content):
    assert bytes(tokeniser("bytes").encode(content, "a").astype(np.uint8)) == content


@pytest.mark.parametrize("kind", ["pieces", "json"])
def test_tokenisers_of_files_split_a_text(request, kind):
    file = request.getfixturevalue(kind)
    found = tokeniser(str(file))
    tokens = found.encode(WORDS, "a")
    # Truncation and padding, which a file may ask for, are for sentences.
    assert 20 < found.size <= 60
    assert 100 < len(tokens) < len(WORDS)
    assert tokens.max() < found.size
    with pytest.raises(DataError, match=r"a\.txt: is not UTF-8 .*at byte 3"):
        found.encode(b"abc\xff", "a.txt")


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (None, "no such file"),
        (b'{"a": 1}', "is no tokeniser of tokenizers"),
        (b"neither", "neither a tokenizer.json nor"),
    ],
)
def test_what_is_no_tokeniser_is_refused(tmp_path, content, named):
    pytest.importorskip("tokenizers", reason="pip install 'hwnas[language]'")
    pytest.importorskip("sentencepiece", reason="pip install 'hwnas[language]'")
    file = tmp_path / "t.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError, match=named):
        tokeniser(str(file))


def test_a_vocabulary_that_is_too_small_is_refused(text, json):
    small = supernets.get("hw-gpt-s:vocabulary=20,scale=0.0625")
    with pytest.raises(UsageError, match=r"words\.json: has \d+ tokens, hw-gpt-s:.* has a vocabulary of 20"):
        data.get(f"text:{text},tokenizer={json}", small)
    with pytest.raises(UsageError, match="no tokeniser of its own; expected tokenizer=FILE"):
        data.get(f"text:{text}", small)


# --- training --------------------------------------------------------------------------------------------------------


def test_a_text_is_a_task(text):
    task = data.get(f"{text},window=32,batch=4", NET)
    assert isinstance(task, TrainingTask)
    assert isinstance(task, SoftTask)
    assert isinstance(task, KnownTask)
    (tokens,) = next(task.batches(np.random.default_rng(0)))
    assert tokens.shape == (4, 33)
    assert all(bytes(row.numpy().astype(np.uint8)) in WORDS for row in tokens)
    logits = torch.nn.functional.one_hot(tokens[:, 1:], 256) * 50.0
    assert task.loss(logits, (tokens,)) < 1e-6
    assert task.soft_loss(logits, logits) < 1e-6


def test_a_resumed_epoch_goes_on_with_the_same_windows(text):
    task = data.get(f"text:{text},window=16,batch=8", NET)
    whole = [batch[0] for batch in task.batches(np.random.default_rng(3))]
    later = [batch[0] for batch in task.batches(np.random.default_rng(3), start=5)]
    assert len(whole) == task.batches_per_epoch
    assert all(torch.equal(*pair) for pair in zip(whole[5:], later, strict=True))
    assert not torch.equal(whole[0], next(task.batches(np.random.default_rng(4)))[0])


@given(st.integers(2, 60), st.integers(1, 9), st.integers(3, 200))
def test_every_window_lies_within_the_text(window, batch, length):
    from hwnas.harness.data.text import TextTask
    from hwnas.supernets.decoder.tokens import Bytes

    if length <= window:
        return
    task = TextTask("text:a", Text("a", (("a", b"x"),)), Bytes(), np.arange(length), window, batch)
    batches = [tokens for (tokens,) in task.batches(np.random.default_rng(length))]
    assert len(batches) == task.batches_per_epoch
    assert all(tokens.shape == (batch, window + 1) for tokens in batches)
    assert all(torch.equal(tokens.diff(), torch.ones_like(tokens.diff())) for tokens in batches)


def test_the_windows_of_an_epoch_begin_anywhere_and_use_every_token_in_time():
    from hwnas.harness.data.text import TextTask
    from hwnas.supernets.decoder.tokens import Bytes

    # Four windows of ten tokens and what follows them, of 48 tokens: they may begin at 0 to 7.
    task = TextTask("text:a", Text("a", (("a", b"x"),)), Bytes(), np.arange(48), window=10, batch=4)
    epochs = [next(task.batches(np.random.default_rng(seed)))[0] for seed in range(60)]
    assert {int(tokens.min()) for tokens in epochs} == set(range(8))
    assert all(tokens[:, 0].sort().values.diff().tolist() == [10, 10, 10] for tokens in epochs)
    assert max(int(tokens.max()) for tokens in epochs) == 47


@pytest.mark.parametrize(
    ("options", "error", "named"),
    [
        ("window=4000", UsageError, "window=4000: hw-gpt-s.* reads at most 1024 tokens"),
        ("window=1", UsageError, "window=1: expected a whole number from 2"),
        ("window=1000", DataError, r"a\.txt: has 90 tokens, expected more than window=1000"),
        ("tokenizer=none.json", UsageError, "none.json: no such file"),
        ("stride=3", UsageError, "unknown option 'stride'"),
    ],
)
def test_options_that_do_not_fit_are_refused(text, options, error, named):
    text.write_bytes(WORDS[:90])
    with pytest.raises(error, match=named):
        data.get(f"text:{text},{options}", NET)


def test_a_network_that_reads_no_text_is_refused(text):
    with pytest.raises(UsageError, match="is trained on images"):
        data.get(f"text:{text}", supernets.get("ofa-mbv3-w1.0"))


@pytest.mark.slow
def test_training_lowers_the_loss_and_goes_on_where_it_was_cut(text, json, tmp_path):
    from dataclasses import replace

    net = supernets.get("hw-gpt-s:vocabulary=60,scale=0.0625")
    task = data.get(f"text:{text},window=16,batch=4,tokenizer={json}", net)
    assert isinstance(task, AccompaniedTask)
    options = replace(task.defaults, steps=6)
    losses = []
    whole = train(net, task, options, tmp_path / "a.pt", progress=lambda event: losses.append(event.loss))
    assert whole.step == 6
    assert losses[-1] < losses[0]
    assert (tmp_path / "a.tokenizer.json").read_bytes() == json.read_bytes()

    def cut(event):
        if event.step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(net, task, options, tmp_path / "b.pt", progress=cut)
    train(net, task, options, tmp_path / "b.pt", resume=True)
    left, right = (net.shared(str(tmp_path / name)).tensors for name in ("a.pt", "b.pt"))
    assert all(torch.equal(left[key], right[key]) for key in left)
