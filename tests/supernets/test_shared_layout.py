"""Shared weights of a layout that is written down: which file fits, what is said of one that does not."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import torch

from hwnas.supernets.errors import UsageError, WorkError
from hwnas.supernets.shared import SharedWeights, WeightLayout, corner, fitted, is_parameter

SHAPES = {"w": (2, 3), "bn.running_mean": (2,), "bn.running_var": (2,), "bn.num_batches_tracked": ()}
LAYOUT = WeightLayout(
    "net", SHAPES, lambda tensors, config: {"w": corner(tensors["w"], config)}, lambda key: key.removeprefix("module.")
)


def state(**changed):
    made = {key: torch.ones(shape) for key, shape in SHAPES.items()}
    made["bn.num_batches_tracked"] = torch.tensor(7)
    return made | changed


def test_a_file_that_fits_is_read_in_the_layouts_order_and_spelling():
    given = {f"module.{key}": tensor for key, tensor in reversed(state().items())}
    found = fitted(LAYOUT, given, "w.pth")
    assert list(found) == list(SHAPES)
    assert found["w"] is given["module.w"]
    assert found["bn.num_batches_tracked"].item() == 7
    assert found["bn.num_batches_tracked"].dtype == torch.int64


def test_half_precision_becomes_single_and_counts_stay_whole():
    found = fitted(LAYOUT, state(w=torch.full((2, 3), 0.5, dtype=torch.float16)), "w.pth")
    assert found["w"].dtype == torch.float32
    assert found["w"].tolist() == [[0.5] * 3] * 2
    assert found["bn.num_batches_tracked"].dtype == torch.int64


def test_batches_that_were_not_counted_are_none():
    given = state()
    del given["bn.num_batches_tracked"]
    count = fitted(LAYOUT, given, "w.pth")["bn.num_batches_tracked"]
    assert (count.item(), count.dtype, count.shape) == (0, torch.int64, ())


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda s: s.pop("w"), "lacks w (1 in all)"),
        (lambda s: s.pop("bn.running_mean"), "lacks bn.running_mean (1 in all)"),
        (lambda s: s.update(a=s["w"], b=s["w"], c=s["w"], d=s["w"]), "has unknown a, b, c (4 in all)"),
        (lambda s: s.update({"module.x": s["w"]}), "has unknown module.x (1 in all)"),
        (lambda s: s.update(w=torch.ones(3, 2)), "has other shapes: w: (3, 2) for (2, 3) (1 in all)"),
        (lambda s: s.update(w=torch.ones(6)), "has other shapes: w: (6,) for (2, 3) (1 in all)"),
        (lambda s: (s.pop("w"), s.update(odd=torch.ones(1))), "lacks w (1 in all)"),  # the first fault alone
    ],
)
def test_what_does_not_fit_is_named(change, fault):
    given = state()
    change(given)
    with pytest.raises(UsageError) as caught:
        fitted(LAYOUT, given, "w.pth")
    assert str(caught.value) == f"weights 'w.pth': no checkpoint of net: it {fault}"


def test_what_is_trained_requires_gradients_and_statistics_do_not():
    assert [is_parameter(key) for key in SHAPES] == [True, False, False, False]
    given = state()
    shared = SharedWeights(LAYOUT, given)
    assert [key for key, tensor in shared.tensors.items() if tensor.requires_grad] == ["w"]
    assert [tensor.shape for tensor in shared.parameters()] == [(2, 3)]
    assert all(tensor.is_leaf for tensor in shared.tensors.values())


def test_a_layout_may_say_by_itself_what_is_trained():
    layout = replace(LAYOUT, trained=frozenset({"bn.running_var"}))
    assert [key for key in SHAPES if layout.is_trained(key)] == ["bn.running_var"]
    assert [tensor.shape for tensor in SharedWeights(layout, state()).parameters()] == [(2,)]


def test_a_state_is_cut_out_of_the_shared_tensors():
    shared = SharedWeights(LAYOUT, state(w=torch.arange(6.0).reshape(2, 3)))
    cut = shared.state((2, 2))["w"]
    assert cut.tolist() == [[0.0, 1.0], [3.0, 4.0]]
    cut.sum().backward()
    assert shared.tensors["w"].grad.tolist() == [[1.0, 1.0, 0.0], [1.0, 1.0, 0.0]]


def test_a_corner_is_a_view_of_the_first_entries():
    whole = torch.arange(24).reshape(2, 3, 4)
    for shape in ((1, 2, 3), (2, 3, 4), (2, 1, 4), (1,)):
        found = corner(whole, shape)
        assert torch.equal(found, whole[tuple(slice(size) for size in shape)])
        assert found.data_ptr() == whole.data_ptr()
    assert corner(whole, (2, 3, 4)) is whole


@pytest.mark.parametrize("key", ["w", "bn.running_var"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_is_never_written(tmp_path, key, value):
    shared = SharedWeights(LAYOUT, state())
    shared.save(tmp_path / "w.pth")
    before = (tmp_path / "w.pth").read_bytes()
    with torch.no_grad():
        shared.tensors[key].view(-1)[-1] = value
    with pytest.raises(WorkError, match=rf"w\.pth: is not written: {key} is not finite"):
        shared.save(tmp_path / "w.pth")
    assert (tmp_path / "w.pth").read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["w.pth"]


def test_what_is_saved_is_loaded_and_says_whose_it_is(tmp_path):
    shared = SharedWeights(LAYOUT, state(w=torch.arange(6.0).reshape(2, 3)))
    shared.save(tmp_path / "w.pth")
    document = torch.load(tmp_path / "w.pth", weights_only=True)
    assert document["supernet"] == "net"
    assert list(document["state_dict"]) == list(SHAPES)
    assert not any(tensor.requires_grad for tensor in document["state_dict"].values())
    loaded = SharedWeights.load(LAYOUT, tmp_path / "w.pth")
    assert all(torch.equal(loaded.tensors[key], shared.tensors[key]) for key in SHAPES)
    assert loaded.tensors["w"].requires_grad
    with pytest.raises(UsageError, match=r"none\.pth"):
        SharedWeights.load(LAYOUT, tmp_path / "none.pth")


def test_a_file_that_does_not_fit_is_named_when_it_is_loaded(tmp_path):
    file = tmp_path / "other.pth"
    torch.save({"state_dict": {"odd": torch.ones(1)}}, file)
    with pytest.raises(UsageError, match=re.escape(f"weights '{file}': no checkpoint of net: it lacks w, ")):
        SharedWeights.load(LAYOUT, file)
