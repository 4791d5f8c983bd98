from __future__ import annotations

import sys
import textwrap
from importlib.metadata import PathDistribution

import pytest

from hwnas import supernets
from hwnas.supernets.errors import HwnasError, MeasurementError, PlugInError, UnknownNameError, UsageError, again
from hwnas.supernets.registry import Registry


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
    yield
    for module in ("extra_for_test", "broken_for_test"):
        sys.modules.pop(module, None)


def test_files_and_entry_points(package, plug_ins):
    registry = Registry("thing", package, "test.things")
    assert registry.names() == ["big-thing", "broken", "extra", "left", "right"]
    assert registry.create("right") == ("pair", "right")
    assert registry.create("big-thing") == ("big", "big-thing")
    assert registry.create("extra") == ("extra", "extra")


def test_a_broken_plug_in_raises_only_when_asked_for(package, plug_ins):
    registry = Registry("thing", package, "test.things")
    with pytest.raises(HwnasError, match=r"'broken' \(test.thing, plugin-for-test 1.0\) does not load: Module"):
        registry.create("broken")


STATEMENTS = (
    "SUMMARY = 3", "USES_PRIORS = 'yes'", "USES_WEIGHTS = 1", "MAX_OBJECTIVES = '2'", "BRIEF = '2000'", "FOR_ANY = 1",
    "LISTED = ('ms', 'less', 'time')",
)  # fmt: skip


@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_statement_of_another_type_makes_a_plug_in_broken(package, plug_ins, tmp_path, statement):
    (tmp_path / "site" / "extra_for_test.py").write_text(f"{statement}\ndef create(name): return name\n")

    registry = Registry("thing", package, "test.things")
    with pytest.raises(PlugInError, match=f"{statement.split()[0]}.*expected"):
        registry.create("extra")


def test_what_a_module_says_of_itself_or_what_holds_where_it_does_not(package, plug_ins, tmp_path):
    (tmp_path / "site" / "extra_for_test.py").write_text("SUMMARY = 'it'\ndef create(name): return name\n")

    registry = Registry("thing", package, "test.things")
    assert registry.stated("extra", "SUMMARY") == "it"
    assert [registry.stated("extra", what) for what in ("MAX_OBJECTIVES", "MIN_OBJECTIVES", "GROWS")] == [None, 1, True]
    with pytest.raises(UnknownNameError, match="unknown thing 'nothing'"):
        registry.stated("nothing", "SUMMARY")
    with pytest.raises(PlugInError, match="does not load"):
        registry.stated("broken", "SUMMARY")


def test_unknown_name_suggests(package):
    registry = Registry("thing", package, "test.nothing")
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


@pytest.mark.parametrize(
    ("file", "content"), [("entry_points.txt", b"[test.things]\nnonsense\n"), ("entry_points.txt", b"\xff\xfe=\n")]
)
def test_metadata_that_are_damaged_keep_nobody_elses_from_being_read(package, plug_ins, tmp_path, file, content):
    info = tmp_path / "site" / "damaged-1.0.dist-info"
    info.mkdir()
    (info / file).write_bytes(content)
    registry = Registry("thing", package, "test.things")
    assert registry.create("extra") == ("extra", "extra")


@pytest.mark.parametrize("raises", [False, True], ids=["says nothing", "raises"])
def test_a_plug_in_whose_package_has_no_metadata_is_named_without(package, plug_ins, tmp_path, monkeypatch, raises):
    if raises:  # as the package importlib_metadata does, in whose presence the standard library's finder is silent
        monkeypatch.setattr(PathDistribution, "metadata", property(lambda self: {}[self]))
    next((tmp_path / "site").glob("*/METADATA")).unlink()
    registry = Registry("thing", package, "test.things")
    with pytest.raises(PlugInError, match="the plug-in 'broken'"):
        registry.create("broken")


def test_an_entry_point_that_names_no_module_is_broken(package, plug_ins, tmp_path):
    (tmp_path / "site" / "plugin_for_test-1.0.dist-info" / "entry_points.txt").write_text(
        "[test.things]\nodd = a-b c\n"
    )
    assert Registry("thing", package, "test.things").names() == [
        "big-thing",
        "left",
        "odd",
        "right",
    ]


def test_an_error_of_another_process_is_of_its_class_where_a_message_is_enough():
    assert type(again("PlugInError", "broken")) is PlugInError
    for kind in ("UnknownNameError", "no such", "difflib", 3):
        error = again(kind, "broken")
        assert (type(error), str(error)) == (MeasurementError, "broken")
