"""Run sub-networks where they are to be deployed, in int8 on OpenVINO for one, to see what accuracy that costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hwnas import backends
from hwnas.backends.backend import RunningBackend
from hwnas.backends.runner import BatchRunner
from hwnas.harness.platform import Platform, parse
from hwnas.supernets.errors import QualityError
from hwnas.supernets.supernet import Stage

if TYPE_CHECKING:
    import torch

# What may stand behind the path of a source: ``images:photos,backend=openvino,precision=int8``.
KEYS = ("backend", "precision", "threads")


@dataclass(frozen=True)
class Deployment:
    """A platform that sub-networks are run on.

    Attributes:
        platform: with one sample per batch; what runs on it decides how many.
        backend: the platform's.
    """

    platform: Platform
    backend: RunningBackend

    @classmethod
    def read(cls, source: str, given: Mapping[str, str]) -> Deployment | None:
        """Return what the options of a quality source ask for; ``None``: nothing, the torch module is run.

        Raises:
            QualityError: no backend is named, or one that knows latencies and runs nothing.
            PlatformError: settings that the backend cannot honour here.
        """
        if not given:
            return None
        name = given.get("backend")
        if name is None:
            options = ",".join(f"{key}={value}" for key, value in given.items())
            raise QualityError(f"{source}: {options}: expected backend=NAME with it, like backend=onnxruntime")
        settings = ",".join(f"{key}={value}" for key, value in given.items() if key != "backend")
        platform = parse(f"{name}:{settings}" if settings else name)
        backend = backends.get(platform.backend)
        if not isinstance(backend, RunningBackend):
            raise QualityError(f"{source}: backend={name}: knows latencies and runs nothing")
        return cls(platform, backend)

    def __str__(self) -> str:
        versions = ", ".join(f"{package} {version}" for package, version in self.backend.versions().items())
        return f"{self.platform} ({versions})"

    @contextmanager
    def running(
        self, module: torch.nn.Module, calibration: list[torch.Tensor]
    ) -> Iterator[Callable[[torch.Tensor], torch.Tensor]]:
        """Give a function that runs images, (n, channels, height, width), and returns the outputs, (n, classes).

        Args:
            module: in evaluation mode.
            calibration: batches of images of one shape, which becomes the shape of a batch on the backend.
        """
        import torch

        batches = tuple((images.contiguous(),) for images in calibration)
        stage = Stage("network", module, batches[0], ("images",), calibration=batches)
        settings = replace(self.platform.settings, batch=len(batches[0][0]))
        with BatchRunner(self.backend, stage, settings) as run:
            yield lambda images: torch.from_numpy(run(images.contiguous().numpy())[0])
