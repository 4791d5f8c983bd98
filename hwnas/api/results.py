"""What the public functions return: results that can be looked at, plotted, tabulated, written and exported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from hwnas.api import frames
from hwnas.harness.measurement.measurement import Measurement
from hwnas.harness.measurement.shown import html_of
from hwnas.search.study import open_study
from hwnas.search.study import result as studies
from hwnas.search.transfer import result as transfers
from hwnas.supernets.errors import UsageError
from hwnas.supernets.shown import counted

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

    from hwnas.search.deploy.write import Deployed
    from hwnas.supernets.supernet import SuperNetwork


class Measurements(list[Measurement]):
    """Measurements in the order in which they were asked for: a list that shows itself.

    Attributes:
        environment: of the measuring machine.
    """

    def __init__(self, measurements: list[Measurement], environment: Mapping[str, Any]) -> None:
        super().__init__(measurements)
        self.environment = dict(environment)

    def __repr__(self) -> str:
        lines = "".join(f"\n  {one!r}" for one in self)
        return f"<{counted(len(self), 'measurement')}>{lines}"

    def _repr_html_(self) -> str:
        return html_of(self)

    def to_json(self, *, samples: bool = False) -> dict[str, Any]:
        """Return the JSON of ``hwnas profile``; with ``samples``, the raw ones too."""
        rows = [one.to_json(samples=samples) for one in self]
        return {"schema": 1, "environment": self.environment, "measurements": rows}

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per measurement; raises ``UsageError`` where pandas is not installed."""
        return frames.frame(frames.of_measurements(self))

    def plot(self) -> go.Figure:
        """Return a Plotly figure of each network's latency on each platform, with its interval."""
        from hwnas.search.report.drawn import profile_figure

        return profile_figure(self.to_json()["measurements"])

    def report(self, path: str | Path) -> None:
        """Write one self-contained HTML page; raises ``OutputError`` where that is not possible."""
        from hwnas.harness.measurement.percentiles import explained
        from hwnas.search.report import profile_page

        if not self:
            raise UsageError("report: there is no measurement")
        found = self.to_json(samples=True)
        for row, one in zip(found["measurements"], self, strict=True):
            row["statistic_in_words"] = explained(one)
        _write(path, profile_page(found))


@dataclass(frozen=True, repr=False)
class Study(studies.Study):
    """A search with a name, as far as it has come.

    ``evaluations`` are all sub-networks that it evaluated, in order. ``front`` has those that no other one beats in all
    objectives; each has ``config``, ``key``, ``objectives`` (values by name) and ``intervals``. ``hypervolume`` is the
    measure of the front, ``stopped`` says why it ended.
    """

    _net: SuperNetwork | None = field(default=None, compare=False)

    @classmethod
    def of(cls, study: studies.Study, net: SuperNetwork | None = None) -> Self:
        """Return a study with these methods.

        Args:
            study: as ``hwnas.search.study`` makes it.
            net: its super-network; ``None``: it is made by its name where it is needed.
        """
        return cls(**{one.name: getattr(study, one.name) for one in fields(studies.Study) if one.init}, _net=net)

    def __getstate__(self) -> dict[str, Any]:
        # Super-networks hold functions, which are not pickled: it is made by its name where it is needed.
        return {**vars(self), "_net": None}

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per evaluation, counts whole; raises ``UsageError`` where pandas is not installed."""
        return frames.frame(frames.of_study(self))

    def plot(self, x: str | None = None, y: str | None = None) -> go.Figure:
        """Return a Plotly figure of all evaluations and the front.

        Args:
            x: the objective across; ``None``: the first that is minimised.
            y: the objective upwards; ``None``: another.

        Raises:
            UsageError: the study has no such objective, or only one.
        """
        from hwnas.search.report.drawn import study_figure

        return study_figure(self.to_json(), x, y)

    def report(self, path: str | Path) -> None:
        """Write one self-contained HTML page; raises ``OutputError`` where that is not possible."""
        from hwnas.search.report import search_page

        _write(path, search_page(self.to_json()))

    def to_csv(self, path: str | Path) -> None:
        """Write one row per evaluation, as ``hwnas export --csv`` does; raises ``OutputError`` where it cannot."""
        import io

        from hwnas.search.deploy.table import write_csv

        text = io.StringIO(newline="")
        write_csv(self, text)
        _write(path, text.getvalue())

    def export(
        self,
        folder: str | Path,
        *,
        front: int = 1,
        form: str = "onnx",
        weights: str | Path | None = None,
        batch: int | None = None,
    ) -> Deployed:
        """Write one sub-network of the front so that it can be deployed, with a README of its figures.

        Args:
            folder: where; it is made if it is not there.
            front: which, from 1, in the order of the first objective.
            form: "onnx", "openvino" or "torch".
            weights: the file of the super-network's weights; ``None``: the one with which the study measured quality,
                or else the model's own weights, or random ones, good for timing only.
            batch: samples per inference; ``None``: those of the study's platform.

        Returns:
            The names of the files.

        Raises:
            UsageError: there is no such form or sub-network, nothing can be written into the folder, or the file of the
                study's weights is not there any more.
            BackendError: the sub-network cannot be written in that form.
        """
        from hwnas.api.opening import network
        from hwnas.search.deploy.write import deploy

        net = network(self.supernet) if self._net is None else self._net
        return deploy(net, self, front, form, folder, None if weights is None else str(weights), batch)


class OpenStudy(open_study.OpenStudy):
    """A study whose loop is the caller's; ``hwnas.create_study`` opens it."""

    def result(self) -> Study:
        """Return the study as far as it has come, as ``hwnas.search`` returns it."""
        return Study.of(super().result(), self._plan.net)


@dataclass(frozen=True, repr=False)
class TransferResult(transfers.TransferResult):
    """How well what was found on one platform carries over to the others; ``words()`` says it in sentences."""

    @classmethod
    def of(cls, result: transfers.TransferResult) -> Self:
        """Return a result with these methods."""
        return cls(**{one.name: getattr(result, one.name) for one in fields(transfers.TransferResult)})

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per pair of platforms; raises ``UsageError`` where pandas is not installed."""
        return frames.frame(frames.of_transfer(self))

    def plot(self, platform: str | None = None) -> go.Figure:
        """Return a Plotly figure of every platform's front as it was measured on one of them.

        Args:
            platform: on which; ``None``: the first.

        Raises:
            UsageError: it has no such platform.
        """
        from hwnas.harness.platform import parse
        from hwnas.search.report.drawn import transfer_figure

        known = platform is None or platform in self.rows.platforms
        return transfer_figure(self.to_json(), platform if known else str(parse(str(platform))))

    def report(self, path: str | Path) -> None:
        """Write one self-contained HTML page; raises ``OutputError`` where that is not possible."""
        from hwnas.search.report import transfer_page

        _write(path, transfer_page(self.to_json()))


def _write(path: str | Path, text: str) -> None:
    from hwnas.supernets.writing import check_file, write_file

    check_file(str(path))
    write_file(str(path), text.encode(errors="backslashreplace"))
