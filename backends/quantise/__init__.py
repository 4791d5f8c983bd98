"""Quantise graphs to INT8 after training.

All take the fp32 graph that ``hwnas.backends.export`` writes, and quantise weights per channel, activations per tensor
(OpenVINO in dynamic quantisation: per group of channels).

- *Static* quantisation runs the graph on a few batches to find the ranges of its activations, and puts a quantisation
  and a dequantisation around every layer that the runtime has an int8 kernel for; the runtime fuses the three. The
  quantiser is the one that belongs to each runtime.
- *Dynamic* quantisation rounds the weights of products, and each activation by its own range as it is computed. It
  needs no batches, and is how language models are deployed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwnas.backends.backend import Option, Settings
from hwnas.supernets.errors import BackendError, PlatformError
from hwnas.supernets.files import is_folder
from hwnas.supernets.supernet import DYNAMIC, STATIC, Stage

__all__ = ["CALIBRATION", "QUANTISATION", "Calibration", "Layers", "int8_refusal", "is_dynamic"]

Batch = dict[str, npt.NDArray[np.generic]]

CALIBRATION = Option(
    "calibration", "a folder of images on which int8 is calibrated; by default a random one", holds="images"
)


QUANTISATION = Option(
    "quantisation",
    "int8's ranges of activations: fixed beforehand, or of each as it is computed; default: the super-network's",
    (STATIC, DYNAMIC),
)


def int8_refusal(settings: Settings) -> str | None:
    """Return why the options of int8 cannot be honoured, or ``None`` if they can or are not given."""
    folder, kind = settings.options.get(CALIBRATION.key), settings.options.get(QUANTISATION.key)
    for key, value in ((CALIBRATION.key, folder), (QUANTISATION.key, kind)):
        if value is not None and settings.precision != "int8":
            return f"{key}={value}: nothing is quantised in {settings.precision}; expected precision=int8"
    if folder is None:
        return None
    if kind == DYNAMIC:
        return f"calibration={folder}: dynamic quantisation needs no data; leave one of the two out"
    return None if is_folder(folder) else f"calibration={folder}: no such folder"


def is_dynamic(stage: Stage, settings: Settings) -> bool:
    """Return whether a stage's activations are quantised as they are computed."""
    return settings.precision == "int8" and settings.options.get(QUANTISATION.key, stage.quantisation) == DYNAMIC


@dataclass(frozen=True)
class Calibration:
    """The inputs on which a graph is run to find the ranges of its activations.

    Attributes:
        batches: arrays by the names of the graph's inputs.
        typical: they are real data, so that statistics estimated on them, such as the shift of a layer's mean by
            rounding, hold for other inputs too. Otherwise they are the stage's random example inputs, which are good
            enough for latency, since it does not depend on the ranges.
    """

    batches: tuple[Batch, ...]
    typical: bool

    @classmethod
    def of(cls, stage: Stage) -> Calibration:
        """Return the calibration inputs of ``stage``.

        Raises:
            BackendError: a batch does not have the shape of the example inputs, which the graph is made for.
        """
        expected = [tuple(x.shape) for x in stage.inputs]
        for batch in stage.calibration:
            found = [tuple(x.shape) for x in batch]
            if found != expected:
                raise BackendError(f"stage {stage.name!r}: calibration inputs of shapes {found}, expected {expected}")
        batches = stage.calibration or (stage.inputs,)
        arrays = ([np.ascontiguousarray(x.detach().numpy()) for x in batch] for batch in batches)
        named = tuple(dict(zip(stage.input_names, batch, strict=True)) for batch in arrays)
        return cls(named, bool(stage.calibration))


@dataclass(frozen=True)
class Layers:
    """How many convolutions and products of a loaded graph run in int8, according to its runtime.

    Attributes:
        int8: how many run in int8.
        total: how many there are.
    """

    int8: int
    total: int

    def __str__(self) -> str:
        return f"{self.int8} of {self.total}"

    def check(self, runtime: str, stage: str) -> None:
        """Raise ``PlatformError`` if there are layers but none of them runs in int8."""
        if self.total and not self.int8:
            raise PlatformError(
                f"precision=int8: {runtime} runs none of the {self.total} layers of stage {stage!r} in int8 here"
            )
