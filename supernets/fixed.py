"""A fixed model of the user's own: ``FILE.py:FUNCTION``, ``FILE.onnx`` or ``FILE.pt2``.

The function takes nothing, or the batch size, and returns a torch module and its example inputs. A model is known by
the content of its file.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwnas.supernets.contents import Content, content_digest
from hwnas.supernets.errors import UsageError
from hwnas.supernets.names import check_name
from hwnas.supernets.own_code import explained, load, printing_aside
from hwnas.supernets.plug_ins import FAILURES
from hwnas.supernets.supernet import Stage

if TYPE_CHECKING:
    import torch

# The ends of files that are no Python.
ONNX, PROGRAM = ".onnx", ".pt2"
FORMS = "FILE.py:FUNCTION, FILE.onnx or FILE.pt2"


@dataclass(frozen=True)
class FixedModel:
    """A model that is named, before it is made.

    Attributes:
        spec: ``FILE.py:FUNCTION``, ``FILE.onnx`` or ``FILE.pt2``.
        name: in results.
        content: of the file.
    """

    spec: str
    name: str
    content: Content

    @classmethod
    def of(cls, spec: str, name: str | None = None) -> FixedModel:
        """Return the model of a spec; raises ``UsageError`` if it has another form, or there is no such file."""
        check_name("model", spec if name is None else name)
        file = spec if spec.endswith((ONNX, PROGRAM)) else spec.rpartition(":")[0]
        if not file or (file != spec and not file.endswith(".py")):
            raise UsageError(f"model {spec!r}: expected {FORMS}")
        try:
            digest = content_digest(file)
        except (OSError, ValueError) as error:  # ValueError: a null in the name
            reason = getattr(error, "strerror", None) or error
            raise UsageError(f"model {spec!r}: cannot read the file {file!r}: {reason}") from error
        return cls(spec, name or spec, Content(file, digest))

    @property
    def is_onnx(self) -> bool:
        """Whether it is an ONNX graph, which torch does not run."""
        return self.spec.endswith(ONNX)

    def stage(self, batch: int) -> Stage:
        """Return the model, ready for inference, with example inputs of ``batch`` samples.

        Raises:
            UsageError: the file cannot be read, has no such function, fails, or makes something else than a model.
        """
        try:
            module, inputs, names = self._made(batch)
        except UsageError:
            raise
        except FAILURES as error:  # it is the user's own code, or a file that a library refuses
            raise UsageError(f"model {self.spec!r}: cannot be made: {explained(error)}") from error
        return Stage("network", module, inputs, names)

    def counts(self) -> tuple[int, int]:
        """Return the multiply-accumulates at batch 1 and the parameters; raises ``UsageError`` if it does not run."""
        if self.is_onnx:
            from hwnas.supernets.onnx_file import counts

            return counts(Path(self.content.name))
        return _counted(self)

    def _made(self, batch: int) -> tuple[torch.nn.Module, tuple[torch.Tensor, ...], tuple[str, ...]]:
        if self.is_onnx:
            from hwnas.supernets.onnx_file import OnnxFile

            graph = OnnxFile(Path(self.content.name), batch)
            return graph, graph.examples(), graph.names
        module, inputs = self._exported() if self.spec.endswith(PROGRAM) else self._called(batch)
        inputs = tuple(self._of_size(one, batch) for one in inputs)
        return module, inputs, tuple(f"input{number}" for number in range(len(inputs)))

    def _exported(self) -> tuple[torch.nn.Module, tuple[Any, ...]]:
        import torch

        program = torch.export.load(self.content.name)
        if program.example_inputs is None or program.example_inputs[1]:
            raise UsageError(f"model {self.spec!r}: expected a program with positional example inputs")
        return program.module(), tuple(program.example_inputs[0])

    def _called(self, batch: int) -> tuple[torch.nn.Module, tuple[Any, ...]]:
        import torch

        function = load(self.spec, "model").function
        with printing_aside():
            given = function(batch) if inspect.signature(function).parameters else function()
        if not isinstance(given, tuple) or len(given) != 2 or not isinstance(given[0], torch.nn.Module):
            raise UsageError(
                f"model {self.spec!r}: expected a torch module and its example inputs, like (model, torch.rand(1, 3, "
                f"224, 224)), got a {type(given).__name__}"
            )
        module, inputs = given
        several = tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,)
        if not several or not all(isinstance(one, torch.Tensor) for one in several):
            raise UsageError(f"model {self.spec!r}: expected a tensor or several as example inputs, got {inputs!r:.80}")
        return module.eval(), several

    def _of_size(self, one: torch.Tensor, batch: int) -> torch.Tensor:
        """Return an example input of ``batch`` samples: repeated if it has one, and as it is if it has as many."""
        size = one.shape[0] if one.dim() else 0
        fixed = self.spec.endswith(PROGRAM)
        if size == batch:
            return one
        if size == 1 and not fixed:
            return one.repeat(batch, *[1] * (one.dim() - 1))
        raise UsageError(f"model {self.spec!r}: its inputs are of {size} samples, the platform's batch is {batch}")


def _counted(model: FixedModel) -> tuple[int, int]:
    import torch

    stage = model.stage(_own_batch(model))
    try:
        with torch.no_grad(), _spelled_out() as counter, printing_aside():
            stage.module(*stage.inputs)
    except FAILURES as error:
        raise UsageError(f"model {model.spec!r}: does not run on its example inputs: {explained(error)}") from error
    params = sum(one.numel() for one in stage.module.parameters())
    return counter.get_total_flops() // 2 // stage.inputs[0].shape[0], params


@contextmanager
def _spelled_out() -> Iterator[Any]:
    """Yield torch's counter of operations, while what it has no count of runs as the products that it consists of."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    def recurrent(x: Any, w_ih: Any, w_hh: Any, *_: Any, **__: Any) -> int:
        return int(2 * math.prod(x[:2]) * (math.prod(w_ih) + math.prod(w_hh)))

    # An LSTM is oneDNN's, attention one operator of the CPU's, and an encoder's layer one too.
    layer: Any = torch.ops.aten.mkldnn_rnn_layer
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False, custom_mapping={layer: recurrent}) as counter:
            yield counter
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def _own_batch(model: FixedModel) -> int:
    """Return the batch size of an exported program, which has one of its own; others take 1."""
    if not model.spec.endswith(PROGRAM):
        return 1
    import torch

    try:
        program = torch.export.load(model.content.name)
        return int(program.example_inputs[0][0].shape[0])
    except FAILURES as error:
        raise UsageError(f"model {model.spec!r}: cannot be read: {explained(error)}") from error
