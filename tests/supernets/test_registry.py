from __future__ import annotations

import sys
import textwrap

import pytest

import supernets
from supernets.errors import HwnasError, UnknownNameError, UsageError
from supernets.registry import Registry


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with two registered files, one of them with names of its own, and a file of machinery."""
    folder = tmp_path / "zoo_for_test"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "big_thing.py").write_text("def create(name): return ('big', name)\n")
    (folder / "pair.py").write_text("NAMES = ('left', 'right')\ndef create(name): return ('pair', name)\n")
    (folder / "machinery.py").write_text("raise RuntimeError('not to be imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "zoo_for_test"
    for module in [module for module in sys.modules if module.startswith("zoo_for_test")]:
        del sys.modules[module]


@pytest.fixture
def plug_ins(tmp_path, monkeypatch):
    """Installed entry points: one that works, one that raises on import."""
    info = tmp_path / "site" / "plugin_for_test-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin-for-test\nVersion: 1.0\n")
    points = "[test.things]\nextra = extra_for_test\nbroken = broken_for_test\n"
    (info / "entry_points.txt").write_text(textwrap.dedent(points))
    (info.parent / "extra_for_test.py").write_text("def create(name): return ('extra', name)\n")
    (info.parent / "broken_for_test.py").write_text("import no_such_module_at_all\n")
    monkeypatch.syspath_prepend(info.parent)


def test_files_and_entry_points(package, plug_ins):
    registry = Registry("thing", package, "test.things", skip=("machinery",))
    assert registry.names() == ["big-thing", "broken", "extra", "left", "right"]
    assert registry.create("right") == ("pair", "right")
    assert registry.create("big-thing") == ("big", "big-thing")
    assert registry.create("extra") == ("extra", "extra")


def test_a_broken_plug_in_raises_only_when_asked_for(package, plug_ins):
    registry = Registry("thing", package, "test.things", skip=("machinery",))
    with pytest.raises(HwnasError, match=r"'broken' \(test.thing, plugin-for-test 1.0\) does not load: Module"):
        registry.create("broken")


def test_unknown_name_suggests(package):
    registry = Registry("thing", package, "test.nothing", skip=("machinery",))
    with pytest.raises(UnknownNameError, match=r"unknown thing 'lefd'; did you mean 'left'\? \(known: big-thing, left"):
        registry.create("lefd")


@pytest.mark.parametrize(
    "spec", ["ofa-mbv3-w1.0:r", "ofa-mbv3-w1.0:r=", "ofa-mbv3-w1.0:=3", "ofa-mbv3-w1.0:r=160,r=224"]
)
def test_malformed_supernet_specs(spec):
    with pytest.raises(UsageError, match="super-network"):
        supernets.get(spec)


def test_every_error_has_an_exit_code():
    todo, seen = [HwnasError], set()
    while todo:
        kind = todo.pop()
        seen.add(kind.exit_code)
        todo.extend(kind.__subclasses__())
    assert seen == {1, 2}
    assert issubclass(UnknownNameError, UsageError)
