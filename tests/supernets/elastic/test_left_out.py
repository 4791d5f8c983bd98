"""Blocks that are left out: which can be, their order, and what finding it costs."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hwnas.supernets.elastic import stored
from hwnas.supernets.elastic.analysis import analysed
from hwnas.supernets.elastic.counts import Counter
from hwnas.supernets.elastic.depth import stages
from hwnas.supernets.elastic.making import from_module
from hwnas.supernets.elastic.rebuild import Rebuilder
from hwnas.supernets.elastic.sets import Wanted
from hwnas.supernets.elastic.tracing import traced


class _Doubled(nn.Module):
    def __init__(self, *, double: bool) -> None:
        super().__init__()
        self.inner, self.double = nn.Linear(16, 16), double

    def forward(self, x):
        x = x + self.inner(x)
        return x.double() if self.double else x


def test_a_block_without_which_nothing_runs_always_stays(tmp_path):
    blocks = nn.Sequential(*(_Doubled(double=number == 2) for number in range(3)))
    model = nn.Sequential(nn.Linear(4, 16), blocks, nn.Linear(16, 3).double()).eval()
    net = from_module(model, torch.rand(1, 4), Wanted(), "it")
    (stage,) = net.elastic.stages
    assert {unit.path for unit in stage.units} == {"1.0", "1.1"}
    assert stage.values == (1, 2)
    stored.write(tmp_path / "it", net, Wanted())
    again = stored.read(tmp_path / "it", "again")
    assert again.digest == net.digest
    assert again.elastic.stages == net.elastic.stages


@pytest.mark.parametrize("orders", [[[]], [["1.0", "1.0"]], [["1.0"], ["1.0"]], [["2"]], [["1.0", "3.0"]]])
def test_orders_that_are_of_other_blocks(orders):
    pairs = [nn.Sequential(*(_Doubled(double=False) for _ in range(2))) for _ in range(2)]
    model = nn.Sequential(nn.Linear(4, 16), pairs[0], nn.Linear(16, 16), pairs[1], nn.Linear(16, 3)).eval()
    analysis = analysed(traced(model, torch.rand(1, 4), "it", samples=3))
    assert [[unit.path for unit in one.units] for one in stages(analysis, [["3.1"], ["1.1", "1.0"]])] == [
        ["3.1"],
        ["1.1", "1.0"],
    ]
    with pytest.raises(ValueError, match="its order of blocks"):
        stages(analysis, orders)


def test_ordering_blocks_makes_no_module_for_each(monkeypatch):
    made_modules, counted = [], []
    module, slots = Rebuilder.module, Counter.slots
    monkeypatch.setattr(Rebuilder, "module", lambda self, part: made_modules.append(part) or module(self, part))
    monkeypatch.setattr(Counter, "slots", lambda self: counted.append(self) or slots(self))
    blocks = nn.Sequential(*(_Doubled(double=False) for _ in range(12)))
    net = from_module(
        nn.Sequential(nn.Linear(4, 16), blocks, nn.Linear(16, 3)).eval(), torch.rand(1, 4), Wanted(), "it"
    )
    assert len(net.elastic.stages[0].units) == 12
    assert len(made_modules) <= 3
    assert not counted  # before anybody asks for counts
    assert net.params(net.space.largest())[0] > 0
    assert len(counted) == 1
