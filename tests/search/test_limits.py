"""What is said of constraints: how a number was read, what excludes nothing, and what nothing can meet."""

from __future__ import annotations

import json

import numpy as np
import pytest

import hwnas
from hwnas import supernets
from hwnas.harness.store import Store
from hwnas.search.comparison.run import compare
from hwnas.search.study.run import load, search
from hwnas.supernets.errors import StoreError, UsageError

NET = supernets.get("ofa-mbv3-w1.0")
TOP1 = {"quality": "surrogate", "objectives": ["macs", "top1"], "algorithm": "random", "evals": 6}
PER_CENT = "constraint top1>=0.76: top1 is in per cent, so it is read as top1>=0.76%"
NONE = "neither the smallest, the largest nor any of 254 random sub-networks meets it: "
ALL = "the smallest, the largest and 254 random sub-networks all meet it: "


def said(constraints, **more):
    seen = []
    found = search(NET, constraints=constraints, progress=seen.append, **{**TOP1, **more})
    remarks = [one for one in found.notes() if one.startswith("constraint")]
    assert {one.remarks for one in seen} == {tuple(found.facts.get("remarks", ()))}
    return remarks


def test_a_fraction_where_per_cent_are_meant_is_said_as_it_is_read():
    first, second = said(["top1>=0.76"])
    assert first == PER_CENT
    assert second.startswith(f"constraint top1>=0.76%: {ALL}top1 is ")


@pytest.mark.parametrize(
    ("constraint", "remark"),
    [
        ("top1>=0.76%", f"constraint top1>=0.76%: {ALL}top1 is "),
        ("macs<=400G", f"constraint macs<=400000M: {ALL}macs is "),
        ("params<=8M", f"constraint params<=8M: {ALL}params is "),
        ("top1>=-5", f"constraint top1>=-5%: {ALL}top1 is "),
        ("top1>=7600%", f"constraint top1>=7600%: {NONE}top1 is "),
        ("params<=0", f"constraint params<=0M: {NONE}params is "),
    ],
)
def test_what_excludes_nothing_or_everything_is_said_where_that_costs_nothing_to_know(constraint, remark):
    (found,) = said([constraint])
    assert found.startswith(remark)


@pytest.mark.parametrize("constraints", [[], ["top1>=76"], ["macs<=300M", "params<=5M"], ["top1>=77%"]])
def test_of_what_has_an_effect_nothing_is_said(constraints):
    assert said(constraints) == []


@pytest.mark.parametrize("constraint", ["latency<=0", "latency<=-3s"])
def test_what_no_network_can_meet_is_refused(constraint):
    name = constraint.partition("<")[0]
    with pytest.raises(UsageError, match=f"constraint '{constraint}': every network has a {name} above 0"):
        search(NET, platform="torch", constraints=[constraint], algorithm="random", evals=2)


def measured(constraint, losses, store=None, **more):
    """A loss of the caller's own, as a fraction or in per cent."""
    asked = {"objectives": ["macs", "loss[%]:min"], "algorithm": "random", "evals": len(losses)}
    with hwnas.create_study(NET, constraints=[constraint], store=store, **asked, **more) as study:
        for loss in losses:
            study.tell(study.ask(1), {"loss": [loss]})
        return study.result()


def test_what_is_measured_is_known_when_it_was():
    """A loss of 0.5 % is a small one: that it is read so is all that there is to say."""
    (read,) = measured("loss<=0.5", [0.3, 0.7, None]).facts["remarks"]
    assert read == "constraint loss<=0.5: loss is in per cent, so it is read as loss<=0.5%"
    assert not any("every evaluation" in note for note in measured("loss<=0.5%", [0.3, 0.7, None]).notes())
    assert (
        "constraint loss<=0.5%: every evaluation meets it: loss is 0.2 to 0.4%"
        in measured("loss<=0.5%", [0.2, None, 0.4]).notes()
    )
    assert not any("every evaluation" in note for note in measured("loss<=0.5%", [None]).notes())


def test_a_resumed_study_says_it_again_and_a_damaged_one_is_no_traceback(tmp_path):
    with Store.open(str(tmp_path / "s.db")) as store:
        for found in (measured("loss<=0.5", [0.2], store, name="s"), load(store, "s")):
            about = [note.partition(":")[0] for note in found.notes() if note.startswith("constraint")]
            assert about == ["constraint loss<=0.5", "constraint loss<=0.5%"]
        search(NET, study="t", store=store, constraints=["top1>=0.76"], **TOP1)
        again = search(NET, study="t", store=store, resume=True, constraints=["top1>=0.76"], **{**TOP1, "evals": 8})
        assert again.notes().count(PER_CENT) == 1
        for name, odd in (("remarks", [3]), ("measured_constraints", ["loss"]), ("measured_constraints", [4])):
            record = store.study("s")
            facts = {**record.settings["facts"], name: odd}
            changed = {**record.settings, "facts": facts}
            table = store._tables["study"]
            values = {"settings": json.dumps(changed)}
            store._database.write(lambda c, t=table, v=values: c.execute(t.update().values(**v)))
            with pytest.raises(StoreError):
                load(store, "s")


def test_a_comparison_says_it_once():
    problem = {"quality": "surrogate", "objectives": ["macs", "top1"], "constraints": ["top1>=0.76"]}
    found = compare(NET, algorithms=["random"], seeds=2, evals=3, workers=1, **problem).to_json()
    assert found["remarks"][0] == PER_CENT
    assert np.isfinite(found["best"]["value"])
