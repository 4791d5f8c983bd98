"""Beam search against enumerating every sentence, and against a greedy search spelled out."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from hwnas import supernets
from hwnas.supernets.transformer.beam import BeamSearch
from hwnas.supernets.transformer.dimensions import BOS, EOS, PAD

# Few tokens, so that every sentence of up to three can be tried.
NET = supernets.get("hat-transformer:layers=1,qkv=8,vocab=16,embed=8,ffn=8,heads=2")
SOURCE = torch.tensor([[5, 9, 7, EOS], [6, 6, EOS, PAD], [15, EOS, PAD, PAD]])


@pytest.fixture(scope="module")
def module():
    return NET.build(NET.space.decode(NET.space.largest())[0])


def log_probability(module, source, sentence):
    """Return that of a sentence with its end, by the whole network; beginnings and padding are not spoken."""
    target = torch.tensor([[EOS, *sentence]])
    with torch.no_grad():
        logits = module(source, target)[0]
    chosen = logits.log_softmax(-1)[range(len(sentence) + 1), [*sentence, EOS]]
    return float(chosen.sum())


@pytest.mark.slow
@pytest.mark.parametrize("penalty", [0.0, 0.6, 2.0])
def test_as_many_beams_as_sentences_find_the_best_of_all(module, penalty):
    words = [token for token in range(16) if token not in (BOS, PAD, EOS)]
    sentences = [s for n in range(3) for s in itertools.product(words, repeat=n)]
    steps = 3
    for row in range(len(SOURCE)):
        source = SOURCE[row : row + 1]
        worth = {s: log_probability(module, source, s) / (len(s) + 1) ** penalty for s in sentences}
        best = max(worth, key=worth.get)
        (found,) = BeamSearch(200, penalty).translate(module, source, steps)
        assert tuple(found) == best


def test_one_beam_is_greedy(module):
    for row in range(len(SOURCE)):
        source, sentence = SOURCE[row : row + 1], []
        while len(sentence) < 5:
            with torch.no_grad():
                logits = module(source, torch.tensor([[EOS, *sentence]]))[0, -1]
            logits[[BOS, PAD]] = -torch.inf
            # fairseq's one beam ends where the end is the best token, and goes on with the best other one.
            if int(logits.argmax()) == EOS:
                break
            sentence.append(int(logits.argmax()))
        assert BeamSearch(1, 0.6).translate(module, source, 6) == [sentence]


def test_sentences_do_not_depend_on_those_beside_them(module):
    search = BeamSearch(4, 0.6)
    together = search.translate(module, SOURCE, 8)
    alone = [search.translate(module, SOURCE[row : row + 1], 8)[0] for row in range(len(SOURCE))]
    assert together == alone


def test_nothing_is_longer_than_asked_for_or_holds_special_tokens(module):
    for steps in (2, 3, 9):
        for sentence in BeamSearch(5, 0.6).translate(module, SOURCE, steps):
            assert len(sentence) < steps
            assert not {BOS, PAD, EOS} & set(sentence)


def test_the_module_is_unchanged(module):
    before = {key: value.clone() for key, value in module.state_dict().items()}
    BeamSearch().translate(module, SOURCE, 5)
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())
    assert not module.training
    np.testing.assert_equal(len(list(module.parameters())), len(before))
