"""Sub-networks cut out of shared weights, against once-for-all's published semantics spelled out naively.

The second way knows nothing of ours: it walks a checkpoint by its published keys, one layer after the other, and slices
and transforms with plain functions.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import avg_pool2d, conv2d, linear, max_pool2d

from hwnas import supernets

pytestmark = pytest.mark.slow

STRIDES = (2, 2, 2, 1, 2)
SE = (False, True, False, True, True)
HARD = (False, False, True, True, True)


def eight(width: float) -> int:
    rounded = max(8, int(width + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * width else rounded


def h_sigmoid(x):
    return torch.clamp(x + 3, 0, 6) / 6


def h_swish(x):
    return x * h_sigmoid(x)


def norm(t, key, x):
    """Batch-norm of the first channels, from its formula."""
    n = x.shape[1]
    mean, var = t[f"{key}.running_mean"][:n], t[f"{key}.running_var"][:n]
    weight, bias = t[f"{key}.weight"][:n], t[f"{key}.bias"][:n]
    scale = weight / torch.sqrt(var + 1e-5)
    return x * scale[:, None, None] + (bias - mean * scale)[:, None, None]


def smaller_kernel(t, key, kernels, size):
    """7 to 5 to 3, one channel after the other: crop the centre, flatten it row by row, multiply."""
    side = kernels.shape[-1]
    while side > size:
        matrix = t[f"{key}.{side}to{side - 2}_matrix"]
        shrunk = [(matrix @ kernel[0, 1:-1, 1:-1].flatten()).view(1, side - 2, side - 2) for kernel in kernels]
        kernels, side = torch.stack(shrunk), side - 2
    return kernels


def naive_mobilenet(t, config, x, stem_stride=2):
    x = h_swish(norm(t, "first_conv.bn", conv2d(x, t["first_conv.conv.weight"], stride=stem_stride, padding=1)))
    first = "blocks.0.conv"
    y = conv2d(x, t[f"{first}.depth_conv.conv.weight"], padding=1, groups=x.shape[1])
    y = torch.relu(norm(t, f"{first}.depth_conv.bn", y))
    y = norm(t, f"{first}.point_linear.bn", conv2d(y, t[f"{first}.point_linear.conv.weight"]))
    x = x + y if x.shape[1] == y.shape[1] else y
    for stage, depth in enumerate(config["d"]):
        for layer in range(depth):
            position = 4 * stage + layer
            block, act = f"blocks.{position + 1}.conv", h_swish if HARD[stage] else torch.relu
            size, stride = config["ks"][position], STRIDES[stage] if layer == 0 else 1
            n = x.shape[1]
            mid = eight(round(n * config["e"][position]))
            y = conv2d(x, t[f"{block}.inverted_bottleneck.conv.conv.weight"][:mid, :n])
            y = act(norm(t, f"{block}.inverted_bottleneck.bn.bn", y))
            kernels = smaller_kernel(
                t, f"{block}.depth_conv.conv", t[f"{block}.depth_conv.conv.conv.weight"][:mid], size
            )
            y = conv2d(y, kernels, stride=stride, padding=size // 2, groups=mid)
            y = act(norm(t, f"{block}.depth_conv.bn.bn", y))
            if SE[stage]:
                gate, squeezed = f"{block}.depth_conv.se.fc", eight(mid // 4)
                z = y.mean((2, 3), keepdim=True)
                z = conv2d(z, t[f"{gate}.reduce.weight"][:squeezed, :mid], t[f"{gate}.reduce.bias"][:squeezed])
                z = conv2d(torch.relu(z), t[f"{gate}.expand.weight"][:mid, :squeezed], t[f"{gate}.expand.bias"][:mid])
                y = y * h_sigmoid(z)
            y = norm(
                t,
                f"{block}.point_linear.bn.bn",
                conv2d(y, t[f"{block}.point_linear.conv.conv.weight"][:, :mid]),
            )
            x = x + y if stride == 1 and x.shape[1] == y.shape[1] else y
    x = h_swish(norm(t, "final_expand_layer.bn", conv2d(x, t["final_expand_layer.conv.weight"])))
    x = x.mean((2, 3), keepdim=True)
    x = h_swish(conv2d(x, t["feature_mix_layer.conv.weight"]))
    return linear(x.flatten(1), t["classifier.linear.weight"], t["classifier.linear.bias"])


def naive_resnet(t, config, x):
    base, strides, factors = (2, 2, 4, 2), (1, 2, 2, 2), (0.65, 0.8, 1.0)

    def conv_norm(key, x, out, stride=1):
        weight = t[f"{key}.conv.conv.weight"][:out, : x.shape[1]]
        return norm(t, f"{key}.bn.bn", conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2))

    w = config["w"]
    mid = eight(eight(64 * factors[w[0]]) // 2)
    x = torch.relu(conv_norm("input_stem.0", x, mid, stride=2))
    if config["d"][0] == 2:
        x = x + torch.relu(conv_norm("input_stem.1.conv", x, mid))
    x = torch.relu(conv_norm("input_stem.2", x, eight(64 * factors[w[1]])))
    x = max_pool2d(x, 3, stride=2, padding=1)
    start = 0
    for stage in range(4):
        out = eight((256, 512, 1024, 2048)[stage] * factors[w[stage + 2]])
        for layer in range(base[stage] + config["d"][stage + 1]):
            block = f"blocks.{start + layer}"
            stride = strides[stage] if layer == 0 else 1
            mid = eight(round(out * config["e"][start + layer]))
            shortcut = x
            if layer == 0:
                pooled = avg_pool2d(x, stride, stride, ceil_mode=True)
                shortcut = conv_norm(f"{block}.downsample", pooled, out)
            y = torch.relu(conv_norm(f"{block}.conv1", x, mid))
            y = torch.relu(conv_norm(f"{block}.conv2", y, mid, stride))
            x = torch.relu(conv_norm(f"{block}.conv3", y, out) + shortcut)
        start += base[stage] + 2
    x = x.mean((2, 3))
    return linear(x, t["classifier.linear.linear.weight"][:, : x.shape[1]], t["classifier.linear.linear.bias"])


def randomised(net, seed=3):
    """Shared weights of which every tensor is random, matrices and batch-norms too, but activations stay of order 1."""
    shared = net.shared(seed=seed)
    generator = torch.Generator().manual_seed(seed)

    def noise(tensor):
        return torch.rand(tensor.shape, generator=generator)

    with torch.no_grad():
        for key, tensor in shared.tensors.items():
            if key.endswith("_matrix"):
                tensor.add_(0.2 * (noise(tensor) - 0.5))
            elif key.endswith("running_var") or (tensor.dim() == 1 and key.endswith("weight")):
                tensor.copy_(0.5 + noise(tensor))
            elif tensor.dim() == 1:
                tensor.copy_(0.4 * (noise(tensor) - 0.5))
    return shared


CASES = [
    ("ofa-mbv3-w1.0:r=128", naive_mobilenet),
    ("ofa-mbv3-w1.2:r=36,stem_stride=2", naive_mobilenet),
    ("ofa-mbv3-w1.0:r=28,classes=10,channels=1,scale=0.5", lambda t, c, x: naive_mobilenet(t, c, x, stem_stride=1)),
    # 36 px: sides of 9, 5 and 3, so that the pooling of shortcuts rounds up.
    ("ofa-resnet50:r=36,stem_stride=2", naive_resnet),
]


@pytest.mark.parametrize(("name", "naive"), CASES, ids=[name for name, _ in CASES])
def test_outputs_are_those_of_the_published_semantics(name, naive, tmp_path):
    net = supernets.get(name)
    shared = randomised(net)
    file = str(tmp_path / "weights.pth")
    shared.save(file)
    # In double precision: random batch-norms let the largest networks grow until single precision differs in the first
    # digits between two ways of adding up the same numbers.
    tensors = {key: tensor.double() for key, tensor in torch.load(file, weights_only=True)["state_dict"].items()}
    side = net.resolution({})
    x = torch.randn(1, net.channels, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    X = np.concatenate([net.space.smallest(), net.space.largest(), net.space.sample(2, 1)])
    for config in net.space.decode(X):
        with torch.no_grad():
            expected = naive(tensors, config, x)
            scale = float(expected.abs().max())
            assert torch.allclose(net.build(config, file).double()(x), expected, rtol=0, atol=1e-6 * scale)
            state = {key: tensor.double() for key, tensor in shared.state(config).items()}
            trained = torch.func.functional_call(net.module(config), state, x)
            assert torch.allclose(trained, expected, rtol=0, atol=1e-6 * scale)
        assert expected.std() > 1e-2


# Keys and shapes as they stand in once-for-all's own files.
PUBLISHED = {
    "ofa-mbv3-w1.0": {
        "first_conv.conv.weight": (16, 3, 3, 3),
        "first_conv.bn.running_var": (16,),
        "blocks.0.conv.depth_conv.conv.weight": (16, 1, 3, 3),
        "blocks.0.conv.point_linear.bn.weight": (16,),
        "blocks.1.conv.inverted_bottleneck.conv.conv.weight": (96, 16, 1, 1),
        "blocks.1.conv.depth_conv.conv.conv.weight": (96, 1, 7, 7),
        "blocks.1.conv.depth_conv.conv.7to5_matrix": (25, 25),
        "blocks.1.conv.depth_conv.conv.5to3_matrix": (9, 9),
        "blocks.5.conv.depth_conv.se.fc.reduce.weight": (40, 144, 1, 1),
        "blocks.5.conv.depth_conv.se.fc.expand.bias": (144,),
        "blocks.20.conv.point_linear.conv.conv.weight": (160, 960, 1, 1),
        "blocks.20.conv.point_linear.bn.bn.num_batches_tracked": (),
        "final_expand_layer.conv.weight": (960, 160, 1, 1),
        "feature_mix_layer.conv.weight": (1280, 960, 1, 1),
        "classifier.linear.weight": (1000, 1280),
        "classifier.linear.bias": (1000,),
    },
    "ofa-resnet50": {
        "input_stem.0.conv.conv.weight": (32, 3, 3, 3),
        "input_stem.1.conv.conv.conv.weight": (32, 32, 3, 3),
        "input_stem.1.conv.bn.bn.weight": (32,),
        "input_stem.2.bn.bn.running_mean": (64,),
        "blocks.0.conv1.conv.conv.weight": (88, 64, 1, 1),
        "blocks.0.downsample.conv.conv.weight": (256, 64, 1, 1),
        "blocks.17.conv2.conv.conv.weight": (720, 720, 3, 3),
        "blocks.17.conv3.bn.bn.bias": (2048,),
        "classifier.linear.linear.weight": (1000, 2048),
        "classifier.linear.linear.bias": (1000,),
    },
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_keys_and_shapes_are_the_published_ones(name):
    shapes = supernets.get(name).layout.shapes
    assert {key: shapes.get(key) for key in PUBLISHED[name]} == PUBLISHED[name]
    # What is before the blocks, the blocks, their squeeze-excites or shortcuts, and what is behind them.
    counts = {"ofa-mbv3-w1.0": 6 + 12 + 20 * 20 + 12 * 4 + 6 + 1 + 2, "ofa-resnet50": 18 + 18 * 18 + 4 * 6 + 2}
    assert len(shapes) == counts[name]
    matrices = [key for key in shapes if key.endswith("_matrix")]
    assert len(matrices) == (40 if "mbv3" in name else 0)
