"""``fidelity:FILE.py:FUNCTION``: how well sub-networks' outputs agree with the whole model's, on inputs without labels.

It says which channels a trained model can do without before anything else is known. Without a function it runs on
inputs drawn like the model's example inputs, which is enough to compare sub-networks and for little else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.harness.data.argument import parse_argument
from hwnas.harness.measurement.intervals import half_width_of_mean, wilson
from hwnas.harness.quality.evaluated import EvaluatedQuality, Score
from hwnas.harness.quality.quality import QualityOptions
from hwnas.supernets.contents import SHOWN, Content
from hwnas.supernets.errors import NotFiniteError, NotServedError, QualityError, suggestion
from hwnas.supernets.own_batches import (
    OF_IMAGES,
    Inputs,
    NamesInputs,
    classes_last,
    digest_of,
    inputs_of,
    is_sample,
    read,
    samples_of,
)
from hwnas.supernets.space import Config, FloatArray
from hwnas.supernets.supernet import HasOwnWeights, SuperNetwork

if TYPE_CHECKING:
    import torch

SPELLED = "fidelity:FILE.py:FUNCTION"
SUMMARY = "how well the outputs of a model's sub-networks agree with the model's, without labels"

USES_WEIGHTS = True

# As many inputs are drawn where none are given.
_DRAWN = 32
_SEED = 0


def create(name: str, argument: str, net: SuperNetwork, options: QualityOptions) -> EvaluatedQuality:
    """Make the source of ``FILE.py:FUNCTION[,measure=cosine|kl|top1]``; the function gives batches of inputs."""
    if not isinstance(net, NamesInputs) or not isinstance(net, HasOwnWeights):
        raise NotServedError(f"{name}: compares with a trained model, and {net.name} is made of none")
    spec, given = _parsed(name, argument)
    measure = given.get("measure", "cosine")
    if measure not in _MEASURES:
        raise QualityError(
            f"{name}: measure={measure}{suggestion(measure, _MEASURES)}; expected {', '.join(_MEASURES)}"
        )
    batches, said, examples = _batches(name, spec, net)
    if options.subset is not None:
        batches = batches[: options.subset] if net.one_batch else _first(batches, options.subset, net)
    return EvaluatedQuality(
        name=f"{name}:{argument}" if argument else name,
        metric=measure,
        unit="%" if measure == "top1" else "",
        maximise=measure != "kl",
        net=net,
        options=options,
        data=said,
        score=_Fidelity(net, options.weights, batches, _MEASURES[measure]),
        known_by=f"fidelity ({measure} on inputs of digest {digest_of(batches)[:SHOWN]}",
        examples=examples,
        weights_needed=False,
        here_only=True,
    )


def serves(name: str, net: SuperNetwork) -> list[str]:
    """Return the specs of this source for a super-network that is made of a model."""
    made = isinstance(net, NamesInputs) and isinstance(net, HasOwnWeights)
    return [name, f"{name}:FILE.py:FUNCTION"] if made else []


def _parsed(name: str, argument: str) -> tuple[str, dict[str, str]]:
    if argument.startswith("measure="):
        argument = f"-,{argument}"
    spec, given = parse_argument(name, argument, ("measure",)) if argument else ("", {})
    return spec.removeprefix("-"), given


def _batches(name: str, spec: str, net: NamesInputs) -> tuple[list[Inputs], str, dict[str, Content]]:
    if not spec:
        return _drawn(net), f"{_DRAWN} inputs drawn like the example's", {}
    found = read(spec, name)
    batches = [inputs_of(batch, net, f"{name}: {spec}") for batch in found.given]
    count = len(batches) if net.one_batch else sum(samples_of(batch, net) for batch in batches)
    return batches, f"{count:,} inputs of {spec}", {"fidelity inputs": found.content}


def _first(batches: Sequence[Inputs], count: int, net: NamesInputs) -> list[Inputs]:
    """Return the first samples, in the batches in which they are."""
    kept, left = [], count
    for batch in batches:
        if left > 0:
            pairs = zip(batch, net.examples, strict=True)
            kept.append(tuple(one[:left] if is_sample(example) else one for one, example in pairs))
            left -= samples_of(batch, net)
    return kept


def _drawn(net: NamesInputs) -> list[Inputs]:
    """Return seeded inputs like the example: normal with its mean and deviation, or its whole numbers in any order."""
    import torch

    rng = torch.Generator().manual_seed(_SEED)
    if net.one_batch:
        return [tuple(_like(one, one.shape, rng) for one in net.examples) for _ in range(_DRAWN)]
    shapes = [(_DRAWN, *one.shape[1:]) if one.shape[:1] == (1,) else None for one in net.examples]
    # What is no input of one sample, such as a table, is the same for all samples.
    return [tuple(_like(one, shape, rng) if shape else one for one, shape in zip(net.examples, shapes, strict=True))]


def _like(one: torch.Tensor, shape: Sequence[int], rng: torch.Generator) -> torch.Tensor:
    import torch

    if one.is_floating_point():
        deviation = float(one.std()) if one.numel() > 1 else 1.0
        return torch.randn(shape, generator=rng, dtype=one.dtype) * (deviation or 1.0) + float(one.mean())
    return one.reshape(-1)[torch.randint(one.numel(), shape, generator=rng)]


def _interval(values: FloatArray, per_cent: bool) -> tuple[float, float]:
    """Return the 95 % interval of the mean of values, one for each sample; nan where a single one tells of none.

    Args:
        values: ``(n,)``.
        per_cent: of how much of a sample they agree.
    """
    if per_cent and np.isin(values, (0.0, 100.0)).all():
        # Of a proportion: where all agree, their deviation of 0 would say that all others do too.
        low, high = wilson(float(values.mean()) / 100, len(values))
        return 100 * low, 100 * high
    if len(values) < 2:
        return math.nan, math.nan
    half = half_width_of_mean(len(values)) * float(values.std(ddof=1)) / math.sqrt(len(values))
    return float(values.mean()) - half, float(values.mean()) + half


# --- measures --------------------------------------------------------------------------------------------------------


def _cosine(found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    from torch.nn.functional import cosine_similarity

    return cosine_similarity(_vectors(found), _vectors(wanted), dim=-1)


def _kl(found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    logs, others = (classes_last(one).log_softmax(-1) for one in (wanted, found))
    return (logs.exp() * (logs - others)).sum(-1)


def _top1(found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    return 100.0 * (classes_last(found).argmax(-1) == classes_last(wanted).argmax(-1)).float()


def _vectors(output: torch.Tensor) -> torch.Tensor:
    """Return the vectors to compare: of tokens or samples, and of images the whole.

    Of a single number per sample only the sign would count, so those of a batch are one vector.
    """
    if output.dim() <= 1 or output.numel() == len(output):
        return output.reshape(1, -1)
    return output.flatten(1) if output.dim() >= OF_IMAGES else output


_MEASURES: dict[str, Callable[[Any, Any], Any]] = {"cosine": _cosine, "kl": _kl, "top1": _top1}


@dataclass
class _Fidelity:
    """Compares sub-networks with the whole model.

    Attributes:
        net: the super-network.
        weights: a checkpoint of it; the whole model has its own weights in any case.
        batches: the inputs.
        measure: compares two outputs, sample by sample.
    """

    net: NamesInputs
    weights: str | None
    batches: Sequence[Inputs]
    measure: Callable[[Any, Any], Any]

    def __post_init__(self) -> None:
        self._wanted: list[torch.Tensor] | None = None

    def __call__(self, config: Config) -> Score:
        if self._wanted is None:
            largest = self.net.space.decode(self.net.space.largest())[0]
            self._wanted = self._outputs(self.net.build(largest))
        outputs = self._outputs(self.net.build(config, self.weights))
        pairs = zip(outputs, self._wanted, strict=True)
        values = np.concatenate([self._per_sample(found, wanted) for found, wanted in pairs])
        return Score(float(values.mean()), *_interval(values, self.measure is _top1), len(values))

    def _outputs(self, module: torch.nn.Module) -> list[torch.Tensor]:
        import torch

        with torch.inference_mode():
            found = [module(*batch) for batch in self.batches]
        outputs = [one[0] if isinstance(one, tuple) else one for one in found]
        if not all(bool(one.isfinite().all()) for one in outputs):
            raise NotFiniteError("its outputs are not finite")
        return [one.float() for one in outputs]

    def _per_sample(self, found: torch.Tensor, wanted: torch.Tensor) -> FloatArray:
        values = self.measure(found, wanted)
        return np.asarray(values.reshape(len(values), -1).double().mean(1))
