from __future__ import annotations

import math
import string

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hwnas import latency_luts, supernets
from hwnas.latency_luts import Entry, formats, key, write_table
from hwnas.latency_luts.correction import Correction
from hwnas.latency_luts.write import store_correction
from hwnas.supernets.blocks import distinct_blocks
from hwnas.supernets.errors import OutputError, TableError

KEY = "Conv-input:224x224x3-output:112x112x24"
# Of the first schema; those of the second are written by write_table.
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


def second_schema(document):
    """The same table as the second schema lays it out."""
    header = {name: value for name, value in document.items() if name not in ("hwnas_latency_table", "blocks")}
    return {"hwnas_latency_table": {"schema": 2, **header}, **document["blocks"]}


@pytest.mark.parametrize("schema", [1, 2])
@pytest.mark.parametrize(("unit", "seconds"), [("s", 2.0), ("ms", 2e-3), ("us", 2e-6)])
def test_our_layout_in_each_unit(tmp_path, schema, unit, seconds):
    document = {**HEADER, "unit": unit}
    table = latency_luts.read(put(tmp_path, document if schema == 1 else second_schema(document)))
    entry = table.entries[KEY]
    assert (entry.mean_s, entry.variance_s2) == pytest.approx((seconds, (0.25 * seconds) ** 2))
    assert table.header["platform"] == "onnxruntime:threads=1"
    assert table.serves == ("ofa-mbv3-w1.0",)
    assert table.name == str(tmp_path / "table.yaml")


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
        ({"mean": 1.0, "count": "x"}, "count: expected a number, got 'x'"),
        ({"mean": 1.0, "count": -1}, "count: expected a finite number that is not negative"),
        ({"mean": 1.0, "std": 1e30}, "the square of std: expected a finite number"),
        ({"mean": 1.0, "sdt": 0.1}, "unknown field 'sdt'"),
        (1.25, "expected count, mean and std, got 1.25"),
        (None, "expected count, mean and std, got None"),
    ],
)
@pytest.mark.parametrize("layout", ["ofa", "hwnas", "hwnas 2"])
def test_malformed_values_name_file_and_key(tmp_path, layout, fields, fault):
    ours = {**HEADER, "blocks": {KEY: fields}}
    documents = {"ofa": {KEY: fields}, "hwnas": ours, "hwnas 2": second_schema(ours)}
    message = read_error(tmp_path, documents[layout])
    assert f"{KEY}: " in message
    assert fault in message


def test_an_unknown_layout_is_refused_with_its_first_key(tmp_path):
    message = read_error(tmp_path, {"conv3x3_64": 1.0, KEY: {"mean": 1.0}})
    assert "first key is 'conv3x3_64'" in message
    assert "known layouts: hwnas, nsganet, ofa, proxylessnas" in message


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
        ({"hwnas_latency_table": 3}, "this version reads schemas 1 to 2, got 3"),
        ({"hwnas_latency_table": {"schema": 3}}, "this version reads schemas 1 to 2, got 3"),
        ({"hwnas_latency_table": {"schema": True}}, "got True"),
        ({"hwnas_latency_table": True}, "got True"),
        ({"unit": "minutes"}, "unit: expected one of s, ms, us, got 'minutes'"),
        ({"unit": ["ms"]}, "unit: expected text"),
        ({"blocks": {}}, "blocks: is empty"),
        ({"blocks": ...}, "blocks: is empty"),
        ({"blocks": None}, "blocks: expected a mapping, got None"),
        ({"blocks": [1]}, "blocks: expected a mapping"),
        ({"environment": "x"}, "environment: expected a mapping"),
        ({"more": 1}, "unknown key 'more'"),
        ({"schema": 1}, "unknown key 'schema'; hwnas_latency_table says the schema"),
        ({"protocol": ...}, "protocol is missing"),
    ],
)
def test_a_malformed_header_is_refused(tmp_path, change, fault):
    document = {name: value for name, value in {**HEADER, **change}.items() if value is not ...}
    assert fault in read_error(tmp_path, document)


@pytest.mark.slow
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
def test_what_is_written_is_read_back_to_the_last_digit_but_one(tmp_path_factory, blocks):
    file = tmp_path_factory.mktemp("round") / "t.yaml"
    header = {"supernet": "net", "platform": "torch:threads=1"}
    write_table(file, blocks, **header, environment={"cpu": "x", "n": 2}, protocol={"rounds": 3})
    table = latency_luts.read(file)
    assert list(table.entries) == list(blocks)
    for found, given_entry in zip(table.entries.values(), blocks.values(), strict=True):
        assert found.mean_s == pytest.approx(given_entry.mean_s, rel=1e-15)
        assert found.variance_s2 == pytest.approx(given_entry.variance_s2, rel=1e-14, nan_ok=True)
        assert found.count == given_entry.count
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
    with pytest.raises(OutputError, match=r"cannot write .*: No such file or directory"):
        write_table(tmp_path / "none" / "t.yaml", {KEY: Entry(1.0)}, **arguments)


def test_layouts_are_registered_by_file():
    assert formats.names() == ["hwnas", "nsganet", "ofa", "proxylessnas"]


def test_beside_its_header_a_written_table_is_once_for_alls(tmp_path):
    file = tmp_path / "t.yaml"
    write_table(file, {KEY: Entry(2e-3, 1e-8, 7)}, supernet="n", platform="p", environment={}, protocol={})
    document = yaml.safe_load(file.read_text())
    assert next(iter(document)) == "hwnas_latency_table"
    assert document.pop("hwnas_latency_table")["unit"] == "ms"
    assert document == {KEY: {"count": 7, "mean": 2.0, "std": pytest.approx(0.1)}}


def test_what_is_written_can_be_read_by_people_too(tmp_path):
    file, cpu = tmp_path / "t.yaml", "Pr\N{LATIN SMALL LETTER U WITH DIAERESIS}fstand " * 12
    write_table(file, {KEY: Entry(1.0)}, supernet="n", platform="p", environment={"cpu": cpu}, protocol={})
    assert cpu.strip() in file.read_text(encoding="utf-8")  # as it is spelled, and on one line


def test_a_correction_is_stored_with_its_facts_and_may_be_negative(tmp_path):
    file = tmp_path / "t.yaml"
    write_table(
        file, {KEY: Entry(1.0, 0.25, 3)}, supernet="n", platform="p", environment={}, protocol={}, built={"seconds": 3}
    )
    table = latency_luts.read(file)
    store_correction(file, table, Correction({"block": -1e-6, "network": 2e-5}, {"fitted_on": 20}))
    again = latency_luts.read(file)
    assert again.correction == Correction({"block": -1e-6, "network": 2e-5, "table": 1.0}, {"fitted_on": 20})
    assert again.header["built"] == {"seconds": 3}
    assert table.entries == again.entries


@pytest.mark.parametrize(
    ("correction", "fault"),
    [
        ({"terms": {"blok": 1.0}}, "unknown term 'blok'"),
        ({"terms": {"block": "x"}}, "block: expected a number"),
        ({"terms": {"block": -math.inf}}, "block: expected a finite number"),
        ({"terms": [1]}, "expected terms and facts"),
        ({"facts": {}}, "expected terms and facts"),
        (7, "correction: expected a mapping"),
    ],
)
def test_a_malformed_correction_is_refused(tmp_path, correction, fault):
    assert fault in read_error(tmp_path, second_schema({**HEADER, "correction": correction}))


def test_another_layout_has_no_place_for_a_correction(tmp_path):
    file = put(tmp_path, {KEY: {"mean": 1.0}})
    with pytest.raises(TableError, match="only a table that hwnas built"):
        store_correction(file, latency_luts.read(file), Correction({}))


# --- layouts of others -----------------------------------------------------------------------------------------------


def test_proxylessnas_has_ratios_and_says_nothing_of_squeezing(tmp_path):
    table = latency_luts.read(
        put(
            tmp_path,
            {
                "Conv-input:224x224x3-output:112x112x32": {"count": 4, "mean": 10.0, "var": 0.25},
                "expanded_conv-input:56x56x24-output:28x28x40-expand:3-kernel:7-stride:2-idskip:0": {"mean": 2.0},
                "expanded_conv-input:28x28x40-output:28x28x40-expand:240-kernel:3-stride:1-idskip:1": {"mean": 3.0},
            },
        )
    )
    assert list(table.entries) == [
        "Conv-input:224x224x3-output:112x112x32",
        "expanded_conv-input:56x56x24-output:28x28x40-expand:72-kernel:7-stride:2-idskip:0-se:0-hs:0",
        "expanded_conv-input:28x28x40-output:28x28x40-expand:240-kernel:3-stride:1-idskip:1-se:0-hs:0",
    ]
    assert table.entries["Conv-input:224x224x3-output:112x112x32"].variance_s2 == pytest.approx(0.25e-6)


def nsganet_key(block):
    """A block of ours as NSGANetV2 spells it, or None where they count it under another."""
    words = {
        "mbconv": "MBConv",
        "first-conv": "first_conv",
        "final-expand": "final_expand_layer",
        "feature-mix": "feature_mix_layer",
        "classifier": "classifier",
    }
    if block.kind not in words:
        return None
    given, result = ("x".join(map(str, shape)) for shape in (block.input, block.output))
    if block.kind == "classifier":
        given = given.removeprefix("1x1x")
    name = f"{words[block.kind]}-input:{given}-output:{result}"
    if block.kind == "mbconv":
        ratio = next(r for r in (1, 3, 4, 6) if abs(block.input[-1] * r - block.option("mid")) <= 4)
        rest = "-".join(f"{field}:{block.option(field)}" for field in ("kernel", "stride", "idskip", "se"))
        name += f"-expand:{ratio}-{rest}"
    return name


@pytest.mark.parametrize("name", ["ofa-mbv3-w1.0", "ofa-mbv3-w1.2"])
def test_a_table_of_nsganetv2_serves_the_networks_it_was_made_for(tmp_path, name):
    net = supernets.get(name)
    blocks = list(distinct_blocks(net.slots))
    document = {
        nsganet_key(block): {"mean": 1.0 + number, "var": 1e-4}
        for number, block in enumerate(blocks)
        if nsganet_key(block) is not None
    }
    table = latency_luts.read(put(tmp_path, document))
    assert table.missing(net) == []
    for number, block in enumerate(blocks):
        expected = 0.0 if block.kind == "pool" else (1.0 + number) / 1e3
        assert table.entries[key(block)].mean_s == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("MBConv-input:8x8x16-output:8x8x16-expand:3-kernel:3-stride:1-idskip:1", "expected the fields"),
        ("MBConv-input:8x8x16-output:8x8x16-expand:x-kernel:3-stride:1-idskip:1-se:0", "expected a whole number"),
        ("MBConv-input:8x8x16-nonsense", "expected a key like"),
        ("classifier-input:8-output:4-more:1", "expected the fields"),
        ("attention-input:8-output:4", "unknown layer 'attention'"),
    ],
)
def test_a_malformed_key_of_another_layout_is_named(tmp_path, name, fault):
    message = read_error(tmp_path, {"first_conv-input:8x8x3-output:4x4x16": {"mean": 1.0}, name: {"mean": 1.0}})
    assert name in message
    assert fault in message


OFA_BOTTLENECK = "expanded_conv-input:8x8x16-output:8x8x16-expand:48-kernel:3-stride:1-idskip:1-se:0-hs:0"
PROXYLESS = "expanded_conv-input:8x8x16-output:8x8x16-expand:3-kernel:3-stride:1-idskip:1"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (OFA_BOTTLENECK, OFA_BOTTLENECK),
        (PROXYLESS, PROXYLESS.replace("expand:3", "expand:48") + "-se:0-hs:0"),
    ],
)
def test_a_bottleneck_that_says_whether_it_squeezes_is_once_for_alls(tmp_path, name, expected):
    table = latency_luts.read(put(tmp_path, {KEY: {"mean": 1.0}, name: {"mean": 2.0}}))
    assert list(table.entries) == [KEY, expected]
    assert table.entries[expected].mean_s == 2e-3
    assert table.name == str(tmp_path / "table.yaml")


@pytest.mark.parametrize("value", [{"mean": "fast"}, {"count": 3}, {"mean": 1.0, "median": 2.0}, 5])
def test_a_malformed_value_of_proxylessnas_names_file_and_key(tmp_path, value):
    assert PROXYLESS in read_error(tmp_path, {PROXYLESS: value})


MBCONV = "MBConv-input:8x8x16-output:8x8x16-expand:3-kernel:3-stride:1-idskip:1-se:0"


@pytest.mark.parametrize("value", [{"mean": "fast"}, {"count": 3}, {"mean": 1.0, "median": 2.0}, 5])
def test_a_malformed_value_of_nsganetv2_names_file_and_key(tmp_path, value):
    assert f"table.yaml: {MBCONV}: " in read_error(tmp_path, {MBCONV: value})


def test_a_pooling_that_was_measured_with_another_block_takes_no_time_of_its_own(tmp_path):
    block = {"count": 7, "mean": 2.0, "var": 0.5}
    table = latency_luts.read(put(tmp_path, {"final_expand_layer-input:7x7x160-output:7x7x960": block}))
    assert table.entries == {
        "Conv_1-input:7x7x160-output:7x7x960": Entry(2e-3, 0.5e-6, 7),
        "AvgPool2D-input:7x7x960-output:1x1x960": Entry(0.0, 0.0, 7),
    }
    assert table.name == str(tmp_path / "table.yaml")


@pytest.mark.parametrize(
    ("field", "old", "new"), [("expand", "expand:3", "expand:x"), ("input", "8x8x16-o", "8x8xy-o")]
)
@pytest.mark.parametrize("name", [MBCONV, PROXYLESS])
def test_a_number_of_a_key_that_is_none_is_named(tmp_path, name, field, old, new):
    odd = name.replace(old, new)
    assert f"{odd}: {field}: expected a whole number, got {new[-1 if field == 'expand' else 4]!r}" in read_error(
        tmp_path, {name: {"mean": 1.0}, odd: {"mean": 1.0}}
    )


def test_a_ratio_as_large_as_the_inputs_width_is_the_middle_width(tmp_path):
    names = [PROXYLESS.replace("expand:3", f"expand:{given}") for given in (15, 16, 17)]
    table = latency_luts.read(put(tmp_path, {name: {"mean": 1.0} for name in names}))
    assert [name.partition("expand:")[2].partition("-")[0] for name in table.entries] == ["240", "16", "17"]


def test_layers_of_nsganetv2_that_are_known_are_named(tmp_path):
    message = read_error(tmp_path, {MBCONV: {"mean": 1.0}, "attention-input:8-output:4": {"mean": 1.0}})
    assert "(known: MBConv, first_conv, final_expand_layer, feature_mix_layer, classifier)" in message


def test_a_bottleneck_that_squeezes_is_no_proxylessnas(tmp_path):
    assert "unknown layout" in read_error(tmp_path, {"odd": {"mean": 1.0}, OFA_BOTTLENECK: {"mean": 1.0}})


@pytest.mark.parametrize("name", ["built", "correction"])
def test_the_first_schema_has_no_place_for_what_came_later(tmp_path, name):
    assert f"unknown key {name!r}" in read_error(tmp_path, {**HEADER, name: {}})


def test_a_malformed_key_of_proxylessnas_names_file_and_key(tmp_path):
    odd = PROXYLESS.replace("-idskip:1", "")
    assert odd in read_error(tmp_path, {PROXYLESS: {"mean": 1.0}, odd: {"mean": 1.0}})


def test_a_table_that_gets_a_correction_has_it_at_once(tmp_path):
    file = tmp_path / "t.yaml"
    facts = {"supernet": "s", "platform": "p", "environment": {"a": 1}, "protocol": {"b": 2}, "built": {"c": 3}}
    write_table(file, {KEY: Entry(1e-3, 1e-8, 7)}, **facts)
    corrected = store_correction(file, latency_luts.read(file), Correction({"block": 1e-6}, {"n": 20}))
    again = latency_luts.read(file)
    for table in (corrected, again):
        assert table.correction.terms["block"] == 1e-6
        assert table.correction.facts == {"n": 20}
        assert {name: table.header[name] for name in facts} == facts
        assert table.entries[KEY].count == 7
    other = put(tmp_path, {KEY: {"mean": 1.0}})
    with pytest.raises(TableError, match=rf"^{other}: only a table that hwnas built can hold a correction"):
        store_correction(other, latency_luts.read(other), Correction({}))
