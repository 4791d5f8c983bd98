"""What every kind of training data must hold, on small data of each kind."""

from __future__ import annotations

import numpy as np
import pytest
from conforming import every_check, hold
from PIL import Image

from hwnas.conformance import Request, training_data
from hwnas.harness import data

WORDS = ["eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun", "zehn"]
OWN = """
import torch

def model():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3)).eval(), torch.rand(1, 4)

def batches():
    torch.manual_seed(1)
    return [torch.randn(5, 4) for _ in range(4)]
"""


def images(folder):
    rng = np.random.default_rng(0)
    for number in range(12):
        place = folder / "train" / f"class{number % 2}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(place / f"{number}.png")
    return f"{folder},batch=4", "ofa-mbv3-w1.0:r=16,classes=2,scale=0.1"


def translation(folder):
    pytest.importorskip("sentencepiece", reason="pip install 'hwnas[translation]'")
    sentences = [" ".join(np.random.default_rng(n).permutation(WORDS)[: 1 + n % 7]) for n in range(80)]
    for name, text in (("a.de", sentences), ("b.en", sentences[::-1])):
        (folder / name).write_text("\n".join(text), encoding="utf-8")
    net = "hat-transformer:layers=1,qkv=8,vocab=60,embed=8,ffn=8,heads=2"
    return f"{folder / 'a.de'},{folder / 'b.en'},batch=128,longest=30", net


def interactions(folder):
    rng = np.random.default_rng(0)
    rows = [(user, item) for user in range(40) for item in rng.permutation(150)[:12]]
    (folder / "u.data").write_text("".join(f"{user}\t{item}\t5\t{n}\n" for n, (user, item) in enumerate(rows)))
    return f"{folder / 'u.data'},batch=32", "ncf:users=40,items=150"


def text(folder):
    (folder / "it.txt").write_text(" ".join(WORDS * 60), encoding="utf-8")
    return f"{folder / 'it.txt'},window=16,batch=4", "hw-gpt-s:vocabulary=bytes,scale=0.125,prompt=8,new=2"


def python(folder):
    (folder / "own.py").write_text(OWN)
    return f"{folder / 'own.py'}:batches", f"elastic:model={folder / 'own.py'}:model"


MADE = {"images": images, "interactions": interactions, "python": python, "text": text, "translation": translation}


def test_every_kind_is_here():
    assert sorted(MADE) == sorted(data.registry.names())


@pytest.mark.parametrize(("name", "check"), every_check(training_data.SUITE, sorted(MADE)))
def test_every_one(name, check, tmp_path):
    argument, net = MADE[name](tmp_path)
    hold(check, training_data.SUITE.subject(Request(name, argument, net)))
