"""Shared weights: slices that train, files that are read in any spelling, and files that are refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hwnas import supernets
from hwnas.supernets.errors import UsageError
from hwnas.supernets.shared import Trainable, corner

SMALL = "r=28,classes=10,channels=1,scale=0.25"
NET = supernets.get(f"ofa-mbv3-w1.0:{SMALL}")
SMALLEST, LARGEST, SAMPLED = NET.space.decode(
    np.concatenate([NET.space.smallest(), NET.space.largest(), NET.space.sample(1, 4)])
)
TRAINABLE = [NET.name, f"ofa-resnet50:{SMALL}", f"bootstrapnas-resnet50:{SMALL}"]


def images(n=8):
    return torch.randn(n, 1, 28, 28, generator=torch.Generator().manual_seed(1))


@pytest.fixture(params=TRAINABLE)
def net(request):
    return supernets.get(request.param)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "weights.pth"
    NET.shared(seed=2).save(path)
    return path


def rewritten(file, change):
    """Write the file anew with its state dict changed."""
    document = torch.load(file, weights_only=True)
    document["state_dict"] = change(document["state_dict"])
    torch.save(document, file)


@pytest.mark.slow
def test_a_state_is_the_modules_for_every_config(net):
    assert isinstance(net, Trainable)
    shared = net.shared()
    for config in net.space.decode(np.concatenate([net.space.smallest(), net.space.largest(), net.space.sample(3, 0)])):
        wanted, state = net.module(config).state_dict(), shared.state(config)
        assert list(state) == list(wanted)
        assert [tensor.shape for tensor in state.values()] == [tensor.shape for tensor in wanted.values()]
        assert sum(p.numel() for p in net.module(config).parameters()) == net.params(net.space.encode(config))[0]


def test_the_largest_shares_every_parameter(net):
    shared = net.shared()
    largest = net.space.decode(net.space.largest())[0]
    used = sum(tensor.numel() for tensor in shared.parameters())
    matrices = sum(t.numel() for key, t in shared.tensors.items() if key.endswith("_matrix"))
    assert used - matrices == net.params(net.space.encode(largest))[0]


def test_training_reaches_the_slices_and_nothing_else():
    shared = NET.shared(seed=1)
    module = NET.module(SMALLEST).train()
    loss = torch.func.functional_call(module, shared.state(SMALLEST), images()).square().sum()
    loss.backward()
    weight = shared.tensors["blocks.1.conv.point_linear.conv.conv.weight"]
    mid = shared.state(SMALLEST)["blocks.1.point_linear.conv.weight"].shape[1]
    assert mid < weight.shape[1]
    assert weight.grad[:, :mid].abs().sum() > 0
    assert not weight.grad[:, mid:].any()
    # A kernel of 3 is made through both matrices out of the centre of the 7 x 7.
    kernel = shared.tensors["blocks.1.conv.depth_conv.conv.conv.weight"].grad
    assert kernel[:mid, :, 2:5, 2:5].abs().sum() > 0
    assert not kernel[:, :, 0].any()
    assert all(shared.tensors[f"blocks.1.conv.depth_conv.conv.{m}_matrix"].grad.any() for m in ("7to5", "5to3"))
    assert shared.tensors["blocks.4.conv.point_linear.conv.conv.weight"].grad is None  # beyond the smallest depth


def test_training_moves_running_averages_of_the_channels_it_has_alone():
    shared = NET.shared()
    key = "blocks.1.conv.inverted_bottleneck.bn.bn.running_mean"
    mid = shared.state(SMALLEST)["blocks.1.inverted_bottleneck.bn.running_mean"].shape[0]
    module = NET.module(SMALLEST).train()
    for _ in range(2):  # twice: the first backward pass must not be spoilt by the second forward pass
        torch.func.functional_call(module, shared.state(SMALLEST), images()).sum().backward()
    assert shared.tensors[key][:mid].any()
    assert not shared.tensors[key][mid:].any()
    assert shared.tensors[key.replace("mean", "var")].isfinite().all()
    assert shared.tensors[key.replace("running_mean", "num_batches_tracked")] == 2


def test_two_forward_passes_may_come_before_a_backward_pass():
    shared = NET.shared()
    outputs = [
        torch.func.functional_call(NET.module(config).train(), shared.state(config), images()).sum()
        for config in (SMALLEST, LARGEST)
    ]
    sum(outputs).backward()
    assert all(torch.isfinite(tensor.grad).all() for tensor in shared.parameters() if tensor.grad is not None)


@pytest.mark.slow
def test_a_built_sub_network_has_weights_of_its_own(file):
    built = NET.build(SAMPLED, str(file))
    again = NET.build(SAMPLED, str(file))
    with torch.no_grad():
        expected = again(images())
        for tensor in built.state_dict().values():
            tensor.zero_()
        assert torch.equal(NET.build(SAMPLED, str(file))(images()), expected)
    assert not built.training
    assert all(parameter.is_contiguous() and parameter.requires_grad for parameter in built.parameters())


def test_round_trip(net, tmp_path):
    shared = net.shared(seed=5)
    shared.save(tmp_path / "weights.pth")
    read = net.shared(str(tmp_path / "weights.pth"))
    assert list(read.tensors) == list(shared.tensors)
    assert all(torch.equal(read.tensors[key], shared.tensors[key]) for key in shared.tensors)
    assert [tensor.requires_grad for tensor in read.tensors.values()] == [
        tensor.requires_grad for tensor in shared.tensors.values()
    ]
    assert all(tensor.is_leaf for tensor in read.tensors.values())
    assert [file.name for file in tmp_path.iterdir()] == ["weights.pth"]


def test_seeds():
    first, same, other = NET.shared(seed=1), NET.shared(seed=1), NET.shared(seed=2)
    key = "blocks.1.conv.depth_conv.conv.conv.weight"
    assert torch.equal(first.tensors[key], same.tensors[key])
    assert not torch.equal(first.tensors[key], other.tensors[key])


def test_nothing_is_left_where_a_file_cannot_be_written(tmp_path, monkeypatch):
    def broken(*_):
        raise OSError("no space")

    shared = NET.shared()
    monkeypatch.setattr(torch, "save", broken)
    with pytest.raises(OSError, match="no space"):
        shared.save(tmp_path / "weights.pth")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(
    "spell",
    [
        lambda key: key.replace(".conv.", ".mobile_inverted_conv.", 1) if key.startswith("blocks.") else key,
        lambda key: key.replace(".bn.bn.", ".bn.").replace(".conv.conv.weight", ".conv.weight"),
        lambda key: f"module.{key}",
    ],
    ids=["older", "static", "parallel"],
)
def test_other_spellings_are_read(file, spell):
    expected = NET.build(SAMPLED, str(file)).state_dict()
    rewritten(file, lambda state: {spell(key): tensor for key, tensor in state.items()})
    found = NET.build(SAMPLED, str(file)).state_dict()
    assert all(torch.equal(found[key], expected[key]) for key in expected)


def test_old_files_do_not_count_batches(file):
    rewritten(file, lambda state: {key: t for key, t in state.items() if not key.endswith("num_batches_tracked")})
    assert NET.shared(str(file)).tensors["first_conv.bn.num_batches_tracked"] == 0


def test_a_file_of_another_width_is_refused_with_what_does_not_fit(file):
    other = supernets.get(f"ofa-mbv3-w1.0:{SMALL.replace('0.25', '1')}")
    with pytest.raises(UsageError, match=r"weights\.pth'.*has other shapes: first_conv\.conv\.weight: \(8, 1, 3, 3\)"):
        other.build(SAMPLED, str(file))
    with pytest.raises(UsageError, match=r"no checkpoint of ofa-resnet50.*it lacks input_stem\.0\.conv\.conv\.weight"):
        supernets.get(f"ofa-resnet50:{SMALL}").shared(str(file))


def test_missing_and_unknown_keys_are_named(file):
    rewritten(file, lambda state: {key: t for key, t in state.items() if key != "classifier.linear.bias"})
    with pytest.raises(UsageError, match=r"it lacks classifier\.linear\.bias \(1 in all\)"):
        NET.shared(str(file))
    rewritten(file, lambda state: {**state, "classifier.linear.bias": torch.zeros(10), "ema.decay": torch.zeros(1)})
    with pytest.raises(UsageError, match=r"it has unknown ema\.decay \(1 in all\)"):
        NET.build(SAMPLED, str(file))


@pytest.mark.slow
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_truncated_files_are_refused(file, legacy):
    rewritten_as = torch.load(file, weights_only=True)
    torch.save(rewritten_as, file, _use_new_zipfile_serialization=not legacy)
    content = file.read_bytes()
    rng = np.random.default_rng(0)
    for end in {0, 1, 2, 10, 100, len(content) // 2, len(content) - 1, *rng.integers(0, len(content), 12).tolist()}:
        file.write_bytes(content[:end])
        with pytest.raises(UsageError, match=r"weights\.pth': not a checkpoint of tensors"):
            NET.build(SAMPLED, str(file))


def test_what_is_no_checkpoint_is_refused(file, tmp_path):
    file.write_text("<html>404: not found</html>")
    with pytest.raises(UsageError, match="not a checkpoint of tensors"):
        NET.shared(str(file))
    with pytest.raises(UsageError, match="no such file"):
        NET.shared(str(tmp_path / "missing.pth"))
    with pytest.raises(UsageError, match=r"cannot be read|not a checkpoint"):
        NET.shared(str(tmp_path))


def test_code_in_a_file_is_not_run(file):
    class Evil:
        def __reduce__(self):
            return print, ("run",)

    torch.save({"state_dict": Evil()}, file)
    with pytest.raises(UsageError, match="not a checkpoint of tensors"):
        NET.shared(str(file))


@pytest.mark.slow
def test_a_changed_file_is_read_anew(file):
    before = NET.build(SAMPLED, str(file)).state_dict()["classifier.bias"]
    rewritten(file, lambda state: {**state, "classifier.linear.bias": torch.ones(10)})
    assert torch.equal(NET.build(SAMPLED, str(file)).state_dict()["classifier.bias"], torch.ones(10))
    assert not torch.equal(before, torch.ones(10))


def test_what_was_read_is_not_trained(file):
    first = NET.shared(str(file))
    with torch.no_grad():
        first.tensors["classifier.linear.bias"].fill_(7)
    assert not (NET.shared(str(file)).tensors["classifier.linear.bias"] == 7).any()


def test_corner():
    tensor = torch.arange(24).view(2, 3, 4)
    assert torch.equal(corner(tensor, (1, 2, 3)), tensor[:1, :2, :3])
    assert corner(tensor, (2, 3)) is tensor


# --- weights that compute nothing ------------------------------------------------------------------------------------


def put(value, part=""):
    """Return a change that puts a number into the first tensor whose key has ``part``."""

    def change(state):
        key = next(key for key, tensor in state.items() if part in key and tensor.is_floating_point())
        state[key].view(-1)[-1] = value
        return state

    return change


READERS = {
    "shared": lambda net, config, file: net.shared(str(file)),
    "build": lambda net, config, file: net.build(config, str(file)),
    "stages": lambda net, config, file: net.stages(config, 1, str(file)),
}


@pytest.mark.slow
@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("part", ["conv.weight", "bias", "running_mean", "running_var"])
def test_one_number_that_is_none_is_refused_by_name(file, read, value, part):
    rewritten(file, put(value, part))
    with pytest.raises(UsageError, match=rf"weights '.*weights.pth': .*{part}: 1 of [\d,]+ numbers are not finite"):
        read(NET, SMALLEST, file)


def test_a_variance_below_0_is_refused_by_name(file):
    rewritten(file, put(-1e-3, "running_var"))
    with pytest.raises(UsageError, match=r"running_var: the variance of a batch-norm is below 0 \(-0.001\)"):
        NET.shared(str(file))


def test_a_number_that_is_none_in_single_precision_is_refused(file):
    rewritten(file, lambda state: {k: t.double() if t.is_floating_point() else t for k, t in state.items()})
    NET.shared(str(file))
    rewritten(file, put(1e300))
    with pytest.raises(UsageError, match=r"1 of [\d,]+ numbers are not finite \(1e\+300\)"):
        NET.shared(str(file))


@pytest.mark.parametrize(
    "change",
    [
        lambda tensor: tensor.to_sparse(),
        lambda tensor: tensor.to("meta"),
        lambda tensor: tensor.to(torch.complex64),
    ],
)
def test_what_is_no_plain_tensor_of_real_numbers_is_refused_by_name(file, change):
    rewritten(file, lambda state: state | {"classifier.linear.weight": change(state["classifier.linear.weight"])})
    with pytest.raises(UsageError, match=r"weights.pth': (classifier.linear.weight: expected|not a checkpoint)"):
        NET.shared(str(file))


def test_the_weights_of_a_single_sub_network_are_looked_at_too(tmp_path):
    module = NET.build(SMALLEST)
    torch.save(put(np.nan, "running_var")(module.state_dict()), tmp_path / "own.pth")
    with pytest.raises(UsageError, match=r"own.pth': .*running_var: 1 of"):
        NET.build(SMALLEST, str(tmp_path / "own.pth"))


@pytest.mark.parametrize("name", ["ncf", "hat-transformer:layers=2,qkv=8,vocab=16,embed=8,ffn=8,heads=2+4"])
def test_other_super_networks_look_at_weights_too(tmp_path, name):
    net = supernets.get(name)
    net.shared(seed=1).save(tmp_path / "w.pth")
    rewritten(tmp_path / "w.pth", put(np.nan))
    config = net.space.decode(net.space.smallest())[0]
    for read in READERS.values():
        with pytest.raises(UsageError, match=r"w.pth': .*: 1 of"):
            read(net, config, tmp_path / "w.pth")
