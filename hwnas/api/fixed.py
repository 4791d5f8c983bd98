"""``hwnas.Fixed``: a fixed model in this process, which worker processes are given as an exported program."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import torch

    from hwnas.supernets.fixed import FixedModel

# A model: in this process, or FILE.py:FUNCTION, FILE.onnx or FILE.pt2.
ModelLike: TypeAlias = "Fixed | str | Path"


@dataclass(frozen=True)
class Fixed:
    """A fixed model to measure side by side with others: a torch module and example inputs.

    Attributes:
        module: is measured in evaluation mode.
        inputs: a tensor or several, whose first dimension is the batch of the platform.
        name: in results.
    """

    module: torch.nn.Module
    inputs: torch.Tensor | tuple[torch.Tensor, ...]
    name: str = "model"

    def saved(self, file: Path) -> FixedModel:
        """Export it into a file, from which a worker process can make it; raises ``UsageError`` if torch cannot."""
        import torch

        from hwnas.supernets.errors import UsageError
        from hwnas.supernets.fixed import FixedModel
        from hwnas.supernets.own_code import explained
        from hwnas.supernets.plug_ins import FAILURES

        if not isinstance(self.module, torch.nn.Module):
            raise UsageError(f"Fixed: expected a torch module, got a {type(self.module).__name__}")
        inputs = self.inputs if isinstance(self.inputs, tuple) else (self.inputs,)
        training = self.module.training
        try:
            with torch.no_grad():
                torch.export.save(torch.export.export(self.module.eval(), inputs), str(file))
        except FAILURES as error:
            raise UsageError(
                f"Fixed {self.name!r}: torch.export cannot export it: {explained(error)}; write a function that "
                "makes it, and give FILE.py:FUNCTION"
            ) from error
        finally:
            self.module.train(training)
        return FixedModel.of(str(file), self.name)


@contextmanager
def made(models: Sequence[ModelLike]) -> Iterator[list[FixedModel]]:
    """Yield models that worker processes can make; files that are written for them are removed afterwards."""
    from hwnas.supernets.fixed import FixedModel
    from hwnas.supernets.given import several

    each: list[ModelLike] = several("models", models, "FILE.onnx")
    with tempfile.TemporaryDirectory(prefix="hwnas-") as folder:
        yield [
            one.saved(Path(folder) / f"{number}.pt2") if isinstance(one, Fixed) else FixedModel.of(str(one))
            for number, one in enumerate(each)
        ]
