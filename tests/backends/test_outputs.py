"""What a stage computes is compared with torch: every output, every number of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hwnas.backends.outputs import check_finite, compare, reference
from hwnas.supernets.errors import BackendError, NotFiniteError
from hwnas.supernets.supernet import Stage

RNG = np.random.default_rng(0)
EXPECTED = tuple(RNG.normal(size=(2, 3)).astype(np.float32) for _ in range(4))


def copies():
    return [output.copy() for output in EXPECTED]


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16", "int8"])
@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_number_that_is_none_in_any_output_is_seen(precision, number, value):
    outputs = copies()
    outputs[number][1, 2] = value
    words = rf"cannot be right: one has 1 of 6 numbers that are not finite .* \(output {number} of 4\)"
    with pytest.raises(BackendError, match=words):
        compare("network", outputs, EXPECTED, precision)


@pytest.mark.parametrize("number", range(4))
def test_the_largest_difference_of_all_outputs_counts(number):
    outputs = copies()
    outputs[number][0, 0] += 5e-5 * np.abs(EXPECTED[number]).max()
    assert compare("network", outputs, EXPECTED, "fp32") == pytest.approx(5e-5, rel=1e-2)
    outputs[number][0, 0] += 1e-3 * np.abs(EXPECTED[number]).max()
    with pytest.raises(BackendError, match=rf"differ .* allowed is 0.0001 for fp32 \(output {number} of 4\)"):
        compare("network", outputs, EXPECTED, "fp32")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: x[:1], r"are of shape \(1, 3\), the torch module's of \(2, 3\)"),
        (lambda x: x.ravel(), "are of shape"),
        (lambda x: x.astype(np.complex64), "are of type complex64, the torch module's of float32"),
        (lambda x: x.astype(np.int64), "are of type int64"),
        (lambda x: x > 0, "are of type bool"),
        (lambda x: x.astype(str), "are of type"),
        (lambda x: x.astype(object), "are of type object"),
    ],
)
def test_other_shapes_and_types_are_something_else(change, words):
    outputs = [*copies()[:3], change(EXPECTED[3])]
    with pytest.raises(BackendError, match=words):
        compare("network", outputs, EXPECTED, "int8")


def test_more_or_fewer_outputs_are_something_else():
    for outputs in (copies()[:3], [*copies(), EXPECTED[0]], []):
        with pytest.raises(BackendError, match="torch gives 4 outputs, the backend"):
            compare("network", outputs, EXPECTED, "fp32")


def test_double_precision_and_lists_are_the_same_numbers():
    assert compare("network", [x.astype(np.float64) for x in EXPECTED], EXPECTED, "fp32") == 0
    assert compare("network", [x.tolist() for x in EXPECTED], EXPECTED, "fp32") == 0


class Nested(torch.nn.Module):
    """Gives numbers in a nest."""

    def __init__(self, *values):
        super().__init__()
        self.values = values

    def forward(self, x):
        parts = [x * value for value in self.values]
        return (parts[0], {"rest": tuple(parts[1:])}) if parts else ()


def stage(*values):
    return Stage("decoder-step", Nested(*values), (torch.ones(1, 2),), ("x",))


def test_the_reference_has_nested_outputs_in_order():
    assert [output[0, 0] for output in reference(stage(1.0, 2.0, 3.0))] == [1.0, 2.0, 3.0]
    assert reference(stage(1.0), (torch.full((1, 2), 7.0),))[0][0, 0] == 7


@pytest.mark.parametrize(("values", "number"), [((np.nan,), 0), ((1.0, 2.0, np.inf), 2), ((1.0, np.nan, 1.0), 1)])
def test_a_network_whose_own_outputs_are_none_is_named(values, number):
    words = f"stage 'decoder-step': output {number} of the torch module itself has 2 of 2 numbers that are not finite"
    with pytest.raises(NotFiniteError, match=words):
        reference(stage(*values))


def test_a_network_without_outputs_computes_nothing():
    with pytest.raises(NotFiniteError, match="has no outputs"):
        reference(stage())


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("place", [(0, 0), (2, 4)])
def test_outputs_that_quality_is_told_from_have_to_be_finite(odd, place):
    outputs = torch.zeros(3, 5)
    assert check_finite(outputs, "the logits") is outputs
    outputs[place] = odd
    with pytest.raises(NotFiniteError, match="the logits: 1 of 15"):
        check_finite(outputs, "the logits")
