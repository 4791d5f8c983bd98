from __future__ import annotations

import pytest
import torch
from torch import nn

from hwnas import supernets
from hwnas.supernets.live_init import build_live, draw_weights, random_input


def _layer_stds(module, inputs):
    """Return the standard deviation of every leaf's output, in order of execution."""
    stds = []
    leaves = [part for part in module.modules() if not list(part.children())]
    hooks = [leaf.register_forward_hook(lambda _m, _i, out: stds.append(float(out.std()))) for leaf in leaves]
    with torch.no_grad():
        module(*inputs)
    for hook in hooks:
        hook.remove()
    return stds


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ofa-mbv3-w1.0", "ofa-mbv3-w1.2"])
@pytest.mark.parametrize("which", ["smallest", "largest", "random 0", "random 1"])
def test_every_layer_is_alive_at_every_resolution(name, which):
    space = supernets.get(name).space
    X = space.sample(1, int(which[-1])) if which.startswith("random") else getattr(space, which)()
    module = supernets.get(name).build(space.decode(X)[0])
    for resolution in (128, 224):
        stds = _layer_stds(module, (random_input(1, 3, resolution, resolution),))
        assert min(stds) > 1e-3
        assert max(stds) < 1e3


def test_outputs_tell_images_apart():
    net = supernets.get("ofa-mbv3-w1.0")
    module = net.build(net.space.decode(net.space.sample(1, 0))[0])
    with torch.no_grad():
        first, second = module(random_input(2, 3, 224, 224))
    assert (first - second).std() > 0.05 * first.std()


def test_weights_are_seeded_and_of_the_variance_of_he():
    modules = [build_live(lambda: nn.Linear(3000, 1000), ()) for _ in range(2)]
    first, second = (module.weight.detach() for module in modules)
    assert torch.equal(first, second)
    assert float(first.var()) == pytest.approx(2 / 3000, rel=0.01)
    assert len(torch.unique(first, dim=0)) == 1000  # the pool is smaller than the weight, and still no row comes twice


def test_statistics_are_those_of_the_pass():
    images = random_input(4, 3, 16, 16)
    module = build_live(lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)), (images,))
    with torch.no_grad():
        before = module[0](images)
    variance, mean = torch.var_mean(before, (0, 2, 3), correction=0)
    torch.testing.assert_close(module[1].running_mean, mean)
    torch.testing.assert_close(module[1].running_var, variance.mean().expand(8))
    assert not module.training


def test_a_buffer_whose_value_would_be_lost_is_refused():
    module = nn.Linear(2, 2)
    module.register_buffer("positions", torch.arange(3))
    with pytest.raises(ValueError, match="positions"):
        draw_weights(module)


def test_a_parameter_that_a_module_calls_by_two_names_stays_one():
    def make():
        module = torch.nn.Linear(4, 4, bias=False)
        module.also = module.weight
        return module

    module = build_live(make, (torch.ones(1, 4),))
    assert module.also is module.weight
    assert not module.weight.is_meta
