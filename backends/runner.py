"""Run a prepared stage on any number of samples, to evaluate a network on its backend instead of in torch."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from hwnas.backends.backend import RunningBackend, Settings, prepared
from hwnas.supernets.errors import BackendError
from hwnas.supernets.supernet import Stage

Arrays = tuple[npt.NDArray[np.generic], ...]


class BatchRunner:
    """Runs any number of samples through a stage, in batches of the stage's own size; a context manager.

    Args:
        backend: runs the stage.
        stage: its example inputs say how many samples a batch has.
        settings: as for ``prepare``.

    Raises:
        PlatformError: settings that cannot be honoured.
        BackendError: the backend refuses the stage, or its sessions keep the inputs that they were made with.
    """

    def __init__(self, backend: RunningBackend, stage: Stage, settings: Settings) -> None:
        self._batch = len(stage.inputs[0])
        # ``feed`` is optional in the protocol of sessions.
        self._session: Any = prepared(backend, stage, settings)
        if not hasattr(self._session, "feed"):
            self._session.close()
            raise BackendError(f"{backend.name}: its sessions take no other inputs than those they were made with")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __call__(self, *inputs: npt.NDArray[np.generic]) -> Arrays:
        """Return the stage's outputs, (n, ...) each, for inputs of ``n`` samples, (n, ...) each."""
        n = len(inputs[0])
        if not n:
            raise BackendError("expected at least one sample")
        parts = [self._run([x[start : start + self._batch] for x in inputs]) for start in range(0, n, self._batch)]
        return tuple(np.concatenate(each) for each in zip(*parts, strict=True))

    def describe(self) -> dict[str, str | int | float | bool]:
        """Return the settings that the session reports."""
        return dict(self._session.describe())

    def close(self) -> None:
        """Release the session."""
        self._session.close()

    def _run(self, inputs: list[npt.NDArray[np.generic]]) -> Arrays:
        """Run one batch; an incomplete batch is padded with its last sample."""
        n = len(inputs[0])
        missing = self._batch - n
        self._session.feed(*(np.concatenate([x, np.repeat(x[-1:], missing, axis=0)]) if missing else x for x in inputs))
        self._session.run()
        # The next run overwrites what a session returns without copying.
        return tuple(np.array(output[:n]) for output in self._session.outputs())
