from __future__ import annotations

import ast
import csv
import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwnas import supernets
from hwnas.latency_luts import measured
from hwnas.latency_luts.lookup import Lookup
from hwnas.latency_luts.measured import MeasuredTable
from hwnas.latency_luts.metric import Metric
from hwnas.supernets.errors import TableError
from hwnas.supernets.space import Choice, SearchSpace

SPACE = SearchSpace(
    (Choice("d", (1, 2)), Choice("k", (3, 5)), Choice("k", (3, 5), needs=(0, 1)), Choice("w", (0.5, 1.0))),
    fixed={"r": [224]},
    ignored={"wid": None},
)


def put(tmp_path, text):
    file = tmp_path / "m.csv"
    file.write_text(text, encoding="utf-8")
    return file


def read(tmp_path, text) -> MeasuredTable:
    return MeasuredTable.read(put(tmp_path, text))


# --- sub-networks ----------------------------------------------------------------------------------------------------

CONFIG = {"d": [2], "k": [3, 5], "w": [1.0]}


def test_a_config_column(tmp_path):
    cell = json.dumps(CONFIG).replace('"', '""')
    table = read(tmp_path, f'config,latency_ms\n"{cell}",1.5\n')
    assert table.vectors(SPACE).tolist() == [[1, 0, 1, 1]]


def test_a_column_per_key(tmp_path):
    table = read(tmp_path, "latency_ms,w,k,d\n1.5,1.0,3 5,2\n2.5,.5,5 5,1\n")
    # The second row's second layer is absent, so its canonical index is 0.
    assert table.vectors(SPACE).tolist() == [[1, 0, 1, 1], [0, 1, 0, 0]]


def test_dynast_as_it_is(tmp_path):
    literal = str({"wid": None, **CONFIG, "r": [224]})
    text = f'Sub-network,Date,Latency (ms),MACs,Top-1 Acc (%)\n"{literal}",2022-11-01 05:40,7,255502624,75.4\n'
    table = read(tmp_path, text)
    assert table.vectors(SPACE).tolist() == [[1, 0, 1, 1]]
    assert table.seconds(table.metric("latency")) == pytest.approx([7e-3])
    assert table.values(table.metric("macs")) == pytest.approx([255502624])
    assert table.metric("top1") == Metric("Top-1 Acc (%)", "top1", "%")


def test_a_byte_order_mark_and_blank_lines_are_let_pass(tmp_path):
    assert read(tmp_path, "\ufeffk,d,w,latency_ms\n\n3 5,2,1.0,1\n\n").vectors(SPACE).tolist() == [[1, 0, 1, 1]]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("config,latency_ms\n{broken,1\n", "line 2: config: expected a JSON object, got '{broken'"),
        ("config,latency_ms\n[1],1\n", "line 2: expected an object like"),
        ("Sub-network,latency_ms\n__import__('os'),1\n", "line 2: Sub-network: expected a Python dict"),
        ("k,d,w,latency_ms\n3 5,2,1.0,1\n3 4,2,1.0,1\n", "line 3: k[1]: expected one of {3, 5}, got 4"),
        ("k,d,w,latency_ms\n3,2,1.0,1\n", "line 2: k: expected 2 values, got 1"),
        ("k,d,w,latency_ms\n3 x,2,1.0,1\n", "line 2: k: expected numbers separated by spaces, got '3 x'"),
        ("k,d,w,r,latency_ms\n3 3,2,1.0,192,1\n", "line 2: r: is fixed at [224]"),
        ("k,w,latency_ms\n3 5,1.0,1\n", "'d' is missing; there are: k, w, latency_ms"),
    ],
)
def test_rows_that_are_no_sub_networks_are_named(tmp_path, text, fault):
    table = read(tmp_path, text)
    with pytest.raises(TableError) as caught:
        table.vectors(SPACE)
    assert fault in str(caught.value)
    assert "m.csv" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "is empty"),
        ("sep=;\n", "is empty"),
        ("a,b\n", "has a header but no rows"),
        ("a,b\n1\n", "line 2: expected 2 cells, got 1"),
        ("a,a\n1,2\n", "column 'a' is there twice"),
        ('a,b\n1,"2\n', "cannot be read as CSV"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, text, fault):
    with pytest.raises(TableError) as caught:
        read(tmp_path, text)
    assert fault in str(caught.value)


def test_no_file_and_no_text(tmp_path):
    with pytest.raises(TableError, match="no such measured table"):
        MeasuredTable.read(tmp_path / "none.csv")
    (tmp_path / "b.csv").write_bytes(b"a,b\n\xff\xff,1\n")
    with pytest.raises(TableError, match="cannot be read"):
        MeasuredTable.read(tmp_path / "b.csv")


# --- as spreadsheets write them --------------------------------------------------------------------------------------


@pytest.mark.parametrize("note", ["", "sep={}\n", '"sep={}"\r\n'])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_cells_apart_by_what_spreadsheets_use(tmp_path, delimiter, note):
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(["name, or; so", "config", "t (\N{MICRO SIGN}s)"])
    writer.writerows([["x", json.dumps(CONFIG), 1500], ["y", json.dumps(CONFIG), 2500]])
    table = read(tmp_path, note.format(delimiter) + text.getvalue().replace("\r\n", "\n"))
    assert list(table.columns) == ["name, or; so", "config", "t (\N{MICRO SIGN}s)"]
    assert table.vectors(SPACE).tolist() == [[1, 0, 1, 1]] * 2
    assert table.seconds(table.metric("t")) == pytest.approx([1.5e-3, 2.5e-3])
    assert table.lines == ((2, 3) if not note else (3, 4))


def test_cells_are_apart_by_what_stands_outside_of_quotes(tmp_path):
    table = read(tmp_path, 'a;"latency, p50, of 3 runs, warm (ms)"\n1;2\n')
    assert list(table.columns) == ["a", "latency, p50, of 3 runs, warm (ms)"]


def test_a_name_of_two_lines_is_spelled_as_in_the_file(tmp_path):
    (tmp_path / "m.csv").write_bytes(b'a,"latency\r\n(ms)"\r\n1,2\r\n')
    table = MeasuredTable.read(tmp_path / "m.csv")
    assert table.metric("latency\r\n(ms)").unit == "ms"
    assert table.columns == {"a": ("1",), "latency\r\n(ms)": ("2",)}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a;t_ms\n1;12,5\n2;7\n", [12.5, 7]),
        ("a;t_ms\n1;1,234\n2;-,5e1\n", [1.234, -5]),
        ("a;t_ms\n1;12.5\n2;7\n", [12.5, 7]),
        ("a\tt_ms\n1\t12,5\n2\t1,234\n", [12.5, 1.234]),
        ('a,t_ms\n1,"1234,567"\n2,"1,234"\n', [1234.567, 1.234]),
        ("a;t_ms\n1;+1,5e-3\n2;1,5E+3\n3; ,5 \n", [1.5e-3, 1500, 0.5]),
        ("SEP=;\na;t_ms\n1;1,5\n", [1.5]),
        ('a,t_ms\n1,"12,5"\n2,"7"\n', [12.5, 7]),
    ],
)
def test_decimal_commas(tmp_path, text, value):
    table = read(tmp_path, text)
    assert table.values(table.metric("t")).tolist() == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('a,t_ms\n1,2\n2,"1,234"\n', "line 3: t_ms: '1,234' can be a decimal comma or thousands"),
        ("a\tt_ms\n1\t12,345,678\n2\t1,234\n", "line 3: t_ms: '1,234' can be a decimal comma or thousands"),
        (
            "a;t_ms\n1;1.234\n2;12,5\n",
            "line 3: t_ms: '12,5' has a decimal comma, and '1.234' in the same",
        ),
        ("a;t_ms\n1;1.234,5\n", "line 2: t_ms: expected a number, got '1.234,5'"),
        ("a;t_ms\n1;1,5\n2;n,a,\n", "line 3: t_ms: expected a number, got 'n,a,'"),
    ],
)
def test_a_comma_that_may_mean_two_things_is_refused(tmp_path, text, fault):
    table = read(tmp_path, text)
    with pytest.raises(TableError) as caught:
        table.values(table.metric("t"))
    assert fault in str(caught.value)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=5), st.sampled_from(["%.3f", "%.1e", "%r", "%d"]))
def test_any_numbers_of_a_spreadsheet_in_german(tmp_path_factory, numbers, form):
    file = tmp_path_factory.getbasetemp() / "german.csv"
    cells = [form % number for number in numbers]
    file.write_text("n;x\n" + "".join(f"0;{cell.replace('.', ',')}\n" for cell in cells))
    table = MeasuredTable.read(file)
    assert table.values(table.metric("x")).tolist() == [float(cell) for cell in cells]


def test_fractions_with_decimal_commas_in_a_column_per_key(tmp_path):
    table = read(tmp_path, "w;k;d;latency_ms\n0,5;3 5;2;1,5\n")
    assert table.vectors(SPACE).tolist() == [[1, 0, 1, 0]]


# --- metrics ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "stem", "unit"),
    [
        ("latency_ms", "latency", "ms"),
        ("Latency (ms)", "latency", "ms"),
        ("latency [us]", "latency", "us"),
        ("v100_64_ms", "v10064", "ms"),
        ("LATENCY_S", "latency", "s"),
        ("t (\N{MICRO SIGN}s)", "t", "us"),
        ("t_\N{GREEK SMALL LETTER MU}s", "t", "us"),
        ("t [\N{MICRO SIGN}S]", "t", "us"),
        ("latency_ns", "latency", "ns"),
        ("Latency ( ms )", "latency", "ms"),
        ("Latency ms", "latency", "ms"),
        ("latency_seconds", "latency", "s"),
        ("latency sec", "latency", "s"),
        ("latency_msec", "latency", "ms"),
        ("latency (milliseconds)", "latency", "ms"),
        ("latency_usec", "latency", "us"),
        ("Latency [Microseconds]", "latency", "us"),
        ("latency_nsec", "latency", "ns"),
        ("latency_nanoseconds", "latency", "ns"),
        ("Top-5 Acc (%)", "top5", "%"),
        ("BLEU Score", "bleu", ""),
        ("Top-1 Acc (%)", "top1", "%"),
        ("top1_%", "top1", "%"),
        ("Model Parameters", "params", ""),
        ("MACs", "macs", ""),
        ("macs", "macs", ""),
        ("_ms", "", "ms"),
    ],
)
def test_names_are_split_from_their_units(column, stem, unit):
    assert Metric.of(column) == Metric(column, stem, unit)


TIMES = "config,a_s,b_ms,c_us,latency_ms,Latency (us),d_ns\n{},2,2,2,1,5,2\n"


@pytest.mark.parametrize(
    ("name", "seconds"), [("a", 2.0), ("b", 2e-3), ("c", 2e-6), ("d", 2e-9), ("b_ms", 2e-3), ("B (ms)", 2e-3)]
)
def test_units_become_seconds(tmp_path, name, seconds):
    table = read(tmp_path, TIMES)
    assert table.seconds(table.metric(name)) == pytest.approx([seconds])


def test_a_name_that_fits_two_columns_is_refused(tmp_path):
    table = read(tmp_path, TIMES)
    with pytest.raises(TableError, match=r"can be any of latency_ms, Latency \(us\)"):
        table.metric("latency")
    assert table.metric("latency_us").column == "Latency (us)"


def test_a_missing_column_lists_those_there_are(tmp_path):
    table = read(tmp_path, TIMES)
    with pytest.raises(TableError, match=r"expected a column 'b_us'; there are: config, a_s, b_ms, c_us, latency_ms"):
        table.metric("b_us")


def test_a_latency_without_a_unit_is_refused(tmp_path):
    table = read(tmp_path, "config,latency\n{},1\n")
    with pytest.raises(TableError, match="no unit of time in its name; name it latency_ms"):
        table.seconds(table.metric("latency"))


def test_zeros_and_empty_cells_were_not_measured(tmp_path):
    table = read(tmp_path, "config,a_ms,b_ms\n{},0,0\n{},,0\n{},4,0.0\n")
    assert table.seconds(table.metric("a")) == pytest.approx([np.nan, np.nan, 4e-3], nan_ok=True)
    with pytest.raises(TableError, match="'b_ms' is 0 or empty throughout: it was not measured"):
        table.seconds(table.metric("b"))


def test_cells_that_say_nan_were_not_measured(tmp_path):
    table = read(tmp_path, "config,a_ms\n{},NaN\n{},nan\n{}, NAN \n{},4\n")
    assert table.values(table.metric("a")).tolist() == pytest.approx([np.nan] * 3 + [4.0], nan_ok=True)


@pytest.mark.parametrize("cell", ["fast", "inf", "1e999", "-1"])
def test_cells_that_are_no_latency_are_named(tmp_path, cell):
    table = read(tmp_path, f"config,a_ms\n{{}},1\n{{}},{cell}\n")
    with pytest.raises(TableError, match="line 3: a_ms: "):
        table.seconds(table.metric("a"))


def test_a_negative_latency_is_named_and_a_small_one_is_none(tmp_path):
    table = read(tmp_path, "config,a_ms\n{},0.25\n{},-0.5\n{},-1\n")
    with pytest.raises(TableError, match="line 3: a_ms: cannot be negative"):
        table.seconds(table.metric("a"))
    table = read(tmp_path, "config,a_ms\n{},0.25\n{},0\n")
    assert table.seconds(table.metric("a")) == pytest.approx([2.5e-4, np.nan], nan_ok=True)


# --- lookup ----------------------------------------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 15), st.floats(0.1, 10) | st.just(float("nan"))), max_size=30))
def test_lookup_averages_like_a_plain_loop(rows):
    """The second way: a dictionary of lists."""
    sizes = (2, 2, 2, 2)
    X = np.array([np.unravel_index(number, sizes) for number, _ in rows], dtype=np.int64).reshape(-1, 4)
    values = np.array([value for _, value in rows], dtype=float)
    collected: dict[str, list[float]] = {}
    for key, value in zip(SPACE.keys(X), values, strict=True):
        if not np.isnan(value):
            collected.setdefault(key, []).append(value)
    lookup = Lookup.averaged(SPACE, X, values)
    everything = np.array(list(np.ndindex(sizes)))
    expected = [np.mean(collected[key]) if key in collected else np.nan for key in SPACE.keys(everything)]
    assert lookup(everything) == pytest.approx(expected, nan_ok=True)
    assert len(lookup.values) == len(collected)


def test_lookup_of_no_rows():
    lookup = Lookup.averaged(SPACE, SPACE.sample(3, 0), np.full(3, np.nan))
    assert np.isnan(lookup(SPACE.sample(5, 1))).all()
    assert lookup(np.empty((0, 4), dtype=int)).shape == (0,)


def test_dynasts_files(assets):
    space = supernets.get("ofa-mbv3-w1.0").space
    file = assets / "dynast" / "mbnv3w10_linasnsga2_acc_macs.csv"
    table = MeasuredTable.read(file)
    X = table.vectors(space)
    lookup = Lookup.averaged(space, X, table.measured(table.metric("top1")))
    with file.open(newline="") as lines:
        row = list(csv.DictReader(lines))[17]
    assert lookup(space.encode(ast.literal_eval(row["Sub-network"])))[0] == pytest.approx(
        float(row["Top-1 Acc (%)"]), abs=0.1
    )
    with pytest.raises(TableError, match="was not measured"):
        table.seconds(table.metric("latency"))


# --- throughput is no latency ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "column",
    [
        "throughput_ms", "Throughput (ms)", "fps_s", "v100 FPS (ms)", "qps_s", "V100_throughput_us", "ips_us", "rps_ms",
        "tps_s", "throughput", "imgps_ms",
    ],
)  # fmt: skip
def test_a_throughput_that_is_not_per_second_is_refused(tmp_path, column):
    file = tmp_path / "t.csv"
    file.write_text(f'config,{column},v100_ms\n"{{}}",5,6\n')
    table = MeasuredTable.read(file)
    with pytest.raises(TableError, match=r"is a throughput by its name, .* per second .* of latencies, like v100_ms"):
        table.seconds(table.metric(column))


@pytest.mark.parametrize("column", ["time/sample_ms", "time/step (ms)", "t/sequence [ms]", "runtime/ sample_ms"])
def test_a_time_for_each_sample_is_none_per_second(tmp_path, column):
    file = tmp_path / "t.csv"
    file.write_text(f'config,{column}\n"{{}}",5\n')
    table = MeasuredTable.read(file)
    assert table.seconds(table.metric(column)) == pytest.approx([5e-3])


@pytest.mark.parametrize(
    "column",
    [
        "images_per_s", "samples per s", "img_per_sec", "throughput_per_s", "tokens/ s", "images per sec",
        "v100_64_imgps", "fps", "V100 FPS", "Throughput (img/s)", "throughput [images/sec]", "qps",
        "imgs/seconds",
    ],
)  # fmt: skip
def test_samples_per_second_are_read_as_the_latency_of_a_batch(tmp_path, column):
    file = tmp_path / "t.csv"
    file.write_text(f'config,{column}\n"{{}}",500\n"{{}}",0\n')
    table = MeasuredTable.read(file)
    assert table.seconds(table.metric(column)) == pytest.approx([2e-3, np.nan], nan_ok=True)
    assert table.seconds(table.metric(column), 64) == pytest.approx([0.128, np.nan], nan_ok=True)


def test_a_throughput_alone_is_refused_without_an_example(tmp_path):
    table = read(tmp_path, "config,fps_ms\n{},5\n")
    with pytest.raises(TableError, match=r"expected that, or a column of latencies$"):
        table.seconds(table.metric("fps"))


@pytest.mark.parametrize(
    "column",
    ["latency_ms", "v100_64_ms", "Latency (ms)", "time_per_image_ms", "clips_ms", "chips_s", "throughput_latency_ms"],
)
def test_latencies_are_read_as_ever(tmp_path, column):
    file = tmp_path / "t.csv"
    file.write_text(f'config,{column}\n"{{}}",5\n')
    table = MeasuredTable.read(file)
    assert table.seconds(table.metric(column))[0] in (5e-3, 5.0)


def test_long_cells_are_cut_in_messages():
    for n, shown in ((60, "x" * 60), (61, "x" * 57 + "..."), (500, "x" * 57 + "...")):
        assert measured._short("x" * n) == repr(shown)


def test_cells_of_a_column_per_key_are_whole_numbers_where_they_are_so(tmp_path):
    space = SearchSpace((Choice("a", (-1, 2)), Choice("a", (-1, 2)), Choice("b", (0.25, 1.5))))
    file = tmp_path / "t.csv"
    file.write_text("a,b,latency_ms\n-1 2,1.5,1\n2 -1,.25,2\n")
    configs = list(MeasuredTable.read(file)._configs(space))
    assert configs == [{"a": [-1, 2], "b": [1.5]}, {"a": [2, -1], "b": [0.25]}]
    assert [[type(v) for v in config["a"]] for config in configs] == [[int, int]] * 2
    file.write_text("a;b;latency_ms\n-1 2;1,234 2,345;1\n")  # decimals, for all that thousands look alike
    assert next(iter(MeasuredTable.read(file)._configs(space)))["b"] == [1.234, 2.345]
    file.write_text("a,b,latency_ms\n1-,1.5,1\n")
    with pytest.raises(TableError, match="line 2: a: expected numbers separated by spaces, got '1-'"):
        MeasuredTable.read(file).vectors(space)
