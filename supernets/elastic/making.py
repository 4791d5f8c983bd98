"""Make the super-network of a model, from a function or a module, and check it against the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from hwnas.supernets.elastic import stored
from hwnas.supernets.elastic.activations import by_activations
from hwnas.supernets.elastic.analysis import Analysis, analysed
from hwnas.supernets.elastic.axes import Axis, fix
from hwnas.supernets.elastic.factory import called, checked, flat, function, model_of
from hwnas.supernets.elastic.gradients import by_gradients
from hwnas.supernets.elastic.network import Elastic, ElasticModel, made
from hwnas.supernets.elastic.options import DATA, DIGEST, FILE, GRADIENTS, IMPORTANCE, MODEL, SHOWN, parsed
from hwnas.supernets.elastic.outputs import by_outputs
from hwnas.supernets.elastic.program import Program
from hwnas.supernets.elastic.rebuild import Rebuilder
from hwnas.supernets.elastic.sets import Wanted
from hwnas.supernets.elastic.tracing import Inputs, listed, samples_for, traced
from hwnas.supernets.errors import UsageError
from hwnas.supernets.own_batches import inputs_of
from hwnas.supernets.own_code import explained, printing_aside
from hwnas.supernets.plug_ins import FAILURES

# How far the program's outputs may be from the model's, relative to the largest.
_AGREES = 1e-5


def from_options(options: Mapping[str, str]) -> ElasticModel:
    """Return the super-network of ``elastic:KEY=VALUE,...``; raises ``UsageError``."""
    wanted = parsed(options)
    if (MODEL in options) == (FILE in options):
        raise UsageError(
            f"elastic: expected {MODEL}=FILE.py:FUNCTION, or {FILE}= with what hwnas.elastic() has written"
        )
    given = options.get(DIGEST)
    if given is not None and (kept := stored.kept(given, _name(options, given))) is not None:
        return kept
    if FILE in options:
        net = stored.read(options[FILE], "elastic")
    else:
        module, inputs = model_of(options[MODEL])
        net = from_module(module, inputs, wanted, f"elastic: model={options[MODEL]}", options)
    if given is not None and not net.digest.startswith(given):
        raise UsageError(
            f"elastic: {options.get(MODEL) or options[FILE]} makes another super-network now, {net.digest[:SHOWN]} for "
            f"{given}: the model, its weights or the options have changed"
        )
    net.name = _name(options, net.digest)
    if FILE not in options:
        stored.keep(net, wanted)
    return net


def _name(options: Mapping[str, str], digest: str) -> str:
    others = [f"{key}={value}" for key, value in options.items() if key != DIGEST]
    return f"elastic:{','.join([*others, f'{DIGEST}={digest[:SHOWN]}'])}"


def from_module(
    module: nn.Module, inputs: Inputs, wanted: Wanted, what: str, options: Mapping[str, str] | None = None
) -> ElasticModel:
    """Return the super-network of a module.

    Args:
        module: the model, in evaluation mode, on the CPU.
        inputs: example inputs of one sample.
        wanted: what is to be elastic.
        what: begins the message of an error.
        options: ``importance`` and ``data``, if the order of channels and blocks follows a user's data; ``None``: it
            does not.

    Raises:
        UsageError: it cannot be traced, or nothing of it is elastic.
    """
    analysis = _analysed(module, inputs, what)
    unordered = _working(analysis, wanted, _examples(inputs, analysis.program), what)
    elastic = _ordered(unordered, options) if options and DATA in options else _by_example(unordered)
    return ElasticModel(what, elastic, unordered.examples)


def _analysed(module: nn.Module, inputs: Inputs, what: str) -> Analysis:
    """Return the program for any batch, or else for single samples, if the model's code has their number in it."""
    try:
        analysis = analysed(traced(module, inputs, what, samples_for(inputs)))
        if not analysis.batch.fixed:
            _check_agrees(analysis, module, inputs, what)
            return analysis
    except UsageError:
        pass  # what is wrong with it for single samples too is said below
    analysis = analysed(traced(module, inputs, what, samples=1))
    _check_agrees(analysis, module, inputs, what)
    return analysis


def _check_agrees(analysis: Analysis, module: nn.Module, inputs: Inputs, what: str) -> None:
    """Raise ``UsageError`` if the outputs of what was traced are not the model's."""
    with torch.no_grad(), printing_aside():
        wanted = flat(called(module, inputs))
        try:
            found = flat(Rebuilder(analysis).recorded()(*_examples(inputs, analysis.program)))
        except FAILURES as error:
            raise UsageError(f"{what}: what was traced does not run: {explained(error)}") from error
    if len(wanted) != len(found) or not all(map(_agree, wanted, found)):
        raise UsageError(f"{what}: what was traced gives other outputs than the model, so it cannot be used")


def _agree(wanted: torch.Tensor, found: torch.Tensor) -> bool:
    """Return whether two outputs differ by rounding at most; what is no number in one is none in the other."""
    if wanted.shape != found.shape or wanted.dtype != found.dtype:
        return False
    one, other = (x if x.is_complex() else x.double() for x in (wanted, found))
    finite = one[one.isfinite()].abs()
    scale = max(1.0, float(finite.max()) if len(finite) else 0.0)
    return torch.allclose(other, one, rtol=0, atol=_AGREES * scale, equal_nan=True)


def _examples(inputs: Inputs, program: Program) -> list[torch.Tensor]:
    if isinstance(inputs, Mapping):
        return [inputs[node.target] for node in program.inputs]
    return listed(inputs)


def _working(analysis: Analysis, wanted: Wanted, examples: list[torch.Tensor], what: str) -> ElasticModel:
    """Return the super-network without the sets whose smallest size does not run: they are fixed, with the reason.

    The rules for dimensions know torch's operators, and not what a user's code does with a size that it asked for.
    """
    net = ElasticModel(what, made(analysis, wanted), examples)
    axes = [one.axis for one in net.elastic.elastic_sets]
    if _fault(net, axes) is None:
        return net
    running: list[Axis] = []
    for axis in axes:
        fault = _fault(net, [*running, axis])
        if fault is None:
            running.append(axis)
        else:
            fix(axis, f"a smaller size does not run ({fault})")
    return ElasticModel(what, made(analysis, wanted), examples)


def _fault(net: ElasticModel, axes: list[Axis]) -> str | None:
    """Return why the model does not run with some sets at their smallest; ``None``: it runs."""
    x = net.space.largest()
    depths = len(net.elastic.stages)
    for number, one in enumerate(net.elastic.elastic_sets):
        if one.axis in axes:
            x[0, depths + number] = 0
    try:
        (stage,) = net.stages(net.space.decode(x)[0], 1)
        with torch.no_grad():
            stage.module(*stage.inputs)
    except FAILURES as error:
        return explained(error)
    return None


def _by_example(net: ElasticModel) -> Elastic:
    """Return what can be left out, blocks in the order that the example inputs say.

    One example tells a block that the output hardly needs from the last one, which it often needs most: of the MiniLM
    sentence encoder without one layer, the cosine is 0.92 without the one that is needed least, and 0.51 without the
    last.
    """
    return replace(net.elastic, stages=by_outputs(net, [net.examples]))


def _ordered(net: ElasticModel, options: Mapping[str, str]) -> Elastic:
    """Return what can be left out, in the order that follows a user's data."""
    spec = options[DATA]
    what = f"elastic: {DATA}={spec}"
    found = function(spec, f"elastic: {DATA}")
    try:
        with printing_aside():
            made = found()
            if options[IMPORTANCE] == GRADIENTS:
                batches, loss = made
                pairs = [(inputs_of(inputs, net, what), targets) for inputs, targets in batches]
                rankings, given = by_gradients(net, pairs, loss), [inputs for inputs, _ in pairs]
            else:
                given = [inputs_of(batch, net, what) for batch in made]
                rankings = by_activations(net, given)
            return replace(net.elastic, rankings=rankings, stages=by_outputs(net, given))
    except UsageError:
        raise
    except FAILURES as error:
        expected = (
            "batches of (inputs, targets) and a loss" if options[IMPORTANCE] == GRADIENTS else "batches of inputs"
        )
        raise UsageError(f"{what}: expected {expected} like the model's: {explained(error)}") from error


def elastic(module: nn.Module, inputs: Any, options: Mapping[str, str], path: str | None) -> ElasticModel:
    """Return the super-network of a module in this process, written to a file for worker processes.

    Args:
        module: the model.
        inputs: example inputs of one sample.
        options: as they are spelled in a name.
        path: the file; ``None``: one in the user's cache.
    """
    for key in (MODEL, FILE, DIGEST):
        if key in options:
            raise UsageError(f"elastic: {key} names what the module is already")
    wanted = parsed(options)
    module, inputs = checked(module, inputs, "elastic")
    net = from_module(module, inputs, wanted, "elastic", options)
    file = stored.cached_file(net.digest) if path is None else path
    if path is None:
        stored.cached_file(net.digest).parent.mkdir(parents=True, exist_ok=True)
    stored.write(file, net, wanted)
    net.name = _name({FILE: str(file)}, net.digest)
    return net
