"""Perplexity on a text: every token counts once, by windows that do or do not overlap; what is refused."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hwnas import supernets
from hwnas.harness import quality
from hwnas.harness.quality import QualityOptions
from hwnas.harness.quality.perplexity import Windows, corpus_perplexity
from hwnas.supernets.errors import DataError, QualityError, UsageError

NET = supernets.get("hw-gpt-s:vocabulary=bytes,scale=0.0625")
WORDS = b"the quick brown fox jumps over the lazy dog. " * 20


@pytest.fixture
def text(tmp_path):
    file = tmp_path / "a.txt"
    file.write_bytes(WORDS)
    return file


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    file = tmp_path_factory.mktemp("weights") / "w.pt"
    NET.shared(seed=1).save(file)
    return str(file)


def scored(text, weights, options="window=32", X=None, **more):
    found = quality.get(f"perplexity:{text},{options}", NET, QualityOptions(weights=weights, **more))
    return found.scores(NET.space.smallest() if X is None else X)


@given(st.integers(3, 300), st.integers(2, 40), st.data())
def test_every_token_but_the_first_is_predicted_once(n, length, data):
    stride = data.draw(st.integers(1, length))
    windows = Windows.of(np.arange(n), length, stride)
    found = [windows.at(row)[1:][first:] for row, first in enumerate(windows.firsts)]
    assert np.array_equal(np.concatenate(found), np.arange(1, n))
    # And each sees as much as the windows allow.
    for row, first in enumerate(windows.firsts):
        assert first == (0 if row == 0 else length - stride)


@pytest.mark.slow
@pytest.mark.parametrize("options", ["window=32", "window=32,stride=8", "window=1000"])
def test_it_is_the_exponential_of_the_mean_loss(text, weights, options):
    if options == "window=1000":
        text.write_bytes(WORDS[:401] * 3)
    tokens = np.frombuffer(text.read_bytes(), dtype=np.uint8).astype(np.int64)
    (score,) = scored(text, weights, options)
    config = NET.space.decode(NET.space.smallest())[0]
    module = NET.build(config, weights)
    length = int(options.partition("=")[2].partition(",")[0])
    stride = 8 if "stride" in options else length
    windows, losses = Windows.of(tokens, length, stride), []
    with torch.no_grad():
        for row, first in enumerate(windows.firsts):
            one = torch.from_numpy(windows.at(row))
            logits = module(one[None, :-1])[0].double().log_softmax(-1)
            losses += [-float(logits[at, one[at + 1]]) for at in range(first, len(one) - 1)]
    assert len(losses) == score.n == len(tokens) - 1
    assert score.value == pytest.approx(math.exp(np.mean(losses)), rel=1e-5)
    assert score.others["bits_per_byte"] == pytest.approx(
        np.mean(losses) / math.log(2) * (len(tokens) - 1) / len(tokens), rel=0.01
    )
    if len(windows.begins) > 1:
        assert score.low < score.value < score.high


def test_the_interval_is_that_of_means_of_windows():
    rng = np.random.default_rng(0)
    value, low, high = corpus_perplexity(rng.normal(320, 10, 400), np.full(400, 100))
    assert value == pytest.approx(math.exp(3.2), rel=0.01)
    assert math.log(high / low) == pytest.approx(2 * 1.96 * 0.1 / 20, rel=0.15)
    assert math.isnan(corpus_perplexity(np.array([3.0]), np.array([2]))[1])


@pytest.mark.parametrize("windows", [2, 3, 6, 30])
def test_intervals_of_few_windows_hold_the_truth_as_often_as_of_many(windows):
    rng = np.random.default_rng(windows)
    drawn = (corpus_perplexity(rng.normal(320, 10, windows), np.full(windows, 100)) for _ in range(2000))
    held = np.mean([low <= math.exp(3.2) <= high for _, low, high in drawn])
    assert held == pytest.approx(0.95, abs=0.02)


@pytest.mark.slow
def test_some_windows_are_enough_while_a_search_goes_on(text, weights, tmp_path):
    from hwnas.harness.store import Store

    assert quality.brief_subset("perplexity:x", NET) == 64
    with Store.open(str(tmp_path / "s.db")) as store:
        (some,) = scored(text, weights, subset=3, store=store)
        (whole,) = scored(text, weights, store=store)
    assert some.n == 96
    assert whole.n == len(WORDS) - 1
    assert some.value != whole.value


@pytest.mark.slow
def test_better_weights_have_a_lower_perplexity_and_smaller_is_better(text, weights):
    from hwnas.harness import data
    from hwnas.supernets.training.loop import train

    task = data.get(f"text:{text},window=16,batch=4", NET)
    file = text.with_name("t.pt")
    train(NET, task, replace(task.defaults, steps=8, warmup=2), file)
    (before,), (after,) = scored(text, weights), scored(text, str(file))
    assert after.value < before.value
    found = quality.get(f"perplexity:{text}", NET, QualityOptions(weights=weights))
    assert (found.metric, found.maximise, found.costs_nothing) == ("perplexity", False, False)


def test_weights_are_needed(text):
    with pytest.raises(QualityError, match="needs the super-network's weights"):
        quality.get(f"perplexity:{text}", NET)


@pytest.mark.parametrize(
    ("options", "error", "named"),
    [
        ("window=2000", QualityError, "reads at most 1024 tokens"),
        ("window=900", DataError, r"a\.txt: has 900 tokens, expected more than window=900"),
        ("stride=300", QualityError, "stride=300: expected at most window=256"),
        ("tokenizer=none", QualityError, "tokenizer=none: no such file"),
        ("batch=3", QualityError, "unknown option 'batch'"),
    ],
)
def test_options_that_do_not_fit_are_refused(text, weights, options, error, named):
    with pytest.raises(error, match=named):
        quality.get(f"perplexity:{text},{options}", NET, QualityOptions(weights=weights))


def test_a_network_that_reads_no_text_is_refused(text):
    with pytest.raises(QualityError, match=r"predicts no text; for ofa-mbv3-w1\.0 use"):
        quality.get(f"perplexity:{text}", supernets.get("ofa-mbv3-w1.0"), QualityOptions(weights="x"))


def test_weights_that_are_not_finite_are_refused_with_the_file_and_the_tensor(text, tmp_path):
    shared = NET.shared(seed=1)
    state = {key: tensor.detach() for key, tensor in shared.tensors.items()}
    state["h.3.attn.attn.weight"] = torch.full_like(state["h.3.attn.attn.weight"], math.nan)
    torch.save({"state_dict": state}, tmp_path / "nan.pt")
    with pytest.raises(UsageError, match=r"nan\.pt.*h\.3\.attn\.attn\.weight: .* not finite"):
        scored(text, str(tmp_path / "nan.pt"))
