"""Platform strings: what is read, what is refused, and that the canonical spelling reads back."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwnas import backends
from hwnas.harness import platform
from hwnas.harness.farm.offer import offer_here
from hwnas.harness.host.cpus import allowed_cpus
from hwnas.harness.platform import parse, platforms_here, swept
from hwnas.supernets.errors import PlatformError


@pytest.fixture(autouse=True)
def four_cpus(scripted, monkeypatch):
    monkeypatch.setattr(platform, "allowed_cpus", lambda: 4)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("scripted", "scripted:threads=1"),
        ("scripted:threads=1", "scripted:threads=1"),
        ("scripted:us=5,batch=8,threads=4", "scripted:threads=4,batch=8,us=5"),
        ("scripted:how=nothing,precision=fp32,device=cpu", None),
        ("scripted:precision=bf16", "scripted:threads=1,precision=bf16"),
        ("scripted:once=a=b", "scripted:threads=1,once=a=b"),
        ("lut:table=note10", "lut:table=note10"),
    ],
)
def test_canonical_spelling(text, canonical):
    if canonical is None:
        with pytest.raises(PlatformError, match="no key 'device'"):
            parse(text)
    else:
        assert str(parse(text)) == canonical
        assert parse(canonical) == parse(text)


values = st.text(
    st.characters(codec="ascii", exclude_characters=",", categories=("L", "N", "P", "S")), min_size=1, max_size=9
)


@pytest.mark.slow
@given(threads=st.integers(1, 4), batch=st.integers(1, 999), precision=st.sampled_from(["fp32", "bf16"]), at=values)
def test_the_canonical_spelling_reads_back(threads, batch, precision, at):
    parsed = parse(f"scripted:at={at},precision={precision},batch={batch},threads={threads}")
    assert parse(str(parsed)) == parsed
    assert str(parse(str(parsed))) == str(parsed)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("scriptd", "did you mean 'scripted'"),
        ("", "unknown backend ''"),
        ("scripted:thread=1", "no key 'thread'; did you mean 'threads'"),
        ("scripted:threads", "expected KEY=VALUE"),
        ("scripted:threads=", "expected KEY=VALUE"),
        ("scripted:threads=1,", "expected KEY=VALUE"),
        ("scripted:threads=1,threads=2", "given twice"),
        ("scripted:threads=5", "may use 4 CPUs"),
        ("scripted:threads=0", "at least 1"),
        ("scripted:threads=two", "at least 1"),
        ("scripted:threads=1.5", "at least 1"),
        ("scripted:threads=²", "at least 1"),
        ("scripted:batch=-1", "at least 1"),
        ("scripted:precision=fp8", "expected one of fp32, bf16"),
        ("scripted:how=well", "expected one of nothing, refuse"),
        ("lut:threads=2", "no key 'threads'"),
        ("lut:table=note11", "expected one of"),
    ],
)
def test_what_is_refused(text, words):
    with pytest.raises(PlatformError) as caught:
        parse(text)
    assert words in str(caught.value)
    assert repr(text) in str(caught.value)


def test_a_backend_that_does_not_work_here_says_why(monkeypatch):
    monkeypatch.setattr(type(backends.get("scripted")), "why_not", lambda _: "pip install scripted")
    with pytest.raises(PlatformError, match="does not work here: pip install scripted"):
        parse("scripted")
    (here,) = [entry for entry in platforms_here() if entry.platform.partition(":")[0] == "scripted"]
    assert here.why_not == "pip install scripted"


def test_what_there_is_here():
    here = {entry.platform: entry for entry in platforms_here()}
    assert here["scripted:threads=1"].why_not is None
    assert here["scripted:threads=1"].keys["threads"] == "1..4"
    assert here["scripted:threads=1"].keys["at"] == "any text"
    assert len(here) == len(backends.names())
    for entry in platforms_here():
        if entry.why_not is None:
            assert str(parse(entry.platform)) == entry.platform


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(text):
        (tmp_path / "hwnas.toml").write_text(text, encoding="utf-8")

    return write


def test_names_from_the_working_directory(names):
    names('[platforms]\nlaptop = "scripted:batch=8"\n')
    assert str(parse("laptop")) == "scripted:threads=1,batch=8"
    with pytest.raises(PlatformError, match="did you mean 'laptop'"):
        parse("laptp")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[platforms", "cannot be read"),
        ("[platforms]\nlaptop = 3\n", "holds lines like"),
        ("platforms = 3\n", "holds lines like"),
        ("[platforms]\nx = {y = [1]}\n", "holds lines like"),
        ('[platform]\nlaptop = "scripted"\n', r"unknown section [platform]; did you mean 'platforms'?"),
        ('[platforms]\na = "scripted"\n[Platforms]\nb = "scripted"\n', "unknown section [Platforms]"),
        ('[platforms]\na = "a"\n', "a = a: the name stands for itself"),
        ('[platforms]\na = "b"\nb = "c"\nc = "b"\n', "a = b = c = b: the name stands for itself"),
        ('[platforms]\nlut = "scripted"\n', "is the name of a backend"),
        ('[platforms]\na = "c"\nb = "scripted"\n', "unknown backend 'c'"),
    ],
)
def test_a_file_of_names_that_is_wrong(names, text, words):
    names(text)
    with pytest.raises(PlatformError, match=re.escape(words)):
        parse("a")


def test_no_file_is_no_error(names):
    assert platform.named_platforms() == {}
    names("[platforms]\n")
    assert platform.named_platforms() == {}


ODD_NAMES = ("lab+gpu", "lab, two threads", "a=b", "lab@home", "lab:gpu", "Büro 2", "lab+gpu,x=1+2")


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_name_may_be_any_text(names, name):
    names(f'[platforms]\n{json.dumps(name)} = "scripted:batch=2"\n')
    assert str(parse(name)) == "scripted:threads=1,batch=2"
    assert [str(parse(one)) for one in swept([name])] == ["scripted:threads=1,batch=2"]
    assert offer_here([name]).platforms == {name: "scripted:threads=1,batch=2"}


def test_a_name_may_stand_for_another_and_for_several(names):
    names('[platforms]\nmine = "lab.gpu"\nlab.gpu = "box"\nbox = "scripted:batch=2"\nall = "scripted:batch=1+2"\n')
    assert str(parse("mine")) == str(parse("lab.gpu")) == "scripted:threads=1,batch=2"
    assert swept(["all", "mine"]) == ["scripted:batch=1", "scripted:batch=2", "mine"]


def test_an_editor_may_put_a_mark_first(names):
    names("\ufeff[platforms]\nmine = 'scripted:batch=2'\n")
    assert str(parse("mine")) == "scripted:threads=1,batch=2"


def test_the_message_about_threads_names_what_is_allowed(monkeypatch):
    monkeypatch.setattr(platform, "allowed_cpus", allowed_cpus)
    allowed = allowed_cpus()
    with pytest.raises(PlatformError, match=rf"threads can be 1\.\.{allowed}"):
        parse(f"scripted:threads={allowed + 1}")


def test_settings_that_a_backend_refuses_are_refused_when_they_are_read(monkeypatch):
    backend = backends.get("scripted")
    monkeypatch.setattr(type(backend), "refuses", lambda self, settings: _no_bf16(settings), raising=False)
    with pytest.raises(PlatformError, match="platform 'scripted:precision=bf16': precision=bf16: it needs a chip"):
        parse("scripted:precision=bf16")
    assert str(parse("scripted")) == "scripted:threads=1"
    (here,) = (here for here in platforms_here() if here.platform == "scripted:threads=1")
    assert here.why_not is None
    assert here.refused == {"bf16": "precision=bf16: it needs a chip"}


def _no_bf16(settings):
    return "precision=bf16: it needs a chip" if settings.precision == "bf16" else None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("onnxruntime:precision=fp16", "fp16 needs device=cuda:0"),
        ("onnxruntime:precision=int8,device=cuda:0", "int8 needs device=cpu"),
        ("onnxruntime:precision=int8,provider=cuda", "int8 needs device=cpu"),
        ("onnxruntime:calibration=photos", "calibration=photos: nothing is quantised in fp32; expected precision="),
        ("onnxruntime:precision=int8,calibration=photos", "calibration=photos: no such folder"),
    ],
)
def test_int8_and_what_belongs_to_it(text, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PlatformError) as caught:
        parse(text)
    assert words in str(caught.value)
    (tmp_path / "photos").mkdir()
    assert str(parse("onnxruntime:calibration=photos,precision=int8")) == (
        "onnxruntime:threads=1,precision=int8,calibration=photos"
    )
