"""How many networks are prepared side by side, and how often, in a memory that is simulated."""

from __future__ import annotations

import subprocess
import sys
from contextlib import nullcontext

import numpy as np
import pytest

from hwnas.harness.host.data_limit import at_most, peak_bytes, resident_bytes, restart_peak
from hwnas.harness.measurement.protocol import profile
from hwnas.harness.worker.budget import Budget, Footprint, ran_short
from hwnas.harness.worker.messages import Failed, PreparationFacts, Prepared
from hwnas.harness.worker.preparing import Preparer

GIB = 1 << 30
FACTS = PreparationFacts(0.1, 0.1, 0, ["network"], [])


class Memory:
    """A limit, and what networks take of it: ``kept`` times their weights once prepared, ``taken`` times meanwhile."""

    def __init__(self, limit, kept=4, taken=5):
        self.limit, self.kept, self.taken, self.used, self.peak = limit, kept, taken, 0, 0
        self.budget = Budget(lambda: [("the control group's memory", self.limit - self.used, self.limit)])
        self.budget.guarded = nullcontext
        self.budget.noting = lambda weights: nullcontext()  # the networks note what they take of the simulated memory

    def make(self, weights):
        return Made(self, weights)


class Made:
    """Stands for a ``Preparation``."""

    def __init__(self, memory, weights):
        self.memory, self.weights, self.times = memory, weights, 0

    def once(self):
        memory = self.memory
        need = memory.used + memory.taken * self.weights
        # The data limit lets an allocation fail before the limit of the group is reached.
        if need > memory.limit:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        memory.peak = max(memory.peak, need)
        memory.used += memory.kept * self.weights
        memory.budget.note(Footprint(self.weights, memory.kept * self.weights, memory.taken * self.weights))
        self.times += 1
        return FACTS

    def affordable(self, times, cap_s):
        return times

    def inference(self, stage_runs=0):
        return self

    def close(self):
        self.memory.used -= self.times * self.memory.kept * self.weights


def measured(memory, weights, *, beside=(), sessions=4):
    """Prepare networks of such weights until all are done, as a worker does; return groups, messages, what failed."""
    said, spare = [], list(beside)

    def make_room():
        spared, spare[:] = list(spare), []
        for one in spared:
            one.close()
        return bool(spared)

    preparer = Preparer(
        lambda vector: memory.make(vector[0]),
        lambda vector: vector[0],
        profile("noisy", sessions=sessions),
        memory.budget,
        said.append,
        lambda number: None,
        make_room,
    )
    pending, groups = [(number, [one]) for number, one in enumerate(weights)], []
    while pending:
        group = preparer.prepare(pending)
        groups.append(group)
        for one in group.ready.values():
            one.close()
        pending = group.left
    return groups, said


def numbers(said, kind):
    return [message.number for message in said if isinstance(message, kind)]


def test_where_memory_is_plenty_all_are_prepared_together_and_as_often_as_the_protocol_says():
    groups, said = measured(Memory(64 * GIB), [GIB // 100] * 48)
    assert [len(group.ready) for group in groups] == [48]
    assert [group.memory for group in groups] == [None]
    assert all(one.times == 4 for one in groups[0].ready.values())
    assert numbers(said, Prepared) == [*range(48)] * 4


@pytest.mark.parametrize("limit", [3, 6, 12, 24, 48])
@pytest.mark.parametrize("weights", [0.05, 0.5])
def test_large_networks_are_prepared_in_groups_that_fit(limit, weights):
    memory = Memory(limit * GIB)
    groups, said = measured(memory, [int(weights * GIB)] * 48)
    assert memory.peak <= memory.limit
    assert memory.used == 0
    assert not numbers(said, Failed)
    assert sorted(set(numbers(said, Prepared))) == list(range(48))
    assert sum(len(group.ready) for group in groups) == 48
    if weights * 48 * 4 * 4 > limit:
        first = groups[0].memory
        assert first.limit == "the control group's memory"
        assert first.limit_bytes == limit * GIB
        assert (first.networks, first.of_networks) == (len(groups[0].ready), 48)
        assert first.sessions < 4 or first.networks < 48
        assert first.of_sessions == 4


def test_rather_than_one_network_four_times_several_are_prepared_once():
    groups, _ = measured(Memory(20 * GIB), [GIB // 2] * 12)
    assert {one.times for one in groups[0].ready.values()} == {1}
    assert len(groups[0].ready) >= 5


def test_a_network_that_does_not_fit_fails_with_its_reason_and_the_others_are_measured():
    memory = Memory(8 * GIB)
    _, said = measured(memory, [GIB // 4, 3 * GIB, 9 * GIB, GIB // 4])
    assert numbers(said, Failed) == [1, 2]
    assert sorted(set(numbers(said, Prepared))) == [0, 3]
    reasons = [message.reason for message in said if isinstance(message, Failed)]
    assert all("does not fit" in reason for reason in reasons)
    assert "its weights take 9.00 GiB" in reasons[1]
    assert "8.00 GiB are left of the control group's memory (8.00 GiB)" in reasons[1]
    assert memory.peak <= memory.limit


def test_a_network_that_runs_out_of_memory_beside_others_has_its_turn_alone():
    memory = Memory(12 * GIB)
    groups, said = measured(memory, [GIB // 4, GIB // 4, 21 * GIB // 10, GIB // 4])
    assert not numbers(said, Failed)
    assert [sorted(group.ready) for group in groups][:2] == [[0, 1], [2, 3]]


def test_anchors_are_given_up_for_a_network_that_fits_only_alone():
    memory = Memory(12 * GIB)
    beside = [memory.make(GIB // 2) for _ in range(3)]
    for one in beside:
        one.once()
    _, said = measured(memory, [2 * GIB], beside=beside)
    assert numbers(said, Prepared)
    assert not numbers(said, Failed)


def test_a_later_session_for_which_there_is_no_memory_leaves_the_earlier_ones():
    memory = Memory(10 * GIB, kept=1, taken=2)
    memory.budget.sessions = lambda weights, wanted, share: wanted
    memory.budget.has_room = lambda *_: True
    groups, said = measured(memory, [2 * GIB] * 3)
    assert not numbers(said, Failed)
    assert sum(len(group.ready) for group in groups) == 3
    assert groups[0].memory.sessions < 4


def test_without_limits_nothing_is_refused():
    budget = Budget(list)
    assert budget.left() is None
    assert budget.refusal(1 << 60) is None
    assert budget.sessions([1 << 60], 4) == 4
    assert budget.has_room(1 << 60, 0, 4)
    with budget.guarded():
        pass


def test_the_tightest_limit_counts():
    budget = Budget(lambda: [("the host's memory", 9 * GIB, 16 * GIB), ("ulimit -d", 2 * GIB, 4 * GIB), ("x", 1, 0)])
    assert budget.left().name == "ulimit -d"


@pytest.mark.parametrize(
    ("error", "short"),
    [
        (MemoryError(), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("std::bad_alloc"), True),
        (ValueError("Failed to serialize proto"), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("the shapes do not fit"), False),
    ],
)  # fmt: skip
def test_what_libraries_say_when_memory_runs_out(error, short):
    assert ran_short(error) == short


LIMITED = """
import numpy as np
from hwnas.harness.host.data_limit import at_most
with at_most(64 << 20):
    np.ones(1 << 20)
    try:
        np.ones(1 << 27)
    except MemoryError:
        print("refused")
np.ones(1 << 24)
print("allowed again")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits a process's data")
def test_an_allocation_beyond_the_limit_fails_and_the_process_lives():
    done = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["refused", "allowed again"]


def test_no_limit_is_none():
    with at_most(None):
        assert resident_bytes() > 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts a process's peak")
def test_the_peak_begins_anew():
    restart_peak()
    before = peak_bytes()
    np.ones(1 << 25)
    assert peak_bytes() >= before + (200 << 20)
    restart_peak()
    assert peak_bytes() < before + (200 << 20)


@pytest.mark.parametrize("weights", [0, 1, 1_536, 500_000])
def test_what_a_network_of_hardly_any_weights_took_does_not_grow_with_them(weights):
    """The block of logits has the weights of a norm, and reads a table of half a gigabyte."""
    budget = Budget(lambda: [("the host's memory", 20 * GIB, 24 * GIB)])
    for _ in range(2):
        budget.note(Footprint(weights, GIB // 2, GIB))
    assert budget.refusal(10 << 20) is None
    assert budget.refusal(4 * GIB) is not None
    assert budget.kept(10 << 20) <= GIB
