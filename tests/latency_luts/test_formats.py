from __future__ import annotations

import math
import string

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import latency_luts
from latency_luts import Entry, formats, write_table
from supernets.errors import TableError

KEY = "Conv-input:224x224x3-output:112x112x24"
HEADER = {
    "hwnas_latency_table": 1,
    "supernet": "ofa-mbv3-w1.0",
    "platform": "onnxruntime:threads=1",
    "unit": "ms",
    "environment": {"cpu": "x"},
    "protocol": {"version": 1},
    "blocks": {KEY: {"count": 5, "mean": 2.0, "std": 0.5}},
}


def put(tmp_path, document):
    file = tmp_path / "table.yaml"
    file.write_text(document if isinstance(document, str) else yaml.safe_dump(document, sort_keys=False))
    return file


def read_error(tmp_path, document) -> str:
    file = put(tmp_path, document)
    with pytest.raises(TableError) as caught:
        latency_luts.read(file)
    assert str(file) in str(caught.value)
    return str(caught.value)


# --- what is read ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "value"), [("std", 0.5), ("var", 0.25)])
def test_once_for_alls_layout_with_deviation_or_variance(tmp_path, name, value):
    table = latency_luts.read(put(tmp_path, {KEY: {"count": 500, "mean": 2.0, name: value}}))
    entry = table.entries[KEY]
    assert (entry.mean_s, entry.variance_s2, entry.count) == pytest.approx((2e-3, 0.25e-6, 500))


def test_a_mean_alone_has_no_variance(tmp_path):
    entry = latency_luts.read(put(tmp_path, {KEY: {"mean": 2}})).entries[KEY]
    assert math.isnan(entry.variance_s2)
    assert entry.count == 0


def test_exponents_without_a_point_are_numbers(tmp_path):
    assert latency_luts.read(put(tmp_path, f"{KEY}: {{mean: 5e-1}}")).entries[KEY].mean_s == 5e-4


@pytest.mark.parametrize(("unit", "seconds"), [("s", 2.0), ("ms", 2e-3), ("us", 2e-6)])
def test_our_layout_in_each_unit(tmp_path, unit, seconds):
    table = latency_luts.read(put(tmp_path, {**HEADER, "unit": unit}))
    entry = table.entries[KEY]
    assert (entry.mean_s, entry.variance_s2) == pytest.approx((seconds, (0.25 * seconds) ** 2))
    assert table.header["platform"] == "onnxruntime:threads=1"
    assert table.serves == ("ofa-mbv3-w1.0",)


def test_json_is_read_too(tmp_path):
    assert latency_luts.read(put(tmp_path, f'{{"{KEY}": {{"mean": 2.0}}}}')).entries[KEY].mean_s == 2e-3


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"count": 1, "std": 0.1}, "mean is missing"),
        ({"mean": 0}, "mean is 0: not measured"),
        ({"mean": -1.0}, "mean: expected a finite number that is not negative, got -1.0"),
        ({"mean": float("nan")}, "mean: expected a finite number"),
        ({"mean": float("inf")}, "mean: expected a finite number"),
        ({"mean": 10**400}, "mean: expected a finite number"),
        ({"mean": True}, "mean: expected a number, got True"),
        ({"mean": "fast"}, "mean: expected a number, got 'fast'"),
        ({"mean": [1.0]}, "mean: expected a number"),
        ({"mean": None}, "mean: expected a number, got None"),
        ({"mean": 1.0, "std": -0.1}, "std: expected a finite number"),
        ({"mean": 1.0, "var": "x"}, "var: expected a number"),
        ({"mean": 1.0, "std": 1.0, "var": 1.0}, "both std and var"),
        ({"mean": 1.0, "count": 1.5}, "count: expected a whole number"),
        ({"mean": 1.0, "sdt": 0.1}, "unknown field 'sdt'"),
        (1.25, "expected count, mean and std, got 1.25"),
        (None, "expected count, mean and std, got None"),
    ],
)
@pytest.mark.parametrize("layout", ["ofa", "hwnas"])
def test_malformed_values_name_file_and_key(tmp_path, layout, fields, fault):
    document = {KEY: fields} if layout == "ofa" else {**HEADER, "blocks": {KEY: fields}}
    message = read_error(tmp_path, document)
    assert f"{KEY}: " in message
    assert fault in message


def test_an_unknown_layout_is_refused_with_its_first_key(tmp_path):
    message = read_error(tmp_path, {"conv3x3_64": 1.0, KEY: {"mean": 1.0}})
    assert "first key is 'conv3x3_64'" in message
    assert "known layouts: hwnas, ofa" in message


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "got empty"),
        ("{}", "got empty"),
        ("- 1", "got a list"),
        ("just text", "got a str"),
        ("a: [", "is not YAML"),
        ("1: {mean: 1}", "expected block names as keys, got 1"),
        ("!!python/object/apply:os.getcwd []", "is not YAML"),
        (f"{KEY}: {{mean: 1.0}}\n{KEY}: {{mean: 2.0}}", "given twice"),
        (f"{KEY}: {{mean: 1.0, mean: 2.0}}", "'mean' is given twice"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, text, fault):
    assert fault in read_error(tmp_path, text)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    file = tmp_path / "table.yaml"
    file.write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(TableError, match="cannot be read"):
        latency_luts.read(file)


def test_no_file_and_a_folder(tmp_path):
    with pytest.raises(TableError, match="no such lookup table"):
        latency_luts.read(tmp_path / "none.yaml")
    with pytest.raises(TableError, match="cannot be read"):
        latency_luts.read(tmp_path)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"hwnas_latency_table": 2}, "this version reads schema 1, got 2"),
        ({"hwnas_latency_table": True}, "got True"),
        ({"unit": "minutes"}, "unit: expected one of s, ms, us, got 'minutes'"),
        ({"unit": ["ms"]}, "unit: expected text"),
        ({"blocks": {}}, "blocks: is empty"),
        ({"blocks": [1]}, "blocks: expected a mapping"),
        ({"environment": "x"}, "environment: expected a mapping"),
        ({"more": 1}, "unknown key 'more'"),
        ({"protocol": ...}, "protocol is missing"),
    ],
)
def test_a_malformed_header_is_refused(tmp_path, change, fault):
    document = {name: value for name, value in {**HEADER, **change}.items() if value is not ...}
    assert fault in read_error(tmp_path, document)


@settings(max_examples=60, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    )
)
def test_any_document_is_read_or_refused(tmp_path_factory, document):
    file = put(tmp_path_factory.mktemp("any"), {KEY: document})
    try:
        entry = latency_luts.read(file).entries[KEY]
    except TableError as error:
        refused = str(error)
    else:
        refused = None
        assert entry.mean_s > 0
    assert refused is None or KEY in refused


# --- what is written -------------------------------------------------------------------------------------------------

positive = st.floats(min_value=1e-9, max_value=1e3, allow_nan=False)
entries = st.builds(Entry, positive, st.just(math.nan) | positive, st.integers(0, 10**6))
names = st.text(string.ascii_letters + string.digits + "-_:x. '\"#&*!%@", min_size=1, max_size=40)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(names, entries, min_size=1, max_size=5))
def test_what_is_written_is_read_back_exactly(tmp_path_factory, blocks):
    file = tmp_path_factory.mktemp("round") / "t.yaml"
    header = {"supernet": "net", "platform": "torch:threads=1"}
    write_table(file, blocks, **header, environment={"cpu": "x", "n": 2}, protocol={"rounds": 3})
    table = latency_luts.read(file)
    assert list(table.entries) == list(blocks)
    # repr tells nan from nan no difference, and every other float exactly.
    assert repr(list(table.entries.values())) == repr(list(blocks.values()))
    assert table.header["environment"] == {"cpu": "x", "n": 2}
    assert {name: table.header[name] for name in header} == header


def test_writing_replaces_whole_files_and_leaves_nothing_else(tmp_path):
    file = tmp_path / "t.yaml"
    file.write_text("old")
    write_table(file, {KEY: Entry(1.0)}, supernet="n", platform="p", environment={}, protocol={})
    assert latency_luts.read(file).entries[KEY].mean_s == 1.0
    with pytest.raises(yaml.YAMLError):
        write_table(file, {KEY: Entry(1.0)}, supernet="n", platform="p", environment={"x": object()}, protocol={})
    assert latency_luts.read(file).entries[KEY].mean_s == 1.0
    assert [found.name for found in tmp_path.iterdir()] == ["t.yaml"]


def test_what_cannot_be_written_is_an_error(tmp_path):
    arguments = {"supernet": "n", "platform": "p", "environment": {}, "protocol": {}}
    with pytest.raises(TableError, match="no blocks"):
        write_table(tmp_path / "t.yaml", {}, **arguments)
    with pytest.raises(TableError, match="cannot be written"):
        write_table(tmp_path / "none" / "t.yaml", {KEY: Entry(1.0)}, **arguments)


def test_layouts_are_registered_by_file():
    assert formats.names() == ["hwnas", "ofa"]
