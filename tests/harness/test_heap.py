"""A stretch of memory of its own: seen by where blocks lie, in a process with the worker's allocator."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from hwnas import supernets
from hwnas.harness.bench.bench import BenchOptions
from hwnas.harness.bench.local import LocalBench
from hwnas.harness.host import heap
from hwnas.harness.host.huge_pages import HUGE
from hwnas.harness.measurement.protocol import ProtocolChoice, profile
from hwnas.harness.platform import parse

QUICK = profile(
    "noisy", rounds=2, check_every=1, interval=10.0, steady=10.0, tau=-1.0, warmup_s=0.0, samples=1,
    calibration_s=0.05,
)  # fmt: skip

# Leaves holes of many sizes behind, then allocates the same blocks twice, and says where they lie.
PROGRAM = """
import ctypes, json, random, sys
from contextlib import nullcontext
from hwnas.harness.host import heap

libc = heap._libc()
draw = random.Random(0)
session = [draw.choice((5000, 40_000, 300_000, 3_000_000)) for _ in range(60)]
within = heap.own_stretch if sys.argv[1] == "own" else nullcontext
before = [libc.malloc(draw.randrange(1000, 2_000_000)) for _ in range(300)]
for block in before[::2]:
    libc.free(block)
found = []
for _ in range(2):
    with within():
        found.append([libc.malloc(size) for size in session])
    for _ in range(50):  # what others allocate and free in between
        libc.free(libc.malloc(draw.randrange(1000, 500_000)))
print(json.dumps(found))
"""


needs_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator is not glibc's")


def blocks(how: str) -> list[list[int]]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, how],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **heap.ENVIRONMENT},
    )
    found: list[list[int]] = json.loads(done.stdout)
    return found


def layout(addresses: list[int]) -> list[int]:
    return [address - addresses[0] for address in addresses]


@needs_glibc
def test_the_same_session_lies_the_same_way_twice():
    first, second = blocks("own")
    assert layout(first) == layout(second)
    assert first != second
    assert all(addresses[0] % HUGE == 0 for addresses in (first, second))


@needs_glibc
def test_without_it_it_gets_the_holes_that_others_left():
    first, second = blocks("any")
    assert layout(first) != layout(second)


@needs_glibc
def test_a_process_that_was_not_started_for_it_is_left_alone():
    assert "was not started with the settings" in heap.why_not()
    with heap.own_stretch():
        pass
    heap.release()


def test_the_heap_grows_in_huge_pages_where_the_protocol_wants_them():
    plain = heap.environment({"GLIBC_TUNABLES": "glibc.malloc.perturb=1"}, huge_pages=False)
    assert plain == heap.ENVIRONMENT
    assert heap.environment({}, huge_pages=True) == heap.ENVIRONMENT | {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}


def test_tunables_of_the_users_own_stay():
    of_both = heap.environment({"GLIBC_TUNABLES": "glibc.malloc.perturb=1"}, huge_pages=True)["GLIBC_TUNABLES"]
    assert of_both == "glibc.malloc.perturb=1:glibc.malloc.hugetlb=1"
    assert "GLIBC_TUNABLES" not in heap.environment({"GLIBC_TUNABLES": "glibc.malloc.hugetlb=0"}, huge_pages=True)


# --- other allocators ------------------------------------------------------------------------------------------------

# Debian's libjemalloc2, libmimalloc2.0 and libtcmalloc-minimal4.
ALLOCATORS = ("libjemalloc.so.2", "libmimalloc.so.2.0", "libtcmalloc_minimal.so.4")
REQUIRED = bool(os.environ.get("HWNAS_REQUIRE_ALLOCATORS"))
# No more than this of address space: the machine that the tests run on is not theirs alone.
CAP = 3 << 30

# Leaves holes behind, has a stretch of its own a few times, and says by how much it grew, and what is recorded.
GROWS = """
import ctypes, json, resource
from pathlib import Path
from hwnas.harness.host import environment; from hwnas.harness.host import heap

def size():
    return int(Path("/proc/self/statm").read_text().split()[0]) * 4096

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, (ctypes.c_size_t,), (ctypes.c_void_p,)
before = [libc.malloc(n % 7 * 100_000 + 5000) for n in range(300)]
for block in before[::2]:
    libc.free(block)
start, most = size(), 0
for _ in range(3):
    with heap.own_stretch():
        libc.free(libc.malloc(1 << 20))
        most = max(most, size() - start)
heap.release()
fact = {one.name: one for one in environment.REGISTRY}["allocator"]
print(json.dumps([most, heap.why_not(), fact.read()]))
"""


def grown(command=(sys.executable,), program=GROWS, cap=CAP, **variables):
    """Run the program in a process with so much address space; return what it says."""
    import resource

    done = subprocess.run(
        [*command, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (cap, cap)),
        env={**os.environ, **heap.ENVIRONMENT, "PYTHONPATH": os.pathsep.join(sys.path), **variables},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def preloaded(request):
    """The name of an allocator that can be preloaded here; ``None``: none is."""
    if request.param is None:
        return None
    done = subprocess.run(["/bin/true"], env={"LD_PRELOAD": request.param}, capture_output=True, check=False)
    if done.stderr and REQUIRED:
        pytest.fail(f"{request.param} is not installed, and HWNAS_REQUIRE_ALLOCATORS is set")
    if done.stderr:
        pytest.skip(f"{request.param} is not installed")
    return request.param


@pytest.mark.slow
@needs_glibc
def test_with_glibcs_own_it_grows_by_a_stretch():
    most, reason, recorded = grown()
    assert (reason, recorded) == (None, None)
    assert 0 < most <= heap._ROOM


@pytest.mark.slow
@needs_glibc
@pytest.mark.parametrize("preloaded", ALLOCATORS, indirect=True)
def test_with_a_preloaded_allocator_nothing_is_taken_and_it_is_recorded(preloaded):
    most, reason, recorded = grown(LD_PRELOAD=preloaded)
    assert most <= 64 << 20
    assert reason.startswith("malloc is not glibc's but that of ")
    assert preloaded in reason
    assert recorded == preloaded


@pytest.mark.slow
@needs_glibc
@pytest.mark.parametrize("tunables", ["glibc.malloc.mmap_max=65536", "glibc.malloc.mmap_threshold=4096"])
def test_tunables_that_give_large_blocks_mappings_are_seen(tunables):
    tunables = f"glibc.malloc.mmap_max=65536:{tunables}"
    most, reason, recorded = grown(GLIBC_TUNABLES=tunables)
    assert most <= 64 << 20
    assert reason.startswith("malloc takes large blocks from mappings of their own")
    assert recorded is None  # GLIBC_TUNABLES itself is in the fingerprint


# An interpreter that brings an allocator of its own: every block is a mapping, below the one before.
INTERPRETER = """
#define _GNU_SOURCE
#include <Python.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

static void *take(size_t size, size_t align) {
    size_t *start = mmap(NULL, size + align + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED) return NULL;
    char *block = (char *)(((size_t)start + 32 + align - 1) / align * align);
    ((size_t *)block)[-1] = (size_t)start;
    ((size_t *)block)[-2] = size;
    ((size_t *)block)[-3] = size + align + 4096;
    return block;
}
void *malloc(size_t size) { return take(size, 32); }
void free(void *block) { if (block) munmap((void *)((size_t *)block)[-1], ((size_t *)block)[-3]); }
void *calloc(size_t n, size_t size) { return take(n * size, 32); }
void *realloc(void *block, size_t size) {
    void *moved = take(size, 32);
    if (moved && block) memcpy(moved, block, ((size_t *)block)[-2] < size ? ((size_t *)block)[-2] : size);
    if (moved) free(block);
    return moved;
}
void *memalign(size_t align, size_t size) { return take(size, align < 32 ? 32 : align); }
void *aligned_alloc(size_t align, size_t size) { return memalign(align, size); }
int posix_memalign(void **to, size_t align, size_t size) { return (*to = memalign(align, size)) ? 0 : ENOMEM; }
int main(int argc, char **argv) { return Py_BytesMain(argc, argv); }
"""


@pytest.fixture
def interpreter(tmp_path):
    """A Python whose executable has an allocator linked in."""
    facts = sysconfig.get_config_vars()
    library, headers = Path(facts["LIBDIR"]), Path(sysconfig.get_path("include"))
    if not (shutil.which("gcc") and facts["Py_ENABLE_SHARED"] and (headers / "Python.h").exists()):
        pytest.skip("gcc, Python's headers or its shared library are not installed")
    (tmp_path / "main.c").write_text(INTERPRETER)
    name = f"python{sysconfig.get_python_version()}"
    options = [f"-I{headers}", f"-L{library}", f"-Wl,-rpath,{library}", "-Wl,-export-dynamic", f"-l{name}"]
    subprocess.run(["gcc", "-O1", "-o", str(tmp_path / name), str(tmp_path / "main.c"), *options], check=True)
    return str(tmp_path / name)


@pytest.mark.slow
@needs_glibc
def test_an_allocator_that_is_linked_in_is_left_alone_too(interpreter):
    # It is found as the interpreter that it was made for.
    most, reason, recorded = grown((interpreter,), PYTHONHOME=sys.base_prefix, PYTHONMALLOC="pymalloc")
    assert most <= 64 << 20
    assert reason == f"malloc is not glibc's but that of {interpreter}"
    assert recorded == interpreter


# --- bounds ----------------------------------------------------------------------------------------------------------


class Elsewhere:
    """An allocator that looks like glibc's, but whose blocks are never in a hole, nor in the stretch."""

    def __init__(self, free=1 << 40):
        self.taken, self.at = 0, 1 << 46
        self.mallinfo2 = lambda: heap._Counts(free=free + (64 << 20), top=64 << 20)

    def malloc(self, size):
        self.taken += size
        self.at -= size + 4096
        return self.at

    def free(self, block):
        pass


@pytest.mark.parametrize("free", [0, 5000, 1 << 20, 300 << 20])
def test_no_more_is_taken_than_there_is_in_holes(free):
    libc = Elsewhere(free)
    heap._fill(libc)
    assert libc.taken <= free + heap._STRETCH + 3 * HUGE  # the stretch itself, and looking where the next block goes


def test_before_mallinfo2_no_more_is_taken_than_the_process_has():
    libc = Elsewhere()
    del libc.mallinfo2
    used = heap._holes(libc)
    assert 1 << 20 < used < 1 << 40
    heap._fill(libc)
    assert libc.taken <= used + heap._STRETCH + 3 * HUGE


def test_where_no_stretch_can_be_had_nothing_is_taken():
    libc = Elsewhere()
    libc.malloc = lambda _: None
    assert heap._fill(libc) == []


@needs_glibc
def test_where_address_space_is_short_it_is_left_out_and_says_so():
    most, reason, _ = grown(cap=700 << 20)
    assert most <= 64 << 20
    assert re.fullmatch(r"only \d+ MiB are left of ulimit -v", reason)


@pytest.mark.slow
@needs_glibc
@pytest.mark.parametrize("preloaded", [None, ALLOCATORS[0]], indirect=True)
def test_measurements_say_whether_sessions_had_memory_of_their_own(preloaded, monkeypatch, scripted):
    net, seen = supernets.get("toy"), {}
    if preloaded:
        monkeypatch.setenv("LD_PRELOAD", preloaded)
    options = BenchOptions(ProtocolChoice.exactly(QUICK), check=False)
    bench = LocalBench(net, parse("scripted:us=20"), net.space.sample(2, 0), options)
    try:
        bench.take([("000", net.space.smallest()[0])], lambda one: seen.setdefault(one.key, one))
    finally:
        bench.close()
    context = seen["000"].context
    assert context["own_memory"] is (preloaded is None)
    assert (preloaded or "") in context.get("own_memory_reason", "")
    assert bench.environment["allocator"] == preloaded
