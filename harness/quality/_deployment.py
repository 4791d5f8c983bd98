"""Evaluate sub-networks as they will be deployed, such as in int8 on OpenVINO, to see how much accuracy that costs."""

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

# The keys allowed after the path of a source: ``images:photos,backend=openvino,precision=int8``.
KEYS = ("backend", "precision", "threads")


@dataclass(frozen=True)
class Deployment:
    """The platform that sub-networks are evaluated on.

    Attributes:
        platform: with batch size 1; the evaluation chooses its own.
        backend: the platform's backend.
    """

    platform: Platform
    backend: RunningBackend

    @classmethod
    def read(cls, source: str, given: Mapping[str, str]) -> Deployment | None:
        """Parse the deployment options of a quality source; ``None`` if there are none, and torch runs the modules.

        Raises:
            QualityError: no backend is named, or one that only looks up latencies.
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
        """Yield a function from images, (n, channels, height, width), to the outputs, (n, classes), on the platform.

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
