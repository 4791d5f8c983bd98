from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest

from hwnas.latency_luts import Entry, LatencyTable, key
from hwnas.latency_luts.correction import Correction
from hwnas.latency_luts.resolutions import ResolutionTables
from hwnas.supernets.blocks import Block, Slot
from hwnas.supernets.errors import TableError
from hwnas.supernets.one_stage import OneStage
from hwnas.supernets.space import Choice, SearchSpace


def block(name: str) -> Block:
    return Block(name, (1,), (1,))


@dataclasses.dataclass(frozen=True, eq=False)
class Net:
    """What a table wants of a super-network: small enough to be summed by hand."""

    name: str
    space: SearchSpace
    slots: tuple[Slot, ...]


HEAD, A, B, C = block("head"), block("a"), block("b"), block("c")
SPACE = SearchSpace((Choice("x", (1, 2)), Choice("d", (0, 1))), fixed={"r": [8]})
# The layer in "pair" runs three times an inference, and is absent at d = 0.
SLOTS = (Slot("head", (), (HEAD,)), Slot("single", (0,), (A, B)), Slot("pair", (1, 0), (None, None, C, A), repeats=3))
NET = Net("tiny", SPACE, SLOTS)
X = np.array(list(itertools.product(range(2), range(2))))
TABLE = LatencyTable(
    "t.yaml",
    {key(HEAD): Entry(1.0, 0.5), key(A): Entry(0.1, 0.01), key(B): Entry(0.2, 0.04), key(C): Entry(0.4, 0.16)},
)


def by_hand(of: dict[str, float], row) -> float:
    x, d = row
    return of["head"] + (of["a"], of["b"])[x] + d * 3 * (of["c"], of["a"])[x]


def test_means_add():
    means = {"head": 1.0, "a": 0.1, "b": 0.2, "c": 0.4}
    assert TABLE.latency(NET, X) == pytest.approx([by_hand(means, row) for row in X])


def test_variances_add_not_deviations():
    variances = {"head": 0.5, "a": 0.01, "b": 0.04, "c": 0.16}
    found = TABLE.variance(NET, X)
    assert found == pytest.approx([by_hand(variances, row) for row in X])
    deviations = {name: math.sqrt(value) for name, value in variances.items()}
    assert math.sqrt(found[-1]) < by_hand(deviations, X[-1])


def test_an_unknown_variance_makes_the_sum_unknown_where_it_is_needed():
    table = LatencyTable("t.yaml", {**TABLE.entries, key(C): Entry(0.4)})
    assert np.isnan(table.variance(NET, X)).tolist() == [False, True, False, False]


def test_a_block_that_no_row_needs_may_be_missing():
    table = LatencyTable("t.yaml", {name: entry for name, entry in TABLE.entries.items() if name != key(C)})
    assert np.isfinite(table.latency(NET, X[[0, 2, 3]])).all()
    assert table.missing(NET) == [key(C)]
    with pytest.raises(TableError, match=rf"^t\.yaml: has no block {key(C)}; the nearest it has: ") as caught:
        table.latency(NET, X)
    assert key(A) in str(caught.value)


def test_several_missing_blocks_are_counted():
    table = LatencyTable("t.yaml", {key(HEAD): Entry(1.0)}, serves=("big",))
    with pytest.raises(TableError, match=r"and 2 more that tiny needs\).*; this table serves big$"):
        table.latency(NET, X)


def test_a_table_does_not_change():
    given, header = dict(TABLE.entries), {"platform": "p"}
    table = LatencyTable("t.yaml", given, header=header)
    given.clear()
    header.clear()
    assert len(table.entries) == 4
    assert table.header == {"platform": "p"}
    with pytest.raises(TypeError):
        table.entries["x"] = Entry(1.0)  # type: ignore[index]
    with pytest.raises(TypeError):
        table.header["platform"] = "q"  # type: ignore[index]
    with pytest.raises(dataclasses.FrozenInstanceError):
        table.name = "other"  # type: ignore[misc]


def test_no_rows():
    assert TABLE.latency(NET, np.empty((0, 2), dtype=int)).shape == (0,)


# --- one table per resolution ----------------------------------------------------------------------------------------


def scaled(resolution: int) -> LatencyTable:
    entries = {name: Entry(entry.mean_s * resolution, entry.variance_s2) for name, entry in TABLE.entries.items()}
    return LatencyTable(f"r{resolution}", entries)


TABLES = ResolutionTables("device", (8, 16), scaled, serves=("tiny",))


def elastic(resolutions: tuple[int, ...]) -> Net:
    space = SearchSpace((*SPACE.choices, Choice("r", resolutions)))
    single = Slot("single", (0, 2), tuple(found for found in (A, B) for _ in resolutions))
    return Net("tiny:r=elastic", space, (SLOTS[0], single, SLOTS[2]))


def test_each_row_is_summed_over_the_table_of_its_resolution():
    net = elastic((8, 16))
    rows = np.array(list(itertools.product(range(2), range(2), range(2))))
    plain = TABLE.latency(NET, rows[:, :2])
    assert TABLES.bind(net).latency(rows) == pytest.approx(plain * np.array([8, 16])[rows[:, 2]])
    assert TABLES.bind(net).variance(rows) == pytest.approx(TABLE.variance(NET, rows[:, :2]))


def test_a_fixed_resolution_uses_its_table_alone():
    assert TABLES.bind(NET).latency(X) == pytest.approx(8 * TABLE.latency(NET, X))


def test_a_resolution_without_a_table_is_refused():
    with pytest.raises(
        TableError, match=r"device: has no table for tiny:r=elastic at r=32; there is one at each of 8, 16"
    ):
        TABLES.bind(elastic((8, 32)))


def test_another_super_network_is_refused_naming_the_one_served():
    with pytest.raises(TableError, match=r"use tiny$"):
        TABLES.bind(Net("tiny-w2", SPACE, SLOTS))


def test_a_super_network_without_resolutions_is_refused():
    with pytest.raises(TableError, match=r"no table for tiny at r=None; .* as in tiny:r=8\+16$"):
        TABLES.bind(Net("tiny", SearchSpace(SPACE.choices), SLOTS))


# --- corrections and messages ----------------------------------------------------------------------------------------


def test_a_correction_is_of_each_block_and_once_of_the_network():
    corrected = dataclasses.replace(TABLE, correction=Correction({"network": 5.0, "table": 2.0, "block": 0.25}))
    means = {"head": 2.25, "a": 0.45, "b": 0.65, "c": 1.05}
    assert corrected.latency(NET, X) == pytest.approx([5.0 + by_hand(means, row) for row in X])
    assert corrected.mean_s(A) == 0.1  # uncorrected


def test_a_stage_is_corrected_block_by_block_and_adds_nothing_of_the_whole_network():
    stages = ("encoder", "decoder", "decoder")
    slots = tuple(dataclasses.replace(slot, stage=stage) for slot, stage in zip(SLOTS, stages, strict=True))
    net = Net("tiny", SPACE, slots)
    corrected = dataclasses.replace(TABLE, correction=Correction({"network": 5.0, "table": 2.0, "block": 0.25}))
    assert corrected.latency(OneStage(net, "encoder"), X) == pytest.approx([2.25] * 4)
    # One run of it: x decides which of two blocks there is, and d whether there is another.
    assert corrected.latency(OneStage(net, "decoder"), X) == pytest.approx([0.45, 0.45 + 1.05, 0.65, 0.65 + 0.45])
    assert TABLE.latency(OneStage(net, "decoder"), X) == pytest.approx([0.1, 0.5, 0.2, 0.3])
    assert corrected.latency(net, X).min() > 5.0
    assert corrected.correction.constant == 5.0


def test_a_correction_sees_the_block_itself():
    big = Block("head", (1,), (1,), params=1000)
    net = Net("tiny", SPACE, (Slot("head", (), (big,)),))
    corrected = LatencyTable("t", {key(big): Entry(1.0)}, correction=Correction({"parameter": 0.5}))
    assert corrected.latency(net, X) == pytest.approx(501.0)


def test_what_is_missing_is_said_word_by_word():
    def said(*left, serves=(), rows=X):
        table = LatencyTable("t.yaml", {key(one): Entry(1.0) for one in left}, serves=serves)
        with pytest.raises(TableError) as caught:
            table.latency(NET, rows)
        return str(caught.value)

    assert said(HEAD, A, B).endswith(f"has no block {key(C)}; the nearest it has: {key(HEAD)}, {key(B)}, {key(A)}") or (
        sorted(said(HEAD, A, B).rpartition(": ")[2].split(", ")) == sorted(map(key, (HEAD, A, B)))
    )
    assert "and 1 more that tiny needs" in said(HEAD, A)
    assert "more" not in said(HEAD, A, B)
    assert "serves" not in said(HEAD, A, B)
    assert said(HEAD, A, B, serves=("big", "huge")).endswith("; this table serves big, huge")
    many = LatencyTable("t.yaml", {f"x{n}-input:1": Entry(1.0) for n in range(9)})
    with pytest.raises(TableError) as caught:
        many.latency(NET, X)
    near = str(caught.value).rpartition("the nearest it has: ")[2].split(", ")
    assert len(set(near)) == 3
    assert set(near) <= set(many.entries)


def test_a_slot_that_is_always_there_stands_in_each_row():
    two = Net("tiny", SPACE, (Slot("one", (), (A,), repeats=2), Slot("other", (), (B,))))
    assert TABLE.latency(two, X) == pytest.approx([0.4] * 4)
    assert TABLE.variance(two, X) == pytest.approx([0.06] * 4)


def test_which_resolutions_there_are_is_said_with_an_example():
    named = Net("tiny:width=2", SearchSpace(SPACE.choices, fixed={"r": [99]}), SLOTS)
    three = dataclasses.replace(TABLES, resolutions=(8, 16, 32))
    with pytest.raises(TableError) as caught:
        three.bind(named)
    assert str(caught.value) == (
        "device: has no table for tiny:width=2 at r=99; there is one at each of 8, 16, 32, as in tiny:r=8+32"
    )


def test_a_missing_block_of_a_resolution_names_the_super_network():
    gap = ResolutionTables("device", (8, 16), lambda r: LatencyTable(f"r{r}", {key(HEAD): Entry(1.0)}))
    net = elastic((8, 16))
    with pytest.raises(TableError, match=r"^r8: has no block .*\(and 2 more that tiny:r=elastic needs\)"):
        gap.bind(net).latency(np.array(list(itertools.product(range(2), range(2), [0]))))


def test_a_slot_that_depends_on_the_resolution_keeps_its_repeats():
    net = elastic((8, 16))
    slots = (net.slots[0], Slot("single", (0, 2), (A, A, B, B), repeats=4), net.slots[2])
    rows = np.array([[1, 0, 0], [1, 0, 1]])
    bound = TABLES.bind(Net("tiny:r=elastic", net.space, slots))
    assert bound.latency(rows) == pytest.approx([8 * 1.8, 16 * 1.8])


def test_a_slots_blocks_are_those_of_its_resolution():
    # The layer is another block at 16 pixels than at 8, and its other choice stands before and behind.
    for columns, blocks in (((0, 2), (A, B, C, A)), ((2, 0), (A, C, B, A))):
        net = elastic((8, 16))
        slots = (net.slots[0], Slot("single", columns, blocks), net.slots[2])
        bound = TABLES.bind(Net("tiny:r=elastic", net.space, slots))
        rows = np.array([[0, 0, 0], [0, 0, 1], [1, 0, 0], [1, 0, 1]])
        assert bound.latency(rows) == pytest.approx([8 * 1.1, 16 * 1.2, 8 * 1.4, 16 * 1.1])
