from __future__ import annotations

import pytest

from hwnas import supernets
from hwnas.latency_luts.keys import key, nearest, split
from hwnas.supernets.blocks import Block, distinct_blocks


def test_once_for_alls_spelling():
    options = (("hs", 1), ("idskip", 0), ("kernel", 5), ("mid", 144), ("se", 1), ("stride", 2))
    assert key(Block("mbconv", (28, 28, 48), (14, 14, 96), options)) == (
        "expanded_conv-input:28x28x48-output:14x14x96-expand:144-kernel:5-stride:2-idskip:0-se:1-hs:1"
    )
    assert key(Block("classifier", (1, 1, 1536), (1000,))) == "Logits-input:1x1x1536-output:1000"


def test_other_kinds_are_spelled_with_all_of_their_options():
    block = Block("attention", (30, 512), (30, 512), (("heads", 8), ("width", 512)))
    assert key(block) == "attention-input:30x512-output:30x512-heads:8-width:512"


@pytest.mark.parametrize("name", ["ofa-mbv3-w1.0", "ofa-mbv3-w1.2", "ofa-mbv3-w1.2:r=160+224"])
def test_blocks_of_different_cost_have_different_keys(name):
    blocks = list(distinct_blocks(supernets.get(name).slots))
    assert len({key(block) for block in blocks}) == len(blocks)


def test_nearest_prefers_the_same_kind():
    known = ["Conv-input:8x8x16-output:4x4x24", "Logits-input:1x1x8-output:10", "Conv-input:8x8x3-output:4x4x16"]
    assert nearest("Conv-input:8x8x3-output:4x4x32", known, 2) == [known[2], known[0]]
    assert nearest("Other-input:1", known, 1)
    assert nearest("anything", []) == []


def test_a_key_is_split_into_its_word_and_fields():
    assert split("Conv-input:8x8x3-output:4x4x16") == ("Conv", {"input": "8x8x3", "output": "4x4x16"})
    assert split("word") == ("word", {})
    assert split("a-b:c:d") == ("a", {"b": "c:d"})
    for bad in ("", "-input:1", "Conv-input", "Conv-:1", "Conv-input:"):
        with pytest.raises(ValueError, match=f"expected a key like WORD-input:HxWxC-output:HxWxC, got {bad!r}"):
            split(bad)


def test_three_are_near_and_only_of_the_same_kind():
    known = [f"Conv-input:8x8x{n}" for n in range(5)] + ["Conv_1-input:8x8x9", "Other-input:8x8x9"]
    near = nearest("Conv-input:8x8x9", known)
    assert len(near) == 3
    assert all(name.startswith("Conv-") for name in near)
    assert len(nearest("Conv-input:8x8x9", known, 5)) == 5
    # The word is what stands before the first dash, whatever follows.
    assert nearest("b-x:1-y:2", ["a-x:1-y:2", "b-p:7"]) == ["b-p:7"]
    assert nearest("b-x:1-y:2", ["a-x:1-y:2", "b-p:7-q:8-r:9"]) == ["b-p:7-q:8-r:9"]
    assert set(nearest("c-x:1", ["a-x:1", "b-p:7"])) == {"a-x:1", "b-p:7"}
