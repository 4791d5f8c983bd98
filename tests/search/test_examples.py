from __future__ import annotations

import numpy as np
import pytest

from hwnas import supernets
from hwnas.search.predictors.examples import latency_examples, measured_examples, quality_examples
from hwnas.search.report import predictors_page
from hwnas.supernets.errors import TableError, UsageError

W10 = supernets.get("ofa-mbv3-w1.0")


def test_measured_rows_count_once(tmp_path):
    X = W10.space.sample(6, 0)
    lines = ["ks,e,d,top1"]
    for config, value in zip(W10.space.decode(X[[0, 1, 2, 0]]), (70, 71, 72, 74), strict=True):
        lines.append(",".join([*(" ".join(map(str, config[key])) for key in ("ks", "e", "d")), str(value)]))
    (tmp_path / "a.csv").write_text("\n".join(lines))
    found = measured_examples(W10, [str(tmp_path / "a.csv")], "top1")
    values = dict(zip(W10.space.keys(found.X), found.y, strict=True))
    assert values == dict(zip(W10.space.keys(X[:3]), (72.0, 71.0, 72.0), strict=True))
    with pytest.raises(TableError, match="top1"):
        measured_examples(W10, [str(tmp_path / "a.csv")], "top2")


def test_a_source_is_asked_about_distinct_sub_networks():
    found = quality_examples(W10, None, 50, 0)
    assert len(set(W10.space.keys(found.X))) == len(found.X) == 50
    assert np.isfinite(found.y).all()
    assert found.name == "top1 (%)"


def test_latency_comes_from_tables_only(assets, monkeypatch):
    monkeypatch.setenv("HWNAS_ASSETS", str(assets))
    found = latency_examples(supernets.get("ofa-mbv3-w1.2"), "lut:table=note10", 20, 0)
    assert ((found.y > 17) & (found.y < 93)).all()
    with pytest.raises(UsageError, match="has to be measured"):
        latency_examples(W10, "torch", 20, 0)


def test_the_page_says_who_ranks_best_and_keeps_text_text():
    curves = [
        {"kind": kind, "mape": [[0.3, 0.2], [0.1, 0.1]], "tau": [[0.8, 0.8], [tau, tau]]}
        for kind, tau in (("ridge", 0.9), ("<b>gp</b>", 0.95))
    ]
    about = {"supernet": "net", "target": "top1 (%)", "source": "<script>alert(1)</script>"}
    page = predictors_page({**about, "n_test": 500, "sizes": [100, 1000], "predictors": curves})
    assert "With 1000 examples, &lt;b&gt;gp&lt;/b&gt; ranks best: Kendall tau 0.950." in page
    assert "<script>alert" not in page
