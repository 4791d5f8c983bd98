"""A checkpoint that holds more than tensors names what, and nobody is advised to trust it."""

from __future__ import annotations

import argparse
import collections
import datetime as dt
import pathlib

import numpy as np
import pytest
import torch

from hwnas.supernets.checkpoints import read_document
from hwnas.supernets.errors import UsageError


@pytest.mark.parametrize(
    ("held", "named"),
    [
        (argparse.Namespace(lr=0.1), "argparse.Namespace"),
        (np.float64(0.5), "numpy"),
        (np.zeros(3), "numpy"),
        (pathlib.Path("/x"), "pathlib"),
        (dt.date(2026, 1, 1), "datetime.date"),
        (collections.UserDict(a=1), "collections.UserDict"),
    ],
)
def test_the_object_is_named_and_what_to_do(tmp_path, held, named):
    file = tmp_path / "w.pt"
    torch.save({"state_dict": {"a": torch.ones(1)}, "args": held}, file)
    with pytest.raises(UsageError) as refused:
        read_document(file)
    said = str(refused.value)
    assert f"it holds a {named}" in said
    assert "save the tensors alone" in said
    assert not any(word in said for word in ("trust", "weights_only", "safe_globals"))
