"""Int8 with ranges of activations that are found as they are computed."""

from __future__ import annotations

import importlib.metadata
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from hwnas.backends import Settings, get
from hwnas.backends.backend import refusal
from hwnas.backends.export import export
from hwnas.backends.openvino import GROUP_SIZE
from hwnas.backends.quantise import onnx_dynamic, openvino_model
from hwnas.supernets import get as supernet
from hwnas.supernets.errors import BackendError, PlatformError
from hwnas.supernets.supernet import Stage

DYNAMIC = Settings(precision="int8", options={"quantisation": "dynamic"})
BACKENDS = ("onnxruntime", "openvino")


class Tied(torch.nn.Module):
    """A look-up whose table makes the logits too, a layer with a bias, two products of one activation."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.table = torch.nn.Embedding(40, 16)
        self.up, self.gate = torch.nn.Linear(16, 24), torch.nn.Linear(16, 24, bias=False)
        self.down = torch.nn.Linear(24, 16)

    def forward(self, tokens):
        x = self.table(tokens)
        x = x + self.down(torch.relu(self.up(x)) * self.gate(x))
        return torch.nn.functional.linear(x[:, -1], self.table.weight)


def stage(**more):
    return Stage("tied", Tied().eval(), (torch.arange(10)[None],), ("tokens",), **more)


def ready(name, one, settings):
    reason = get(name).why_not() or refusal(get(name), settings)
    if reason is not None:
        pytest.skip(reason)
    return get(name).prepare(one, settings)


def outputs(session):
    session.run()
    return session.outputs()


@pytest.mark.parametrize("name", BACKENDS)
def test_outputs_are_nearly_those_of_fp32_and_all_products_with_weights_run_in_int8(name):
    session = ready(name, stage(), DYNAMIC)
    (found,), expected = outputs(session), stage().module(*stage().inputs).detach().numpy()
    error = np.abs(found - expected).max() / np.abs(expected).max()
    assert 0 < error < 0.05
    facts = session.describe()
    assert facts["quantisation"] == "dynamic"
    assert facts["int8_layers"] == "4 of 4"


@pytest.mark.parametrize("name", BACKENDS)
def test_what_int8_means_follows_from_the_stage_unless_the_platform_says(name):
    static = Settings(precision="int8", options={"quantisation": "static"})
    found = [
        ready(name, stage(quantisation=kind), settings).describe().get("quantisation", "static")
        for kind, settings in [
            ("static", Settings(precision="int8")),
            ("dynamic", Settings(precision="int8")),
            ("dynamic", static),
            ("static", DYNAMIC),
        ]
    ]
    assert found == ["static", "dynamic", "static", "dynamic"]


@pytest.mark.parametrize("name", BACKENDS)
def test_new_inputs_have_ranges_of_their_own(name):
    """Fixed ranges would cut off an activation a hundred times as large."""
    layer = torch.nn.Linear(32, 8, bias=False).eval()
    x = torch.randn(4, 32, generator=torch.Generator().manual_seed(1))
    session = ready(name, Stage("one", layer, (x,), ("x",)), DYNAMIC)
    session.feed(100 * x.numpy())
    (found,), expected = outputs(session), layer(100 * x).detach().numpy()
    assert np.abs(found - expected).max() < 0.03 * np.abs(expected).max()


def test_both_stages_of_a_language_model_and_its_blocks_are_dynamic():
    net = supernet("hw-gpt-s:scale=0.125,vocabulary=bytes,prompt=8,new=4")
    (config,) = net.space.decode(net.space.smallest())
    blocks = {block for slot in net.slots for block in slot.blocks if block is not None}
    alone = [net.block_stage(block, 1) for block in sorted(blocks, key=str)[:8]]
    assert {one.quantisation for one in [*net.stages(config, 1), *alone]} == {"dynamic"}


def test_classifiers_stay_static():
    net = supernet("ofa-mbv3-w1.0:r=32")
    (config,) = net.space.decode(net.space.smallest())
    assert [one.quantisation for one in net.stages(config, 1)] == ["static"]


# --- weights ---------------------------------------------------------------------------------------------------------

WEIGHTS = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 6), st.integers(1, 5)),
    elements=st.floats(-1e4, 1e4, width=32, allow_subnormal=False),
)


@given(weight=WEIGHTS)
def test_a_rounded_weight_is_within_half_a_step_of_its_column(weight):
    integers, scale = onnx_dynamic.rounded(weight)
    assert integers.dtype == np.int8
    assert scale.shape == (weight.shape[1],)
    assert np.abs(integers.astype(int)).max() <= 127
    assert (np.abs(integers * scale.astype(float) - weight) <= 0.5001 * scale).all()


def test_weights_keep_to_half_their_range_where_sums_saturate(monkeypatch):
    weight = np.array([[1, -3], [-2, 0.5]], np.float32)
    for saturates, most in ((True, 63), (False, 127)):
        monkeypatch.setattr(onnx_dynamic, "saturates", lambda saturates=saturates: saturates)
        integers, scale = onnx_dynamic.rounded(weight)
        assert np.abs(integers).max(axis=0).tolist() == [most, most]
        np.testing.assert_allclose(scale, np.array([2, 3]) / most, rtol=1e-6)


def test_a_column_of_zeros_stays_zero():
    integers, scale = onnx_dynamic.rounded(np.zeros((3, 2), np.float32))
    assert not integers.any()
    assert np.isfinite(scale).all()


def test_the_library_s_own_dynamic_quantisation_gives_the_same_integers(tmp_path):
    """The second way: ONNX Runtime's quantiser, which goes through a weight channel by channel."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    graph = export(stage())
    quantize_dynamic(
        onnx.load_model_from_string(graph.model),
        tmp_path / "theirs.onnx",
        per_channel=True,
        weight_type=QuantType.QInt8,
        op_types_to_quantize=["MatMul"],
        extra_options={"MatMulConstBOnly": True},
    )
    theirs, ours = (
        {each.tobytes() for each in integers(model)}
        for model in (
            onnx.load(tmp_path / "theirs.onnx"),
            onnx.load_model_from_string(onnx_dynamic.quantise(graph, "")),
        )
    )
    assert len(ours) == 4
    assert theirs == ours


def integers(model):
    from onnx import numpy_helper

    weights = [numpy_helper.to_array(each) for each in model.graph.initializer]
    return [each for each in weights if each.dtype == np.int8 and each.ndim == 2]


def test_a_graph_has_no_weight_that_nothing_reads_and_the_table_of_look_ups_stays():
    import onnx

    graph = onnx.load_model_from_string(onnx_dynamic.quantise(export(stage()), "tied")).graph
    onnx.checker.check_model(onnx.load_model_from_string(onnx_dynamic.quantise(export(stage()), "tied")))
    read = {name for node in graph.node for name in node.input}
    assert {each.name for each in graph.initializer} <= read
    shapes = [tuple(each.dims) for each in graph.initializer if each.data_type == onnx.TensorProto.FLOAT]
    assert shapes.count((40, 16)) == 1
    assert not [shape for shape in shapes if shape in {(16, 24), (24, 16), (16, 40)}]


def test_compressed_weights_have_the_same_integers_and_a_graph_that_reads_them():
    """ONNX Runtime, as the second way, computes what the graph says: products with the rounded weights."""
    import onnx
    import onnxruntime

    model = onnx_dynamic.compress(export(stage()), "tied")
    read = onnx.load_model_from_string(model)
    onnx.checker.check_model(read)
    ours, theirs = (
        sorted(sorted(each.ravel().tolist()) for each in integers(one))
        for one in (read, onnx.load_model_from_string(onnx_dynamic.quantise(export(stage()), "tied")))
    )
    assert ours == theirs
    (found,) = onnxruntime.InferenceSession(model).run(None, {"tokens": stage().inputs[0].numpy()})
    expected = stage().module(*stage().inputs).detach().numpy()
    assert 0 < np.abs(found - expected).max() < 0.02 * np.abs(expected).max()


def test_products_of_one_activation_share_its_integers():
    import onnx

    nodes = onnx.load_model_from_string(onnx_dynamic.quantise(export(stage()), "tied")).graph.node
    kinds = [node.op_type for node in nodes]
    assert kinds.count("MatMulInteger") == 4
    assert kinds.count("DynamicQuantizeLinear") == 3


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Settings(options={"quantisation": "dynamic"}), "quantisation=dynamic: nothing is quantised in fp32"),
        (Settings(precision="int8", options={"quantisation": "fast"}), "quantisation"),
        (
            Settings(precision="int8", options={"quantisation": "dynamic", "calibration": "/"}),
            "calibration=/: dynamic quantisation needs no data",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(name, settings, message):
    if get(name).why_not():
        pytest.skip(get(name).why_not())
    with pytest.raises(PlatformError, match=message):
        get(name).prepare(stage(), settings)


def test_nncf_is_not_needed(monkeypatch):
    if get("openvino").why_not():
        pytest.skip(get("openvino").why_not())

    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(openvino_model, "missing", lambda: "it needs NNCF")
    monkeypatch.setattr(importlib.metadata, "version", absent)
    assert refusal(get("openvino"), DYNAMIC) is None
    assert get("openvino").prepare(stage(), DYNAMIC).describe()["int8_layers"] == "4 of 4"
    static = Settings(precision="int8", options={"quantisation": "static"})
    assert refusal(get("openvino"), static) == "precision=int8: it needs NNCF"


@pytest.mark.parametrize(("quantisation", "expected"), [("static", "needs NNCF"), ("dynamic", "4 of 4")])
def test_nncf_is_needed_where_the_super_network_is_quantised_by_it(quantisation, expected, monkeypatch):
    if get("openvino").why_not():
        pytest.skip(get("openvino").why_not())
    monkeypatch.setattr(openvino_model, "missing", lambda: "it needs NNCF")
    backend, unsaid = get("openvino"), Settings(precision="int8")
    assert refusal(backend, unsaid) is None
    try:
        found = backend.prepare(replace(stage(), quantisation=quantisation), unsaid).describe()["int8_layers"]
    except PlatformError as error:
        found = str(error)
    assert expected in found


@pytest.mark.parametrize("rewrite", [onnx_dynamic.quantise, onnx_dynamic.compress])
def test_weights_beyond_what_a_model_holds_are_refused(rewrite):
    with pytest.raises(BackendError, match="stage 'tied': precision=int8: expected at most 2 GB of weights"):
        rewrite(replace(export(stage()), weights=(b"",), weights_file="w"), "tied")


def test_the_group_of_channels_is_read_back():
    session = ready("openvino", stage(), DYNAMIC)
    assert session.describe()["dynamic_group_size"] == GROUP_SIZE


@pytest.mark.parametrize("name", BACKENDS)
def test_every_kind_of_block_of_a_language_model_runs_in_int8(name):
    net = supernet("hw-gpt-s:scale=0.125,vocabulary=bytes,prompt=8,new=4")
    blocks = [block for slot in net.slots for block in slot.blocks if block is not None]
    kinds = {(block.kind, dict(block.options).get("past", 0)): block for block in blocks}
    assert len(kinds) >= 4
    for block in kinds.values():
        one = net.block_stage(block, 1)
        session = ready(name, one, Settings(precision="int8"))
        found, expected = outputs(session)[0], one.module(*one.inputs)
        first = (expected[0] if isinstance(expected, tuple) else expected).detach().numpy()
        assert np.abs(found - first).max() <= 0.05 * np.abs(first).max(), block
        session.close()
