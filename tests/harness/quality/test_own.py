"""A quality of the user's own: a function in this process, or ``python:FILE.py:FUNCTION``."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from trainable import Sorter

from hwnas.harness import quality
from hwnas.harness.quality import OwnQuality, QualityOptions
from hwnas.harness.quality.metric import Metric
from hwnas.harness.quality.quality import Quality, Score, ScoredQuality
from hwnas.harness.store import Store
from hwnas.supernets.errors import ChangedError, QualityError

NET = Sorter()
X = np.array([[0, 0], [1, 0], [2, 1]])


def size(module, config):
    return float(sum(one.numel() for one in module.parameters()))


@pytest.fixture
def write(tmp_path):
    """Return what writes a file with a function and returns its spec."""

    def written(body, name="accuracy", head=""):
        (tmp_path / "mine.py").write_text(f"{head}\ndef {name}(module, config):\n    {body}\n")
        return f"python:{tmp_path / 'mine.py'}:{name}"

    return written


# --- what is given to it ---------------------------------------------------------------------------------------------


def test_a_function_is_given_the_sub_network_and_its_config():
    seen = []

    def look(module, config):
        seen.append((module, config))
        return 1.0

    assert quality.get(look, NET).evaluate(X).tolist() == [1, 1, 1]
    assert [config for _, config in seen] == NET.space.decode(X)
    for module, config in seen:
        assert not module.training
        assert len(next(module.parameters())) == config["width"][0]


def test_the_sub_network_has_the_weights_that_are_named(tmp_path):
    shared = NET.shared(None, 5)
    shared.save(tmp_path / "w.pt")
    source = quality.get(lambda m, c: next(m.parameters()).sum(), NET, QualityOptions(str(tmp_path / "w.pt")))
    with torch.no_grad():
        wanted = next(NET.build(NET.space.decode(X)[0], str(tmp_path / "w.pt")).parameters()).sum()
    assert source.evaluate(X[:1])[0] == pytest.approx(float(wanted))
    assert "with the weights" in source.note
    assert "random weights" in quality.get(size, NET).note


def test_a_function_that_changes_its_config_changes_nothing_else():
    def spoils(module, config):
        config["width"].clear()
        config.clear()
        return 1.0

    before = NET.space.decode(X)
    quality.get(spoils, NET).evaluate(X)
    assert NET.space.decode(X) == before


# --- what it is ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (size, ("size", "", True)),
        (lambda m, c: 0, ("quality", "", True)),
        (OwnQuality(size, "top1", "%"), ("top1", "%", True)),
        (OwnQuality(size, "loss", maximise=False), ("loss", "", False)),
    ],
)
def test_a_metric_is_declared_beside_it(function, expected):
    source = quality.get(function, NET)
    assert isinstance(source, Quality)
    assert isinstance(source, ScoredQuality)
    assert (source.metric, source.unit, source.maximise) == expected
    assert not source.predicted
    assert not source.costs_nothing


@pytest.mark.parametrize(
    ("spelled", "head", "expected"),
    [
        ("", "", ("accuracy", "", True)),
        (",metric=top1[%]:max", "", ("top1", "%", True)),
        (",metric=error:min", "", ("error", "", False)),
        ("", "import hwnas\n@hwnas.quality('loss', unit='nats', maximise=False)", ("loss", "nats", False)),
        (",metric=top1[%]:max", "import hwnas\n@hwnas.quality('loss', maximise=False)", ("top1", "%", True)),
    ],
)
def test_a_metric_is_declared_in_the_file_or_in_the_spec(write, spelled, head, expected):
    source = quality.get(write("return 70", head=head) + spelled, NET)
    assert (source.metric, source.unit, source.maximise) == expected
    assert source.evaluate(X).tolist() == [70, 70, 70]


def test_a_metric_may_be_called_whatever_a_function_may():
    def measure(module, config):
        return 1.0

    measure.__name__ = measure.__qualname__ = "größe"
    assert quality.get(measure, NET).metric == "größe"
    assert Metric.parse("größe[µm]:min") == Metric("größe", "µm", maximise=False)


@pytest.mark.parametrize("metric", ["", "a b", "a[b]", "a,b", "a:min"])
def test_a_metric_that_could_not_be_spelled_is_refused(metric):
    with pytest.raises(QualityError, match="expected a name of letters"):
        OwnQuality(size, metric)


@pytest.mark.parametrize("spelled", ["top1", "top1:up", "[%]:max", "top1[]:max", "top1[% %]:max", ""])
def test_a_metric_of_another_form_is_refused(write, spelled):
    assert Metric.parse(spelled) is None
    with pytest.raises(QualityError, match="expected NAME:max or NAME:min"):
        quality.get(f"{write('return 1')},metric={spelled}", NET)


@pytest.mark.parametrize("given", [5, [size], {"accuracy": size}, b"surrogate"])
def test_what_is_no_function_is_refused(given):
    with pytest.raises(QualityError, match=f"got a {type(given).__name__}"):
        quality.get(given, NET)


def test_a_function_that_does_not_take_both_is_refused_before_anything_runs(write):
    with pytest.raises(QualityError, match=r"python:.*lambda.*: cannot be called with \(module, config\)"):
        quality.get(lambda m: 0, NET)


def test_it_has_no_use_for_a_subset(write):
    for one in (size, write("return 1")):
        with pytest.raises(QualityError, match="no use for subset"):
            quality.get(one, NET, QualityOptions(subset=3))


# --- what it returns -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (75, Score(75.0)),
        (np.float32(75), Score(75.0)),
        (torch.tensor(75.0), Score(75.0)),
        (np.array(75.0), Score(75.0)),
        ({"value": 75, "low": 74, "high": 76.5, "n": 1000}, Score(75.0, 74.0, 76.5, 1000)),
        ({"value": 75, "others": {"top5": 90}}, Score(75.0, others={"top5": 90.0})),
        (Score(75.0, 74.0, 76.0, 10, {"top5": 90.0}), Score(75.0, 74.0, 76.0, 10, {"top5": 90.0})),
    ],
    ids=str,
)
def test_a_number_or_a_dict_is_a_score(given, expected):
    (found,) = quality.scored(quality.get(lambda m, c: given, NET), X[:1])
    assert found.record() == expected.record()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, "expected a finite number, got None"),
        (math.nan, "expected a finite number, got nan"),
        (math.inf, "got inf"),
        ("75", "got '75'"),
        (True, "got True"),
        ([75.0], "got a value of type list"),
        (torch.tensor([75.0, 76.0]), "got a value of type Tensor"),
        ({}, "expected a number, or a dict with the key 'value'"),
        ({"value": math.nan}, "value: expected a finite number, got nan"),
        ({"value": 75, "lo": 74}, "unknown key 'lo'; did you mean 'low'?"),
        ({"value": 75, "low": 76, "high": 74}, "expected an interval from low to high, got 76.0 to 74.0"),
        ({"value": 75, "low": "74"}, "low: expected a finite number, got '74'"),
        ({"value": 75, "n": 2.5}, "n: expected a whole number of examples, got 2.5"),
        ({"value": 75, "n": -1}, "n: expected a whole number"),
        ({"value": 75, "others": 5}, "others: expected a dict of numbers"),
        ({"value": 75, "others": {"top5": None}}, "others['top5']: expected a finite number"),
    ],
    ids=str,
)
def test_what_is_no_score_is_a_failed_evaluation_with_the_reason(given, said):
    def mine(module, config):
        return given

    (found,) = quality.scored(quality.get(mine, NET), X[:1])
    assert math.isnan(found.value)
    assert said in found.reason
    assert "mine returned no quality" in found.reason
    assert "\n" not in found.reason


def test_a_function_that_raises_fails_that_sub_network_alone(write):
    configs = NET.space.decode(X)
    odd = configs[0]["width"][0]
    spec = write(f"if config['width'][0] == {odd}:\n        raise ValueError('a\\nb')\n    return 1")
    found = quality.scored(quality.get(spec, NET), X)
    for one, config in zip(found, configs, strict=True):
        assert math.isnan(one.value) == (config["width"][0] == odd)
    assert found[0].reason == f"{spec} failed: ValueError: a b (mine.py, line 4)"


def test_a_function_that_exits_fails_and_one_that_is_interrupted_interrupts(write):
    (found,) = quality.scored(quality.get(write("raise SystemExit(3)"), NET), X[:1])
    assert "SystemExit" in found.reason
    with pytest.raises(KeyboardInterrupt):
        quality.get(write("raise KeyboardInterrupt"), NET).evaluate(X)


def test_what_a_file_prints_is_no_part_of_a_document(write, capsys):
    quality.get(write("print('testing'); return 1"), NET).evaluate(X[:1])
    assert capsys.readouterr() == ("", "testing\n")


# --- what is stored --------------------------------------------------------------------------------------------------


def test_values_of_a_file_are_stored_under_what_it_holds(write, tmp_path):
    log = tmp_path / "log"
    log.write_text("")
    body = f"pathlib.Path({str(log)!r}).write_text(pathlib.Path({str(log)!r}).read_text() + 'x'); return 70"
    with Store.open(str(tmp_path / "s.db")) as store:
        options = QualityOptions(store=store)
        for _ in range(2):
            assert quality.get(write(body, head="import pathlib"), NET, options).evaluate(X).tolist() == [70] * 3
        assert log.read_text() == "xxx"
        # Elsewhere, under another name: the same content.
        here = write(body, head="import pathlib")
        (tmp_path / "mine.py").rename(tmp_path / "moved.py")
        assert quality.get(here.replace("mine.py", "moved.py"), NET, options).evaluate(X).tolist() == [70] * 3
        assert log.read_text() == "xxx"
        assert quality.get(write("return 71"), NET, options).evaluate(X).tolist() == [71] * 3


def test_another_function_of_the_file_and_other_weights_are_another_source(write, tmp_path):
    sources = {quality.get(write("return 1", head="def other(m, c): return 2"), NET).source}
    sources.add(
        quality.get(write("return 1", head="def other(m, c): return 2")[: -len("accuracy")] + "other", NET).source
    )
    NET.shared(None, 5).save(tmp_path / "w.pt")
    spec = write("return 1", head="def other(m, c): return 2")
    sources.add(quality.get(spec, NET, QualityOptions(str(tmp_path / "w.pt"))).source)
    assert len(sources) == 3
    assert not any(str(tmp_path) in one for one in sources)


def test_values_of_a_function_in_this_process_are_not_stored_for_others(tmp_path):
    with Store.open(str(tmp_path / "s.db")) as store:

        def made(value):
            return lambda module, config: value

        for value in (1, 2):
            assert quality.get(made(value), NET, QualityOptions(store=store)).evaluate(X).tolist() == [value] * 3


def test_weights_that_change_meanwhile_are_noticed(tmp_path):
    file = tmp_path / "w.pt"
    NET.shared(None, 5).save(file)

    def spoils(module, config):
        file.write_bytes(b"something else")
        return 1.0

    source = quality.get(spoils, NET, QualityOptions(str(file)))
    with pytest.raises(ChangedError, match=r"w\.pt: was changed"):
        source.evaluate(X)
