"""Which way is better, and what is no quality, as columns of measured files say by their names."""

from __future__ import annotations

import json

import pytest

from hwnas import supernets
from hwnas.harness import quality
from hwnas.supernets.errors import TableError

NET = supernets.get("ofa-mbv3-w1.0")


def source(tmp_path, column):
    (config,) = NET.space.decode(NET.space.smallest())
    cell = json.dumps(config).replace('"', '""')
    (tmp_path / "t.csv").write_text(f'config,{column}\n"{cell}",5\n')
    return quality.get(f"table:{tmp_path}/t.csv,column={column}", NET)


@pytest.mark.parametrize("column", ["loss", "val_loss", "Top-1 Error (%)", "wer", "test error", "perplexity", "rmse"])
def test_of_losses_and_errors_less_is_better(tmp_path, column):
    assert not source(tmp_path, column).maximise


@pytest.mark.parametrize("column", ["top1", "accuracy (%)", "bleu", "f1", "cereals", "mAP"])
def test_of_others_more_is_better(tmp_path, column):
    assert source(tmp_path, column).maximise


@pytest.mark.parametrize("column", ["latency_ms", "v100 (us)"])
def test_a_time_is_no_quality(tmp_path, column):
    with pytest.raises(TableError, match=r"is a time by its unit and no quality; .* platform table:file="):
        source(tmp_path, column)
