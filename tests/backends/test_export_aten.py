"""Torch's own operators, of which exported programs consist: ONNX Runtime computes of each what torch does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hwnas.backends.export import export
from hwnas.backends.export.registered import FUNCTIONS
from hwnas.backends.openvino_core import read_model, shared_core
from hwnas.supernets.supernet import Stage
from tests.backends.test_onnx_export import IMAGE, TOKENS, Call, Call2, Call3, check, normal, stage_of, whole

aten = torch.ops.aten


def _both(several):
    """Return two of several results: while a function is traced it cannot be known how many there are."""
    return several[0], several[1]


def _places(n):
    return aten.to.dtype(aten.gt.Scalar(aten.slice.Tensor(n, 1, 0, 1), 2), torch.int64)


ONE = {
    "arithmetic": lambda x: aten.div.Tensor(aten.sub.Tensor(aten.add.Tensor(x, 1), 2), aten.mul.Tensor(x, 3) + 9),
    "negation": aten.neg.default,
    "powers": lambda x: (aten.pow.Tensor_Scalar(x, 2), aten.rsqrt.default(aten.abs.default(x) + 1)),
    "roots": lambda x: aten.log.default(aten.sqrt.default(aten.exp.default(x))),
    "waves": lambda x: aten.erf.default(aten.cos.default(aten.sin.default(x))),
    "bounds": lambda x: (aten.clamp.default(x, -0.5, 0.5), aten.hardtanh.default(x, 0.0, 6.0)),
    "comparisons": lambda x: (aten.eq.Scalar(x, 0), aten.ne.Scalar(x, 0), aten.lt.Scalar(x, 0), aten.gt.Scalar(x, 0)),
    "more comparisons": lambda x: (aten.le.Scalar(x, 0), aten.ge.Scalar(x, 0)),
    "logic": lambda x: (
        aten.logical_not.default(aten.logical_and.default(x > 0, x < 1)),
        aten.__or__.Tensor(x > 1, aten.bitwise_not.default(x > 0)),
    ),
    "activations": lambda x: aten.gelu.default(aten.silu.default(aten.hardsigmoid.default(aten.hardswish.default(x)))),
    "more activations": lambda x: aten.relu.default(aten.tanh.default(aten.sigmoid.default(x)) - 0.5),
    "relu6": lambda x: aten.relu6.default(x * 9),
    "leaky": lambda x: (aten.leaky_relu.default(x, 0.2), aten.leaky_relu.default(x)),
    "elu": lambda x: (aten.elu.default(x), aten.elu.default(x, 0.5)),
    "softplus": aten.softplus.default,
    "logarithms of sigmoids": lambda x: aten.log_sigmoid.default(x * 30),
    "other names": lambda x: (
        aten.subtract.Tensor(aten.multiply.Tensor(x, x), aten.negative.default(x)),
        aten.true_divide.Tensor(aten.absolute.default(x), aten.divide.Tensor(x, x)),
    ),
    "softmax": lambda x: (aten.softmax.int(x, -1), aten.log_softmax.int(x, 1)),
    "softmax as another type": lambda x: aten.softmax.int(aten.gt.Scalar(x, 0).float(), -1, torch.float32),
    "nothing": lambda x: aten.dropout.default(aten.contiguous.default(aten.clone.default(x)), 0.5, False),
    "types": lambda x: aten.to.dtype(aten.to.dtype(x > 0, torch.int64), torch.float32) + x,
    "shapes": lambda x: aten.flatten.using_ints(aten.unflatten.int(x, -1, [2, 4]), 1, 2),
    "reshape": lambda x: (aten.reshape.default(x, [2, 8, 5]), aten.reshape.default(x, [-1, 4])),
    "orders": lambda x: aten.transpose.int(aten.permute.default(x, [2, 0, 1]), 0, -1),
    "matrix": lambda x: aten.t.default(aten.select.int(x, 0, 1)),
    "dimensions": lambda x: aten.squeeze.dim(aten.squeeze.dims(aten.unsqueeze.default(x[None], 1), [0, 1]), 0),
    "expand": lambda x: aten.expand.default(aten.unsqueeze.default(x, 2), [2, -1, 3, 8]),
    "expand that changes nothing": lambda x: aten.expand.default(x, [-1, 5, 8]),
    "the size of the batch": lambda x: aten.expand.default(x[:1], [aten.sym_size.int(x, 0), 5, 8]),
    "repeat": lambda x: aten.repeat.default(x, [1, 2, 1]),
    "joins": lambda x: aten.cat.default([aten.stack.default([x, x], 1), aten.stack.default([x, 2 * x], 1)], 1),
    "parts": lambda x: (
        *_both(aten.split.Tensor(x, 4, 2)),
        *_both(aten.split_with_sizes.default(x, [2, 3], 1)),
        *_both(aten.chunk.default(x, 2, -1)),
    ),
    "slices": lambda x: (aten.slice.Tensor(x, 1, 1, 4), aten.slice.Tensor(x, -1, 0, 2**62, 2), aten.slice.Tensor(x)),
    "entries": lambda x: (*_both(aten.unbind.int(x, 1)), aten.narrow.default(x, 2, 1, 3)),
    "differences": lambda x: (aten.diff.default(x, 1, 1), aten.diff.default(x, 1, -1, aten.slice.Tensor(x, 2, 0, 1))),
    "parts that are replaced": lambda x: (
        aten.slice_scatter.default(x, 2 * aten.slice.Tensor(x, 1, 1, 4), 1, 1, 4),
        aten.slice_scatter.default(x, 2 * aten.slice.Tensor(x, -1, -3), -1, -3),
        aten.slice_scatter.default(x, 2 * x, 1, 0, 2**62),
        aten.select_scatter.default(x, 2 * aten.select.int(x, 1, 0), 1, -1),
        aten.select_scatter.default(x, 2 * aten.select.int(x, -1, 0), -1, 0),
    ),
    "filled": lambda x: aten.fill.Scalar(x, 3) + aten.fill.Tensor(x, x.sum()) + aten.zero.default(x),
    "windows": lambda x: (aten.unfold.default(x, 1, 3, 2), aten.unfold.default(x, -1, 2, 1)),
    "turned": lambda x: (aten.numpy_T.default(x), aten.mT.default(x)),
    "pads": lambda x: (aten.constant_pad_nd.default(x, [1, 2], 3.0), aten.constant_pad_nd.default(x, [0, 0, 1, 0])),
    "made of nothing": lambda x: aten.new_ones.default(x, [2, 5, 1]) * x + aten.new_zeros.default(x, [8]),
    "made alike": lambda x: x * aten.ones_like.default(x) + aten.zeros_like.default(x, dtype=torch.float32),
    "means": lambda x: (aten.mean.dim(x, [1]), aten.mean.dim(x, [-1], True), aten.mean.default(x)),
    "sums": lambda x: (aten.sum.dim_IntList(x, [2]), aten.sum.dim_IntList(x > 0, [1], dtype=torch.float32)),
    "largest": lambda x: aten.amax.default(x, [1]),
    "running sums": lambda x: aten.cumsum.default(x, 1),
    "gated halves": lambda x: aten.glu.default(x, -1),
    "attention": lambda x: aten.scaled_dot_product_attention.default(x, x, x),
    "norm of a layer": lambda x: aten.layer_norm.default(x, [8]),
    "root mean square": lambda x: (aten.rms_norm.default(x, [8]), aten.rms_norm.default(x, [8], normal(8), 1e-3)),
    "factors": lambda x: (
        aten.add.Tensor(x, x, alpha=3),
        aten.sub.Tensor(x, x, alpha=0.5),
        aten.rsub.Scalar(x, 2.0, 3),
        aten.add.Tensor(x, 2),
    ),
    "one over": lambda x: (aten.reciprocal.default(aten.square.default(x) + 1), aten.sign.default(x)),
    "rounded": lambda x: (aten.floor.default(x), aten.ceil.default(x), aten.mish.default(x), aten.tan.default(x)),
    "bounds of one side": lambda x: (aten.clamp_min.default(x, 0.1), aten.clamp_max.default(x, 0.1)),
    "norms of vectors": lambda x: (
        aten.linalg_vector_norm.default(x, 2, [-1], True),
        aten.linalg_vector_norm.default(x, 1, [0, 2]),
        aten.linalg_vector_norm.default(x, float("inf"), [1]),
        aten.linalg_vector_norm.default(x, float("-inf"), [1]),
        aten.linalg_vector_norm.default(x, 3, [1]),
        aten.linalg_vector_norm.default(x),
    ),
    "norms": lambda x: (
        aten.norm.ScalarOpt_dim(x, 2, [1], True),
        aten.norm.ScalarOpt_dim(x, None, [1]),
        aten.norm.Scalar(x),
    ),
    "smallest": lambda x: (aten.amin.default(x, [1]), aten.amin.default(x)),
    "products of all": lambda x: (aten.prod.dim_int(x, 1, True), aten.prod.default(x)),
    "logarithms of sums": lambda x: aten.logsumexp.default(x, [2], True),
    "extremes and places": lambda x: (
        *_both(aten.max.dim(x, 1, True)),
        *_both(aten.min.dim(x, -1)),
        aten.max.default(x),
        aten.min.default(x),
    ),
    "places": lambda x: (aten.argmax.default(x, 1), aten.argmin.default(x, -1, True), aten.argmax.default(x)),
    "any and all": lambda x: (aten.any.dim(x > 1, 1), aten.all.dims(x > -9, [1, 2], True), aten.any.default(x > 5)),
    "variances": lambda x: (
        aten.var.correction(x, [1], correction=0, keepdim=True),
        aten.var.dim(x, [1, 2], True),
        aten.var.default(x, False),
        aten.std.correction(x, [2]),
        *_both(aten.var_mean.correction(x, [1], correction=1)),
    ),
    "shifts": lambda x: (aten.roll.default(x, [2, -1], [1, 2]), aten.roll.default(x, [5], [1])),
    "the other way round": lambda x: (
        aten.flip.default(x, [1]),
        aten.flip.default(x, [-1, 0]),
        aten.flip.default(x, []),
    ),
    "triangles": lambda x: (aten.tril.default(x), aten.triu.default(x, 1)),
    "like others": lambda x: (aten.expand_as.default(x[:, :1], x), aten.type_as.default(x > 0, x)),
    "moved": lambda x: (
        aten.movedim.int(x, 0, -1),
        aten.movedim.intlist(x, [0, 1], [2, 0]),
        aten.swapaxes.default(x, 0, 1),
    ),
    "tiles": lambda x: (aten.tile.default(x, [2]), aten.repeat_interleave.self_int(x, 3, 1)),
    "joined": lambda x: aten.concat.default([x, x], -1),
    "numbers alike": lambda x: aten.full_like.default(x, 2.5) + aten.new_full.default(x, [8], 3),
    "edges of sequences": lambda x: (
        aten.reflection_pad1d.default(x, [2, 1]),
        aten.replication_pad1d.default(x, [0, 3]),
        aten.pad.default(x, [1, 2], "reflect"),
        aten.pad.default(x, [1, 0], "circular"),
        aten.pad.default(x, [0, 2], "circular"),
        aten.pad.default(x, [1, 2]),
        aten.pad.default(x, [1, 0], "constant", 2.0),
    ),
    "windows of sequences": lambda x: (
        aten.max_pool1d.default(x, [2]),
        aten.max_pool1d.default(x, [3], [2], [1]),
        aten.avg_pool1d.default(x, [4], [2]),
        aten.adaptive_avg_pool1d.default(x, [1]),
        aten.adaptive_avg_pool1d.default(x, [4]),
    ),
    "longer sequences": lambda x: (
        aten.upsample_nearest1d.vec(x, None, [2.0]),
        aten.upsample_nearest1d.vec(x, None, [2.3]),
        aten.upsample_nearest1d.vec(x, [11], None),
        aten.upsample_linear1d.vec(x, [16], False, None),
    ),
    "norms of sequences": lambda x: aten.instance_norm.default(x, None, None, None, None, True, 0.1, 1e-5, False),
    "an Einstein sum": lambda x: aten.einsum.default("bij,bkj->bik", [x, x]),
}

IMAGES = {
    "pools": lambda x: (aten.max_pool2d.default(x, [3, 3], [2, 2]), aten.avg_pool2d.default(x, [2, 2])),
    "a pool with indices": lambda x: aten.max_pool2d_with_indices.default(x, [2, 2])[0],
    "edges": lambda x: (
        aten.reflection_pad2d.default(x, [1, 2, 0, 1]),
        aten.replication_pad2d.default(x, [2, 0, 1, 1]),
    ),
    "norms of channels": lambda x: (
        aten.batch_norm.default(x, normal(4), normal(4), normal(4), normal(4).abs(), False, 0.1, 1e-5, False),
        aten.batch_norm.default(x, None, None, normal(4), normal(4).abs(), False, 0.1, 1e-3, False),
        aten._native_batch_norm_legit_no_training.default(x, normal(4), None, normal(4), normal(4).abs(), 0.1, 1e-3)[0],
        aten.instance_norm.default(x, normal(4), normal(4), None, None, True, 0.1, 1e-5, False),
    ),
    "columns": lambda x: (
        aten.im2col.default(x, [3, 2], [1, 1], [0, 0], [1, 1]),
        aten.im2col.default(x, [2, 2], [2, 1], [1, 2], [2, 3]),
    ),
    "images from columns": lambda x: aten.col2im.default(
        aten.im2col.default(x, [3, 7], [1, 1], [0, 0], [3, 7]), [9, 7], [3, 7], [1, 1], [0, 0], [3, 7]
    ),
    "norms of one sample's channels": lambda x: aten.batch_norm.default(
        x[:1], normal(4), normal(4), None, None, True, 0.1, 1e-3, False
    ),
    "mean of all": lambda x: aten.adaptive_avg_pool2d.default(x, [1, 1]),
    "shuffled pixels": lambda x: (
        aten.pixel_shuffle.default(x, 2),
        aten.pixel_unshuffle.default(aten.slice.Tensor(aten.slice.Tensor(x, 2, 0, 6), 3, 0, 6), 3),
    ),
    "one image's windows": lambda x: (
        aten.conv2d.default(aten.select.int(x, 0, 0), aten.slice.Tensor(x, 2, 0, 3)),
        aten.conv_transpose2d.input(aten.select.int(x, 0, 1), aten.transpose.int(x, 0, 1)),
    ),
    "norms of groups": lambda x: (
        aten.group_norm.default(x, 2),
        aten.group_norm.default(x, 2, normal(4), normal(4), 1e-3),
    ),
    "repeated pixels": lambda x: (
        aten.upsample_nearest2d.vec(x, None, [2.0, 2.0]),
        aten.upsample_nearest2d.vec(x, [18, 21], None),
    ),
    "pixels between": lambda x: (
        aten.upsample_bilinear2d.vec(x, None, False, [2.0, 3.0]),
        aten.upsample_bilinear2d.vec(x, [17, 13], True, None),
        aten.upsample_bicubic2d.vec(x, [17, 13], True, None),
        aten.upsample_bicubic2d.vec(x, None, False, [2.0, 3.0]),
        aten.upsample_bicubic2d.vec(x, None, False, [2.3, 1.7]),
        aten.upsample_bilinear2d.vec(x, None, False, [1.5, 0.6]),
        aten.upsample_bilinear2d.vec(x, None, True, [1.7, 1.7]),
        aten.upsample_bilinear2d.vec(x, [4, 11], False, None),
    ),
}

TWO = {
    "products": (lambda x, y: (aten.matmul.default(x, y), aten.mm.default(x[0], y)), TOKENS, normal(8, 3)),
    "batches of products": (aten.bmm.default, TOKENS, normal(2, 8, 4)),
    "products and sums": (
        lambda x, y: (aten.baddbmm.default(x, x, y), aten.baddbmm.default(x, x, y, beta=0.5, alpha=2)),
        normal(2, 4, 4),
        normal(2, 4, 4),
    ),
    "products with vectors": (
        lambda x, y: (aten.mv.default(x, y), aten.dot.default(x[0], y), aten.vdot.default(x[1], y)),
        normal(3, 8),
        normal(8),
    ),
    "transposed convolutions": (
        lambda x, w: (
            aten.conv_transpose2d.input(x, w),
            aten.conv_transpose2d.input(x, w, None, [2, 2], [1, 1], [1, 1], 1, [1, 1]),
        ),
        IMAGE,
        normal(4, 3, 3, 3),
    ),
    "extremes of two": (lambda x, y: (aten.max.other(x, y), aten.min.other(x, y)), TOKENS, normal(2, 5, 8)),
    "linear": (aten.linear.default, TOKENS, normal(3, 8)),
    "extremes": (lambda x, y: (aten.maximum.default(x, y), aten.minimum.default(x, y)), TOKENS, normal(2, 5, 8)),
    "choices": (lambda x, y: aten.where.self(x > 0, x, y), TOKENS, normal(2, 5, 8) * 3),
    "masks": (lambda x, n: aten.masked_fill.Scalar(x, n == 0, -9.0), TOKENS, whole(2, 5, 1, below=2)),
    "more logic": (lambda x, y: aten.logical_or.default(x > 0, y > 0), TOKENS, normal(2, 5, 8)),
    "a table": (aten.embedding.default, normal(5, 8), whole(2, 3)),
    "whole entries": (lambda x, n: aten.index_select.default(x, 1, n), TOKENS, whole(3)),
    "fewer single numbers": (lambda x, n: aten.gather.default(x, 1, n), TOKENS, whole(1, 3, 6)),
    "single numbers": (lambda x, n: aten.gather.default(x, 2, n), TOKENS, whole(2, 5, 3)),
    "an index": (lambda x, n: aten.index.Tensor(x, [None, n]), TOKENS, whole(3)),
    "two indices": (lambda x, n: aten.index.Tensor(x, [_places(n), n]), TOKENS, whole(3, 4)),
    "two indices into truth": (lambda x, n: aten.index.Tensor(x > 0, [_places(n), n]), TOKENS, whole(3, 4)),
    "slopes": (aten.prelu.default, IMAGE, normal(4)),
    "a convolution": (lambda x, w: aten.conv2d.default(x, w, None, [2, 1], [1, 1]), IMAGE, normal(6, 4, 3, 3)),
    "a depthwise one": (
        lambda x, w: aten.conv2d.default(x, w, None, [1, 1], [0, 0], [1, 1], 4),
        IMAGE,
        normal(4, 1, 3, 3),
    ),
    "weights of a length": (
        lambda v, s: (
            aten._weight_norm.default(v, s[:1, :, :1], 1),
            aten._weight_norm.default(v, s[:, :1, :1]),
            aten._weight_norm.default(v, s[0, 0, 0], -1),
        ),
        TOKENS,
        normal(2, 5, 8),
    ),
    "heads that share keys": (
        lambda q, k: (
            aten.scaled_dot_product_attention.default(q, k, k, enable_gqa=True),
            aten.scaled_dot_product_attention.default(q, k, k, None, 0.0, True, scale=0.3, enable_gqa=True),
        ),
        normal(2, 4, 5, 8),
        normal(2, 2, 5, 8),
    ),
}


@pytest.mark.parametrize("case", ONE)
def test_of_tokens(case):
    check(stage_of(Call(ONE[case]), TOKENS))


@pytest.mark.parametrize("case", IMAGES)
def test_of_images(case):
    check(stage_of(Call(IMAGES[case]), IMAGE))


@pytest.mark.parametrize("case", TWO)
def test_of_two_inputs(case):
    function, x, y = TWO[case]
    check(stage_of(Call2(function), x, y))


@pytest.mark.slow
def test_a_look_up_of_fewer_numbers_runs_on_openvino():
    """It drops a slice that stands before one, although the slice is of another dimension."""
    pytest.importorskip("openvino")
    function, x, indices = TWO["fewer single numbers"]
    graph = export(stage_of(Call2(function), x, indices))
    compiled = shared_core().compile_model(read_model(shared_core(), graph.model), "CPU")
    (found,) = compiled([x.numpy(), indices.numpy()]).values()
    assert np.array_equal(found, function(x, indices).numpy())


def _three():
    return stage_of(Call3(lambda x, w, b: aten.addmm.default(b, x[0], w)), TOKENS, normal(8, 3), normal(3))


def test_a_product_and_a_sum():
    check(_three())
    half = Call3(lambda x, w, b: aten.addmm.default(b, x[0], w, beta=0.5, alpha=2))
    check(stage_of(half, TOKENS, normal(8, 3), normal(3)))


def test_every_emitter_is_exercised(monkeypatch):
    used = set()

    class Watched(dict):
        def get(self, key, default=None):
            found = super().get(key, default)
            used.add(id(found))
            return found

    monkeypatch.setattr("hwnas.backends.export.trace.FUNCTIONS", Watched(FUNCTIONS))
    stages = [stage_of(Call(f), TOKENS) for f in ONE.values()] + [stage_of(Call(f), IMAGE) for f in IMAGES.values()]
    for stage in [*stages, *(stage_of(Call2(f), x, y) for f, x, y in TWO.values()), _three()]:
        export(stage)
    own = {id(found): str(key) for key, found in FUNCTIONS.items() if isinstance(key, torch._ops.OpOverload)}
    assert sorted(own[one] for one in own.keys() - used) == []


def test_a_batch_stays_open_through_reshapes():
    stage = stage_of(Call(lambda x: aten.reshape.default(aten.reshape.default(x, [-1, 4]), [-1, 5, 8])), TOKENS)
    graph = export(stage, dynamic_batch=True)
    import onnxruntime

    session = onnxruntime.InferenceSession(graph.model, providers=["CPUExecutionProvider"])
    x = normal(7, 5, 8)
    (found,) = session.run(None, {graph.inputs[0]: x.numpy()})
    assert torch.equal(torch.from_numpy(found), x)


def test_a_saved_program_is_exported_without_torchs_exporter(tmp_path):
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 2))
    x = normal(2, 3, 8, 8)
    torch.export.save(torch.export.export(module.eval(), (x,)), str(tmp_path / "it.pt2"))
    loaded = torch.export.load(str(tmp_path / "it.pt2")).module()
    check(Stage("it", loaded, (x,), ("x",)))
