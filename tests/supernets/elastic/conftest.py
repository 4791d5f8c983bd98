"""Each model's super-network is made once for all tests of a run."""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Mapping

import pytest
import torch
from torch import nn

from hwnas.supernets.elastic.factory import called, flat
from hwnas.supernets.elastic.making import from_module
from hwnas.supernets.elastic.sets import Wanted
from tests.supernets.elastic import hugging_face, models, sequences, unusual

# Continuous integration requires it; on a user's machine its models are left out.
_REQUIRED = os.environ.get("HWNAS_REQUIRE_TRANSFORMERS") == "1"


_OWN = (*models.OWN, *sequences.SEQUENCES, *unusual.UNUSUAL)
_MODELS = {function.__name__: function for function in (*_OWN, *hugging_face.TRANSFORMERS)}


@functools.cache
def made(name: str):
    """Return a model, its example inputs and its super-network."""
    torch.manual_seed(0)
    module, inputs = _MODELS[name]()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):  # as of a trained model
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 2)
            part.weight.data.uniform_(0.5, 2)
            part.bias.data.normal_(0, 0.1)
    return module.eval(), inputs, from_module(module, inputs, Wanted(), name)


def _parameter(function):
    theirs = function in hugging_face.TRANSFORMERS
    missing = theirs and importlib.util.find_spec("transformers") is None and not _REQUIRED
    marks = [pytest.mark.skipif(missing, reason="transformers is not installed"), pytest.mark.slow]
    return pytest.param(function.__name__, marks=marks if theirs else [])


@pytest.fixture(params=map(_parameter, _MODELS.values()))
def model(request):
    return made(request.param)


def outputs(module, inputs, samples=1):
    """Return the tensors that a module gives for ``samples`` copies of its inputs that differ a little."""
    rng = torch.Generator().manual_seed(1)

    def several(one):
        return more(one, samples, rng)

    if isinstance(inputs, Mapping):
        given = {name: several(one) for name, one in inputs.items()}
    else:
        given = several(inputs) if isinstance(inputs, torch.Tensor) else tuple(map(several, inputs))
    with torch.no_grad():
        return flat(called(module, given))


def more(one, samples, rng):
    """Return an example input as ``samples``, numbers with some noise."""
    wide = one.repeat(samples, *[1] * (one.dim() - 1))
    return wide + 0.1 * torch.randn(wide.shape, generator=rng) if wide.is_floating_point() else wide


def in_order(net, inputs):
    """Return inputs as sub-networks take them."""
    if isinstance(inputs, Mapping):
        return tuple(inputs[name] for name in net.input_names)
    return (inputs,) if isinstance(inputs, torch.Tensor) else tuple(inputs)
