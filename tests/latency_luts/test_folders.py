"""A folder of tables, one per input resolution, is a platform: ``lut:dir=FOLDER``."""

from __future__ import annotations

import re
import shutil

import pytest

from hwnas import supernets
from hwnas.backends.backend import Settings
from hwnas.backends.lut import create
from hwnas.harness.measure import measure
from hwnas.harness.pinned import identity, pinned
from hwnas.harness.platform import parse
from hwnas.latency_luts import folders, published
from hwnas.latency_luts.folders import Folder, files_in, folder_digest, open_folder
from hwnas.supernets.contents import content_digest
from hwnas.supernets.errors import ChangedError, PlatformError, TableError


@pytest.fixture
def folder(tmp_path, assets):
    place = tmp_path / "mine"
    place.mkdir()
    for resolution in (160, 224):
        shutil.copy(assets / f"ofa/note10/{resolution}_lookup_table.yaml", place / f"phone-{resolution}px.yaml")
    (place / "README.yaml").write_text("about: these\n")
    (place / "notes-224.txt").write_text("not a table")
    return place


def smallest(platform):
    net = supernets.get("ofa-mbv3-w1.2")
    return measure(net, net.space.smallest(), platform)


def test_a_folder_serves_an_elastic_resolution(folder, rng):
    net = supernets.get("ofa-mbv3-w1.2:r=160+224")
    X = net.space.sample(20, rng)
    found = Folder.at(folder).open().bind(net).latency(X)
    assert found == pytest.approx(published.get("note10").open().bind(net).latency(X), rel=1e-12)


def test_it_is_a_platform(folder):
    (one,) = smallest(f"lut:dir={folder}")
    assert one.latency_ms == pytest.approx(17.769, abs=5e-4)


def test_a_resolution_that_it_lacks_is_refused(folder):
    with pytest.raises(TableError, match=r"mine: has no table for ofa-mbv3-w1\.2:r=192 at r=192; .* 160, 224"):
        Folder.at(folder).open().bind(supernets.get("ofa-mbv3-w1.2:r=192"))


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ((), "no file there is a lookup table named by its resolution"),
        (("table.yaml", "v1.224.yaml"), "named by its resolution"),
        (("224.yaml", "phone_224.json"), "two tables at r=224, 224.yaml and phone_224.json"),
    ],
)
def test_names_that_do_not_say_the_resolution_are_refused(tmp_path, names, said):
    for name in names:
        (tmp_path / name).write_text("a: 1\n")
    with pytest.raises(TableError, match=said):
        files_in(tmp_path)


def test_no_folder_is_an_error_of_one_line(tmp_path):
    with pytest.raises(TableError, match=r"nowhere: no such folder of lookup tables"):
        smallest(f"lut:dir={tmp_path / 'nowhere'}")


def test_a_folder_that_cannot_be_read_is_named_with_the_reason(folder, monkeypatch):
    def refused(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(folder), "iterdir", refused)
    with pytest.raises(TableError, match=re.escape(f"{folder}: cannot be read (Permission denied)")):
        files_in(folder)


def test_a_folder_is_known_by_what_it_holds(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    first, copy = (pinned(parse(f"lut:dir={place}")) for place in (folder, tmp_path / "copy"))
    assert identity(first) == identity(copy)
    table = folder / "phone-224px.yaml"
    table.write_text(table.read_text().replace("mean: 0.994418", "mean: 0.994419"))
    assert identity(pinned(parse(f"lut:dir={folder}"))) != identity(first)


def test_a_folder_that_changes_while_it_is_in_use_is_noticed(folder):
    tables, digest = Folder.at(folder).open(), folder_digest(folder)
    table = folder / "phone-224px.yaml"
    table.write_text(table.read_text().replace("mean: 0.994418", "mean: 0.994419"))
    with pytest.raises(ChangedError):
        tables.bind(supernets.get("ofa-mbv3-w1.2"))
    with pytest.raises(ChangedError, match=re.escape(f"{folder}: was changed")):
        open_folder(folder, digest)


@pytest.mark.parametrize("options", ["", "table=note10,dir=x", "file=x,dir=y"])
def test_exactly_one_source_is_given(options):
    with pytest.raises(PlatformError, match=r"say lut:table=note10, lut:file=PATH or lut:dir=FOLDER"):
        smallest(f"lut:{options}" if options else "lut")


@pytest.mark.parametrize("is_pinned", [True, False])
def test_a_table_is_digested_once_when_the_folder_is_opened(folder, monkeypatch, is_pinned):
    net, digested = supernets.get("ofa-mbv3-w1.2"), []
    contents = {"dir": folder_digest(folder)} if is_pinned else {}

    def counted(file):
        digested.append(file)
        return content_digest(file)

    monkeypatch.setattr(folders, "content_digest", counted)
    settings = Settings(options={"dir": str(folder)}, contents=contents)
    for _ in range(1 if is_pinned else 2):
        digested.clear()
        create("lut").latency(net, net.space.smallest(), settings)
        assert sorted(digested) == sorted(files_in(folder).values())
