"""Fixtures that several suites share: published data, and how a missing prerequisite is treated."""

from __future__ import annotations

import ast
import csv
import gc
import importlib.util
import json
import os
import shutil
import signal
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import plug_in
import pytest
from hypothesis import HealthCheck, Phase, settings

# How long an example takes says how busy the machine is. What a test may take in all, pyproject.toml says.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")
# ``tox run -e quick`` tries fewer examples of each kind.
settings.register_profile("quick", settings.get_profile("tests"), max_examples=15)
# Of a mutant only whether a test fails is asked, not by which least example (scripts/mutants.py).
settings.register_profile(
    "mutants", settings.get_profile("tests"), database=None, phases=[Phase.explicit, Phase.generate]
)


def pytest_configure(config: pytest.Config) -> None:
    """Forget what the terminal has decided.

    Its width decides what tables show: pytest-xdist's workers say 80. A job in the background, or one of nohup's, is
    started to ignore signals, and so are the processes that it starts.
    """
    os.environ.pop("COLUMNS", None)
    for name, handler in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
        if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) == signal.SIG_IGN:
            signal.signal(getattr(signal, name), handler)
    if hasattr(config, "workerinput"):
        # What one of pytest-xdist's processes measures need not wait for what another one does: nothing is timed there.
        os.environ["HWNAS_LOCKS"] = tempfile.mkdtemp(prefix="tests-locks-")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the folder of this process's locks."""
    if hasattr(config, "workerinput"):
        shutil.rmtree(os.environ["HWNAS_LOCKS"], ignore_errors=True)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Where only tests that are marked ``alone`` are asked for, do not import the files that have none: nearly all."""
    wanted = (
        config.option.markexpr != "alone" or not collection_path.match("test_*.py") or _may_be_alone(collection_path)
    )
    return None if wanted else True


def _may_be_alone(file: Path) -> bool:
    """Return whether a file marks a test ``alone``, or leaves that to a conformance suite."""
    text = file.read_text(encoding="utf-8")
    return "mark.alone" in text or "every_check" in text


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    """Let pytest-xdist's processes begin with the files that take longest, so that none of them ends long after others.

    A slow test takes some forty times as long as another. A mutant is tried by quick tests first: most die by them.
    """
    lost = {str(item.path) for item in items if item.get_closest_marker("alone") and not _may_be_alone(item.path)}
    if lost:
        raise pytest.UsageError(f"`pytest -m alone` does not find all tests of {', '.join(lost)}: see _may_be_alone")
    yield  # what was not asked for is left out
    if hasattr(config, "workerinput"):
        cost: Counter[Path] = Counter()
        for item in items:
            cost[item.path] += 40 if item.get_closest_marker("slow") else 1
        items.sort(key=lambda item: -cost[item.path])
    elif config.getoption("--hypothesis-profile", None) == "mutants":
        timed = Path("mutmut-stats.json")  # what each took without a mutant
        seconds = json.loads(timed.read_text())["duration_by_test"] if timed.exists() else {}
        items.sort(key=lambda item: round(seconds.get(item.nodeid, 0.0), 1))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Spare the garbage collector what is loaded by now and stays: timing a batch begins with a collection."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Where a part of the tests was asked for by a mark, it may be empty: ``tox run -e tests -- tests/docs``."""
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and session.config.option.markexpr:
        session.exitstatus = pytest.ExitCode.OK


def find_assets() -> Path | None:
    """Return the folder of published data that needs no network, where there is one."""
    named = os.environ.get("HWNAS_ASSETS")
    candidates = [Path(named)] if named else []
    candidates.append(Path(__file__).parents[1].parent / "shared" / "assets")
    return next((folder for folder in candidates if folder.is_dir()), None)


@pytest.fixture(scope="session")
def assets() -> Path:
    """The published data; a test that needs it skips with the reason, or fails where CI requires it."""
    folder = find_assets()
    if folder is None:
        reason = "published data is not on this machine (set HWNAS_ASSETS to its folder)"
        if os.environ.get("HWNAS_REQUIRE_ASSETS"):
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


@pytest.fixture(scope="session")
def dynast_rows(assets: Path) -> list[dict[str, object]]:
    """The measured rows of width 1.0: config, params, macs, top1."""
    rows = []
    for file in sorted((assets / "dynast").glob("*.csv")):
        with file.open(newline="") as lines:
            for row in csv.DictReader(lines):
                config = ast.literal_eval(row["Sub-network"])
                counts = {"params": int(row["Model Parameters"]), "macs": int(row["MACs"])}
                rows.append({"config": config, "top1": float(row["Top-1 Acc (%)"]), **counts})
    return rows


@pytest.fixture(scope="session")
def movielens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MovieLens-100k's interactions, as RecBole's wheel carries them: ``pip download --no-deps recbole``."""
    folder = os.environ.get("HWNAS_RECBOLE")
    wheels = sorted(Path(folder).glob("recbole-*.whl")) if folder else []
    if not wheels:
        reason = "MovieLens-100k is not here (pip download --no-deps recbole -d DIR, and HWNAS_RECBOLE=DIR)"
        if os.environ.get("HWNAS_REQUIRE_DATASETS"):
            pytest.fail(reason)
        pytest.skip(reason)
    member = "recbole/dataset_example/ml-100k/ml-100k.inter"
    with zipfile.ZipFile(wheels[-1]) as wheel:
        return Path(wheel.extract(member, tmp_path_factory.mktemp("recbole")))


@pytest.fixture(scope="session")
def fashion_mnist() -> Path:
    """Fashion-MNIST's IDX files, as Debian installs them (dataset-fashion-mnist); ``HWNAS_FASHION_MNIST`` elsewhere."""
    folder = Path(os.environ.get("HWNAS_FASHION_MNIST", "/usr/share/datasets/fashion-mnist"))
    if not (folder / "train-images-idx3-ubyte.gz").is_file():
        reason = "Fashion-MNIST is not here (apt-get install dataset-fashion-mnist, or HWNAS_FASHION_MNIST=DIR)"
        if os.environ.get("HWNAS_REQUIRE_DATASETS"):
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Any]:
    """A PostgreSQL server for these tests alone (``stand_ins/throwaway_postgresql.py``); skips where there is none."""
    try:
        import throwaway_postgresql

        found = throwaway_postgresql.programs()
    except ImportError:
        found = None
    if found is None:
        reason = "PostgreSQL is not here (apt-get install postgresql, pip install 'hwnas[postgresql]')"
        if os.environ.get("HWNAS_REQUIRE_POSTGRESQL"):
            pytest.fail(reason)
        pytest.skip(reason)
    with throwaway_postgresql.Cluster(found) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def load_script() -> Iterator[Callable[[str], ModuleType]]:
    """Import a file of ``scripts/`` by its name, anew with each call; no module outlives the tests of its file."""
    with pytest.MonkeyPatch.context() as patch:

        def load(name: str) -> ModuleType:
            spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[1] / "scripts" / f"{name}.py")
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            patch.setitem(sys.modules, name, module)  # dataclasses look their module up there
            spec.loader.exec_module(module)
            return module

        yield load


@pytest.fixture
def scripted(monkeypatch, tmp_path):
    """The scripted plug-in is installed, and devices are locked apart from what else runs on this machine."""
    monkeypatch.setattr("hwnas.harness.host.lock.DIRECTORY", tmp_path)
    plug_in.install(monkeypatch)
    yield
    plug_in.remove(monkeypatch)


@pytest.fixture
def site(tmp_path):
    """A folder on the path in which a test installs plug-ins (``stand_ins/installed.py``)."""
    import installed

    folder = tmp_path / "site"
    folder.mkdir()
    made = installed.Site(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield made
    made.remove()


@pytest.fixture(autouse=True)
def _calm(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits for other programs, or has its measurements marked for what other tests do."""
    monkeypatch.setattr("hwnas.harness.host.load.read", lambda: None)


@pytest.fixture(autouse=True)
def _threads_and_numbers() -> Iterator[None]:
    """Backends set threads, and that the smallest numbers are 0, for a whole process: the next test has it anew."""
    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch else None
    yield
    torch = sys.modules.get("torch")
    if torch:
        torch.set_flush_denormal(False)
        torch.set_num_threads(threads or torch.get_num_threads())


@pytest.fixture(scope="module", autouse=True)
def _sparing_the_garbage_collector() -> Iterator[None]:
    """Nor does it look, with each batch that is timed, at a million objects that earlier files have loaded and left.

    What a file has left open is found while its own tests are named.
    """
    gc.collect()
    gc.freeze()
    yield
    gc.collect()


@pytest.fixture
def rng() -> np.random.Generator:
    """A seeded generator."""
    return np.random.default_rng(7)
