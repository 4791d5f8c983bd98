"""INT8 by post-training quantisation, each runtime's by its own quantiser.

Both quantisers take the graph that ``hwnas.backends.export`` writes in fp32, run it on a few batches to see which
ranges its activations take, and put a quantisation and a dequantisation around every layer that the runtime has an int8
kernel for; the runtime fuses the three. Weights are quantised channel by channel, activations tensor by tensor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwnas.backends.backend import Option, Settings
from hwnas.supernets.errors import BackendError, PlatformError
from hwnas.supernets.files import is_folder
from hwnas.supernets.supernet import Stage

__all__ = ["CALIBRATION", "Calibration", "Layers", "calibration_refusal"]

Batch = dict[str, npt.NDArray[np.generic]]

CALIBRATION = Option(
    "calibration", "a folder of images on which int8 is calibrated; by default a random one", holds="images"
)


def calibration_refusal(settings: Settings) -> str | None:
    """Return why the option ``calibration`` cannot be honoured, or ``None`` where it can, or is not given."""
    folder = settings.options.get(CALIBRATION.key)
    if folder is None:
        return None
    if settings.precision != "int8":
        return f"calibration={folder}: nothing is calibrated in {settings.precision}; expected precision=int8"
    return None if is_folder(folder) else f"calibration={folder}: no such folder"


@dataclass(frozen=True)
class Calibration:
    """What a graph is run on to see which ranges its activations take.

    Attributes:
        batches: arrays by the names of the graph's inputs.
        typical: they are of the kind that the network will see, so that what is estimated from their statistics, as the
            shift of a layer's mean by rounding, holds for others too. Without them the stage's example inputs serve:
            ranges of random numbers, good enough for latency, which does not depend on what the ranges are.
    """

    batches: tuple[Batch, ...]
    typical: bool

    @classmethod
    def of(cls, stage: Stage) -> Calibration:
        """Return what ``stage`` is calibrated with.

        Raises:
            BackendError: a batch of another shape than the example inputs, which the graph is made for.
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
    """How many of a loaded graph's convolutions and products run in int8, as its runtime says.

    Attributes:
        int8: those.
        total: all.
    """

    int8: int
    total: int

    def __str__(self) -> str:
        return f"{self.int8} of {self.total}"

    def check(self, runtime: str, stage: str) -> None:
        """Raise ``PlatformError`` where there are layers, and none of them runs in int8."""
        if self.total and not self.int8:
            raise PlatformError(
                f"precision=int8: {runtime} runs none of the {self.total} layers of stage {stage!r} in int8 here"
            )
