"""CPU quotas of both control group versions, from folders like those that kernels show."""

from __future__ import annotations

import pytest

from hwnas.harness.host import cgroup
from hwnas.harness.host import cpus as host_cpus


@pytest.fixture
def tree(tmp_path):
    """Write files of a control group tree; return what ``quota`` takes."""

    def write(lines, files):
        proc = tmp_path / "cgroup"
        proc.write_text("\n".join(lines))
        for name, text in files.items():
            path = tmp_path / "fs" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (tmp_path / "fs").mkdir(exist_ok=True)
        return proc, tmp_path / "fs"

    return write


V1 = {"cpu/app/cpu.cfs_quota_us": "150000", "cpu/app/cpu.cfs_period_us": "100000"}


def test_version_2_takes_the_tightest_of_all_levels(tree):
    files = {"a/cpu.max": "200000 100000", "a/b/cpu.max": "max 100000", "a/cpu.stat": "", "a/b/cpu.stat": ""}
    where = tree(["0::/a/b"], files)
    assert cgroup.quota(*where) == 2.0
    assert [path.parent.name for path in cgroup.stat_files(*where)] == ["a"]


def test_version_1(tree):
    assert cgroup.quota(*tree(["4:memory:/app", "3:cpu,cpuacct:/app"], V1)) == 1.5


def test_version_1_beside_an_idle_version_2(tree):
    assert cgroup.quota(*tree(["3:cpu:/app", "0::/"], {**V1, "unified/cgroup.procs": ""})) == 1.5


def test_inside_a_container_the_path_is_the_hosts(tree):
    where = tree(["0::/docker/0123"], {"cpu.max": "50000 100000"})
    assert cgroup.quota(*where) == 0.5


@pytest.mark.parametrize("files", [{}, {"cpu.max": "max 100000"}, {"cpu/cpu.cfs_quota_us": "-1"}])
def test_no_limit(tree, files):
    assert cgroup.quota(*tree(["3:cpu:/", "0::/"], {**files, "cpu/cpu.cfs_period_us": "100000"})) is None


def test_no_control_groups_at_all(tmp_path):
    assert cgroup.quota(tmp_path / "none", tmp_path) is None


def test_time_throttled_in_both_spellings():
    assert cgroup.throttled_ns("nr_periods 5\nnr_throttled 2\nthrottled_time 7000\n") == 7000
    assert cgroup.throttled_ns("usage_usec 9\nthrottled_usec 7\n") == 7000
    assert cgroup.throttled_ns("") == 0


@pytest.mark.parametrize(
    ("quota", "cpus", "allowed"), [(None, 4, 4), (1.5, 4, 1), (2.0, 4, 2), (0.3, 4, 1), (9.0, 4, 4)]
)
def test_allowed_cpus(monkeypatch, quota, cpus, allowed):
    monkeypatch.setattr(cgroup, "quota", lambda: quota)
    monkeypatch.setattr(host_cpus, "affinity", lambda: set(range(cpus)))
    assert host_cpus.allowed_cpus() == allowed


MIB = 1 << 20


def test_memory_of_every_level_of_version_2(tree):
    files = {
        "a/memory.max": str(4000 * MIB),
        "a/memory.current": str(1000 * MIB),
        "a/memory.stat": f"anon 5\ninactive_file {100 * MIB}\nactive_file 7\n",
        "a/b/memory.max": "max",
        "a/b/memory.current": "5",
        "a/b/memory.stat": "",
    }
    assert cgroup.memory(*tree(["0::/a/b"], files)) == [(3100 * MIB, 4000 * MIB)]


def test_memory_of_version_1(tree):
    def group(name, limit, used, files):
        return {
            f"memory/{name}memory.limit_in_bytes": str(limit),
            f"memory/{name}memory.usage_in_bytes": str(used),
            f"memory/{name}memory.stat": f"cache 1\ntotal_inactive_file {files}\n",
        }

    files = {**group("app/", 900, 1000, 30), **group("", (1 << 63) - 4096, 0, 0)}
    assert cgroup.memory(*tree(["4:memory:/app", "3:cpu,cpuacct:/other", "0::/"], files)) == [(0, 900)]


@pytest.mark.parametrize("text", ["", "much", "1 2"])
def test_memory_that_is_not_said(tree, text):
    files = {"a/memory.max": text, "a/memory.current": "5", "a/memory.stat": "anon 1\n", "b/memory.max": "100"}
    assert cgroup.memory(*tree(["0::/a"], files)) == []
    assert cgroup.memory(*tree(["0::/b"], {})) == []  # of its use, nothing
