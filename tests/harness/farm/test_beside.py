"""What lies beside weights does not travel with them: a worker that lacks it says what to put there."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from hwnas import supernets
from hwnas.harness import quality
from hwnas.harness.farm import files
from hwnas.harness.farm.engine import VERSION
from hwnas.harness.farm.messages import EvaluateDescription, EvaluateOrder, read_answer
from hwnas.harness.farm.quality import FarmQuality
from hwnas.harness.farm.service import WorkerService
from hwnas.harness.quality import QualityOptions
from hwnas.supernets.contents import Content, content_digest
from hwnas.supernets.errors import MeasurementError, QualityError

NCF = supernets.get("ncf")


@pytest.fixture
def evaluated(tmp_path, monkeypatch):
    """Evaluate on a worker whose quality source misses a file; say whether the weights are there by their name."""
    monkeypatch.setattr(files, "_folder", lambda: tmp_path / "cache")

    def missing(*_):
        raise QualityError("bleu: x.spm: no such file")

    monkeypatch.setattr(quality, "get", missing)
    here = tmp_path / "here.pt"
    here.write_bytes(b"weights")

    def evaluate(there, **more):
        named = str(here if there else tmp_path / "elsewhere" / "w.pt")
        described = EvaluateDescription(VERSION, "ncf", "bleu:a,b", named, content_digest(here), None, 1, "x", **more)
        service = WorkerService(SimpleNamespace(name="pi", device="cpu"))
        order = EvaluateOrder(NCF.space.smallest()[0].tolist()).to_text()
        return read_answer(service.evaluate("d", order, described.to_text(), content=b"weights")).raised()

    return evaluate


def test_a_worker_that_was_sent_the_weights_alone_says_what_it_lacks(evaluated):
    error = evaluated(there=False, beside=["subwords"])
    assert isinstance(error, MeasurementError)
    assert "worker pi: lacks the subwords beside the weights, which were sent to it alone: put " in str(error)
    assert "w.pt and what lies beside it there, under the same names (bleu: x.spm: no such file)" in str(error)


@pytest.mark.parametrize(("there", "more"), [(True, {"beside": ["subwords"]}), (False, {}), (False, {"beside": []})])
def test_other_errors_stay_what_they_are(evaluated, there, more):
    error = evaluated(there, **more)
    assert isinstance(error, QualityError)
    assert str(error) == "bleu: x.spm: no such file"


def test_the_client_says_what_lies_beside(tmp_path):
    (tmp_path / "w.pt").write_bytes(b"weights")
    made = FarmQuality(
        name="bleu:a,b", metric="bleu", unit="", maximise=True, net=NCF, options=QualityOptions(str(tmp_path / "w.pt")),
        data="d", score=lambda _: None, beside={"subwords": Content("those beside w.pt", "0" * 64)}, spec="bleu:a,b",
    )  # fmt: skip
    job = made._job(NCF.space.smallest()[0])
    assert json.loads(job.description)["beside"] == ["subwords"]
