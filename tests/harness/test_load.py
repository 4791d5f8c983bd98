"""What other programs use of the CPUs: read from files like the kernel's, named, waited for, and marked."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwnas import supernets
from hwnas.harness.host import cgroup, load
from hwnas.harness.host.calm import LoadWatch
from hwnas.harness.host.load import Load, Process, Program, Reading, between
from hwnas.harness.measure import Measurer
from hwnas.harness.measurement.measurement import Measurement
from hwnas.harness.measurement.protocol import profile
from hwnas.harness.store import Store

READ = load.read  # conftest's replacement of it is for other tests
TICKS = os.sysconf("SC_CLK_TCK")
OWN, CHILD = 100, 101
QUICK = profile(
    "noisy", rounds=2, check_every=1, interval=10.0, steady=10.0, tau=-1.0, warmup_s=0.0, samples=1, calibration_s=0.05
)


def process(name="other", parent=1, own_s=0.0, family_s=0.0):
    return Process(name, parent, own_s, family_s)


def reading(at_s, busy=(0.0, 0.0), group=None, **processes):
    """Return a reading; processes are named by ``p`` and their number."""
    numbered = {(int(name[1:]), 7): one for name, one in processes.items()}
    return Reading(at_s, dict(enumerate(busy)), {(OWN, 7): process("hwnas"), **numbered}, group)


def seen(after, before=None, cpus=(0, 1)):
    return between(reading(0.0) if before is None else before, after, cpus, OWN, CHILD)


# --- reading ---------------------------------------------------------------------------------------------------------


def test_it_is_read_from_what_the_kernel_shows(tmp_path):
    (tmp_path / "stat").write_text(
        "cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 100 20 30 1000 500 4 6 70 8 9\ncpu1 0 0 0 5 0 0 0 0 0 0\nintr 1 2\n"
    )
    for number, name in ((4, b"a) (b\n c"), (5, b"\xff")):
        (tmp_path / str(number)).mkdir()
        numbers = " ".join(str(place) for place in range(4, 53))
        stat = b"%d (%s) S %s\n" % (number, name, numbers.encode())
        (tmp_path / str(number) / "stat").write_bytes(stat)
    (tmp_path / "6").mkdir()  # it has ended meanwhile
    found = READ(tmp_path)
    assert {cpu: round(seconds * TICKS) for cpu, seconds in found.busy_s.items()} == {0: 160, 1: 0}
    assert set(found.processes) == {(4, 22), (5, 22)}
    one = found.processes[4, 22]
    assert (one.name, one.parent) == ("a) (b\n c", 4)
    assert (round(one.own_s * TICKS), round(one.family_s * TICKS)) == (14 + 15, 16 + 17)
    assert found.processes[5, 22].name == "\N{REPLACEMENT CHARACTER}"


def test_a_system_that_says_nothing_is_not_busy(tmp_path):
    assert READ(tmp_path / "none") is None
    watch = LoadWatch({0}, 1, 30.0, warn=pytest.fail, read=lambda: None, sleep=lambda _: None)
    watch.wait()
    assert watch.mark(None) is None


@pytest.mark.parametrize(
    ("lines", "files", "used"),
    [
        ("0::/a", {"a/cpu.max": "150000 100000", "a/cpu.stat": "usage_usec 2500000\nuser_usec 1\n"}, (1.5, 2.5)),
        ("0::/a", {"a/cpu.max": "max 100000", "a/cpu.stat": "usage_usec 2500000\n"}, None),
        ("0::/a", {"a/cpu.max": "150000 100000", "a/cpu.stat": "odd\n"}, None),
        (
            "3:cpu,cpuacct:/a",
            {"cpu/a/cpu.cfs_quota_us": "5", "cpu/a/cpu.cfs_period_us": "10", "cpu/a/cpuacct.usage": "3000000000"},
            (0.5, 3.0),
        ),
    ],
)  # fmt: skip
def test_a_control_group_says_what_it_has_used(tmp_path, lines, files, used):
    for name, text in files.items():
        (tmp_path / "fs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "fs" / name).write_text(text)
    (tmp_path / "cgroup").write_text(lines)
    assert cgroup.used(tmp_path / "cgroup", tmp_path / "fs") == used


# --- whose load it is ------------------------------------------------------------------------------------------------


def test_what_others_use_is_what_is_busy_without_ones_own():
    after = reading(
        2.0, (2.0, 1.8), p101=process("worker", OWN, 1.5), p102=process("its", CHILD, 0.3), p9=process("stress", 1, 1.9)
    )
    found = seen(after)
    assert found.cpus - found.free == pytest.approx((3.8 - 1.8) / 2)
    assert found.busy == pytest.approx(0.5)
    assert found.programs == (Program("stress", pytest.approx(0.95), (9,)),)


def test_what_a_process_of_the_worker_has_used_before_it_ended_is_the_workers():
    before = reading(0.0, (5.0, 0.0), p101=process("worker", OWN, 0.0), p102=process("its", CHILD, 5.0))
    after = reading(1.0, (6.0, 0.0), p101=process("worker", OWN, 0.0, family_s=6.0))
    assert seen(after, before).free == 2.0


def test_another_child_process_keeps_cpus_from_the_worker_as_any_program_does():
    after = reading(1.0, (1.0, 1.0), p101=process("worker", OWN, 0.5), p103=process("training", OWN, 1.5))
    found = seen(after)
    assert found.free == pytest.approx(0.5)
    assert [one.name for one in found.programs] == ["training"]


def test_only_the_cpus_that_are_used_count():
    after = reading(1.0, (1.0, 0.0), p9=process("stress", 1, 1.0))
    assert seen(after, cpus=[0]).free == 0.0
    assert seen(after, cpus=[1]).free == 1.0
    assert seen(after, cpus=[8]) is None


def test_programs_of_others_count_though_they_cannot_be_seen():
    found = seen(reading(1.0, (1.0, 1.0)))
    assert found.free == 0.0
    assert str(found) == "other programs keep 2.0 of 2 CPUs busy: none that can be seen from here"


def test_a_quota_that_others_of_the_group_use_up():
    before, after = reading(0.0, group=(1.5, 3.0)), reading(2.0, (2.4, 0.0), group=(1.5, 5.4))
    found = seen(after, before)
    assert (found.cpus, found.free) == (1.5, pytest.approx(0.3))
    assert found.heavy(1)


def test_programs_are_named_by_their_command_and_safely():
    names = ["stress", "stress", "\x1b[31mred\n\u202e", "quiet", "x" * 200, ""]
    used = [0.9, 0.8, 0.5, 0.04, 0.4, 0.3]
    after = reading(1.0, **{f"p{n}": process(name, 1, s) for n, (name, s) in enumerate(zip(names, used, strict=True))})
    stress, red, long = seen(after).programs
    assert str(stress) == "stress (2 processes, 170 % of a CPU)"
    assert str(red).isprintable()
    assert str(red).endswith("(process 2, 50 % of a CPU)")
    assert len(long.name) == 40
    (nameless,) = seen(reading(1.0, p5=process("", 1, 0.3))).programs
    assert nameless.name == "a program without a name"


@given(
    st.lists(st.floats(0, 10), min_size=2, max_size=2),
    st.floats(0, 20),
    st.floats(0.1, 10),
    st.integers(1, 4),
)
def test_a_load_is_between_nothing_and_all(busy, own_s, seconds, threads):
    after = reading(seconds, busy, p101=process("worker", OWN, own_s))
    found = seen(after)
    assert 0 <= found.free <= found.cpus == 2
    assert 0 <= found.busy <= 1
    assert found.heavy(threads) == (threads > found.free + 0.2)


@pytest.mark.parametrize(
    ("free", "threads", "heavy"), [(1.0, 1, False), (0.85, 1, False), (0.7, 1, True), (1.7, 2, True), (0.0, 1, True)]
)
def test_a_load_is_heavy_where_threads_do_not_find_a_cpu_each(free, threads, heavy):
    assert Load(2.0, free).heavy(threads) is heavy


# --- waiting ---------------------------------------------------------------------------------------------------------


class Host:
    """A host of two CPUs on which another program keeps both busy until a moment."""

    def __init__(self, until_s):
        self.until_s, self.now, self.said = until_s, 0.0, []

    def read(self):
        busy = min(self.now, self.until_s)
        return Reading(self.now, {0: busy, 1: busy}, {(9, 7): process("stress", 1, 2 * busy)})

    def sleep(self, seconds):
        self.now += seconds

    def watch(self, wait_s):
        return LoadWatch({0, 1}, 1, wait_s, self.said.append, read=self.read, sleep=self.sleep)


def test_it_waits_for_calm_and_no_longer():
    host = Host(until_s=4.0)
    watch = host.watch(30.0)
    watch.wait()
    assert host.now == 5.0
    first, second = host.said
    assert first.startswith("other programs keep 2.0 of 2 CPUs busy: stress (process 9, 200 % of a CPU); waiting up to")
    assert second == "the CPUs are calm after 4 s"
    host.sleep(1.0)
    assert watch.mark(None) is None


def test_it_goes_on_where_no_calm_comes():
    host = Host(until_s=1e9)
    watch = host.watch(2.5)
    watch.wait()
    assert host.now == pytest.approx(3.5)
    assert len(host.said) == 2
    assert host.said[1].endswith("; what is measured beside them is marked, and not used again")
    host.sleep(5.0)
    assert watch.mark(None) == {"busy": 1.0, "programs": [{"name": "stress", "cpus": 2.0}]}
    watch.wait()
    assert (host.now, len(host.said)) == (pytest.approx(8.5), 2)  # it has waited, and has warned


def test_without_waiting_it_warns_once_there_is_something_to_say():
    host = Host(until_s=1e9)
    watch = host.watch(0.0)
    watch.wait()
    assert (host.now, host.said) == (0.0, [])
    assert watch.mark(None) is None  # too short a time to tell
    host.sleep(2.0)
    assert watch.mark(None) is not None
    assert watch.mark(None) is not None
    assert len(host.said) == 1


def test_what_is_measured_after_the_load_has_ended_is_not_marked():
    host = Host(until_s=3.0)
    watch = host.watch(0.0)
    watch.begin()
    host.sleep(3.0)
    assert watch.mark(None) is not None
    watch.begin()
    host.sleep(3.0)
    assert watch.mark(None) is None


def test_who_does_not_want_to_know_is_told_nothing():
    host = Host(until_s=1e9)
    watch = host.watch(None)
    watch.wait()
    host.sleep(5.0)
    assert watch.mark(None) is None


# --- measuring beside a load -----------------------------------------------------------------------------------------


@pytest.fixture
def busy(monkeypatch):
    """The machine's own load, and processes that keep every CPU busy until the test ends, half a minute at most."""
    monkeypatch.setattr("hwnas.harness.host.load.read", READ)
    # The name as the kernel has it: PR_SET_NAME is 15.
    name = "import ctypes; ctypes.CDLL(None).prctl(15, b'kept-busy')"
    spin = f"import time; {name}\nend = time.time() + 30\nwhile time.time() < end: pass"
    running = [subprocess.Popen([sys.executable, "-c", spin]) for _ in range(2 * len(os.sched_getaffinity(0)))]
    yield running
    for one in running:
        one.kill()
        one.wait()


@pytest.mark.slow
@pytest.mark.usefixtures("scripted")
def test_values_taken_beside_a_load_are_marked_and_serve_no_other_time(busy):
    net, said = supernets.get("toy"), []
    with Store.open(":memory:") as store:

        def take(**more):
            settings = {"store": store, "check": False, "protocol": QUICK, "progress": said.append, **more}
            with Measurer(net, "scripted:us=2000", **settings) as measurer:
                return measurer.measure([[0, 0, 1]])

        (first,) = take(wait_s=0.5)
        assert first.load["busy"] > 0.5
        assert "kept-busy" in [one["name"] for one in first.load["programs"]]
        warnings = [event.message for event in said if event.phase == "busy"]
        assert len(warnings) == 2
        assert all("kept-busy (" in words for words in warnings)
        assert "waiting up to 0.5 s for calm" in warnings[0]
        assert Measurement.from_record(first.to_record()).load == first.load
        (again,) = take(wait_s=None)
        assert not again.cached  # the first does not serve,
        (resumed,) = take(since=first.measured_at)
        assert resumed.cached  # but for a search that goes on
