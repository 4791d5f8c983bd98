"""Train a super-network: sample sub-networks in each step, and update their slices of the shared weights.

All randomness of a step follows from the seed and the step's number. So a training that is resumed from a checkpoint,
which has only the weights and the optimiser's state, does the same as an uninterrupted one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.supernets.contents import Contents
from hwnas.supernets.errors import UsageError, WorkError
from hwnas.supernets.finite import not_finite
from hwnas.supernets.space import Config
from hwnas.supernets.training import checkpoint
from hwnas.supernets.training.checkpoint import TrainingState
from hwnas.supernets.training.interruption import put_off
from hwnas.supernets.training.modes import trained
from hwnas.supernets.training.options import TrainingOptions
from hwnas.supernets.training.same import begun_with, check_same
from hwnas.supernets.training.sampling import Sampling
from hwnas.supernets.training.schedule import learning_rate
from hwnas.supernets.training.task import AccompaniedTask, Batch, SoftTask, TrainingTask
from hwnas.supernets.writing import is_stream, write_file

if TYPE_CHECKING:
    import torch

    from hwnas.supernets.shared import SharedWeights, Trainable

# Seconds between checkpoints, which is how much training a power cut may lose.
CHECKPOINT_S = 60.0

# The loss that is shown is the mean over about this many steps.
_MEMORY = 50
# What torch says where a batch-norm has nothing to take a mean of.
_ONE_VALUE = "more than 1 value per channel"
# Streams of random numbers that follow from the seed.
_ORDER, _SUBNETWORKS, _TORCH = range(3)


@dataclass(frozen=True)
class TrainingProgress:
    """How far a training has come.

    Attributes:
        step: steps done.
        steps: all of them.
        loss: the mean over the last steps and their sub-networks.
        lr: the learning rate.
        elapsed_s: seconds, of all runs of this training.
    """

    step: int
    steps: int
    loss: float
    lr: float
    elapsed_s: float


def train(  # noqa: PLR0913 - all but the first four are options by name
    net: Trainable,
    task: TrainingTask,
    options: TrainingOptions,
    file: str | Path,
    *,
    resume: bool = False,
    weights: str | None = None,
    device: str = "cpu",
    checkpoint_s: float = CHECKPOINT_S,
    progress: Callable[[TrainingProgress], None] | None = None,
) -> TrainingProgress:
    """Train a super-network's shared weights.

    Args:
        net: the super-network.
        task: what it is trained on.
        options: how it is trained.
        file: the checkpoint, written every ``checkpoint_s`` seconds and at the end, completely or not at all.
        resume: go on with the training in ``file``, which must have the same options and data.
        weights: a checkpoint to start from; ``None``: weights drawn from the seed. A resumed training has weights
            already; if this is given all the same, it has to be the checkpoint that the training started from.
        device: "cpu", "cuda", "cuda:1".
        checkpoint_s: seconds between checkpoints.
        progress: is called after each step.

    Returns:
        Where the training ended.

    Raises:
        UsageError: ``file`` exists and is not to be resumed, or is another training.
        WorkError: the training diverged: the loss, a gradient, a weight, a statistic or the optimiser's state is not
            finite. ``file`` is the last checkpoint before that, if there was one.
    """
    if options.distillation > 0 and not isinstance(task, SoftTask):
        raise UsageError(f"distillation: {task.name} has no soft loss; expected 0, got {options.distillation:g}")
    run = _Run(net, task, options, Path(file), device)
    run.begin(resume, weights)
    return run.go(checkpoint_s, progress or (lambda _: None))


def _device(name: str) -> torch.device:
    """Return the device of that name; raises ``UsageError`` that lists the devices of this machine."""
    import torch

    there = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    if name not in {*there, *(["cuda"] if len(there) > 1 else [])}:
        raise UsageError(f"device {name!r}: this machine has {', '.join(there)}")
    return torch.device(name)


class _Run:
    """One call of ``train``: the weights, the optimiser, and how far they are."""

    def __init__(self, net: Trainable, task: TrainingTask, options: TrainingOptions, file: Path, device: str) -> None:
        self._net, self._task, self._options, self._file = net, task, options, file
        # Only the final checkpoint is written to a pipe or a device, where nothing can be replaced or resumed.
        self._stream = is_stream(file)
        self._device = _device(device)
        self._sampling = Sampling(net.space, options, getattr(net, "shrinking", None))
        self._weights: SharedWeights
        self._optimizer: torch.optim.Optimizer
        self._step = 0
        self._stored_step: int | None = None  # the step of the checkpoint in the file
        self._before_s = 0.0
        self._contents: Contents | None = None
        self._started = time.perf_counter()

    def begin(self, resume: bool, weights: str | None) -> None:
        """Load the weights: of the training to resume, of a checkpoint, or newly drawn ones."""
        done = self._done(resume, weights)
        self._contents = begun_with(self._task, weights) if done is None else done.contents
        self._weights = self._net.shared(weights if done is None else str(self._file), self._options.seed)
        for key, tensor in self._weights.tensors.items():
            moved = tensor.detach().to(self._device).requires_grad_(tensor.requires_grad)
            self._weights.tensors[key] = moved
        self._optimizer = _optimizer(self._options, self._weights.parameters())
        if done is not None:
            self._step, self._before_s = done.step, done.elapsed_s
            self._stored_step = done.step
            self._go_on(done)
        if isinstance(self._task, AccompaniedTask) and not self._stream:
            self._accompany(self._task.companions, begun=done is not None)

    def _go_on(self, done: TrainingState) -> None:
        if done.optimizer is None:
            return
        try:
            self._optimizer.load_state_dict(done.optimizer)
            broken = not_finite(checkpoint.optimizer_tensors(done.optimizer))
        except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise UsageError(f"{self._file}: its training is damaged ({error!r})") from error
        if broken is not None:
            raise UsageError(f"{self._file}: its training is damaged ({broken} is not finite)")

    def _accompany(self, companions: Mapping[str, bytes], begun: bool) -> None:
        """Write the task's own files beside the checkpoint; those of a resumed training have to be unchanged."""
        for suffix, content in companions.items():
            file = self._file.with_suffix(suffix)
            if not (begun and file.exists()):
                write_file(file, content)
            elif file.read_bytes() != content:
                raise UsageError(f"{file}: was made from other data; the training can go on with what it began with")

    def _done(self, resume: bool, weights: str | None) -> TrainingState | None:
        if not resume:
            if self._file.exists() and not self._stream:
                raise UsageError(f"{self._file}: is there already; go on with it by --resume, or name another file")
            return None
        done = checkpoint.read(self._file, self._net.name)
        return check_same(self._file, done, self._task, self._options, weights)

    # --- steps -------------------------------------------------------------------------------------------------------

    def go(self, checkpoint_s: float, on_progress: Callable[[TrainingProgress], None]) -> TrainingProgress:
        """Train to the last step; write a checkpoint in any case, even when interrupted."""
        import torch

        stored_at, loss = time.perf_counter(), float("nan")
        made = self._progress(loss)
        try:
            for batch in self._batches():
                # Dropout draws from torch's own generator; the caller's is left as it was.
                with put_off(), torch.random.fork_rng(devices=[]):
                    loss = _smoothed(loss, self._train_on(batch))
                    self._step += 1
                made = self._progress(loss)
                on_progress(made)
                if not self._stream and time.perf_counter() - stored_at >= checkpoint_s:
                    self._store_checkpoint()
                    stored_at = time.perf_counter()
        except KeyboardInterrupt:
            self._store_checkpoint()
            raise
        self._store_checkpoint()
        return made

    def _batches(self) -> Iterator[Batch]:
        """Yield a batch for each remaining step, epoch after epoch."""
        per_epoch = self._task.batches_per_epoch
        while self._step < self._options.steps:
            epoch, start = divmod(self._step, per_epoch)
            for batch in self._task.batches(self._rng(_ORDER, epoch), start):
                yield tuple(tensor.to(self._device) for tensor in batch)
                if self._step >= self._options.steps:
                    return

    def _train_on(self, batch: Batch) -> float:
        """Do one step on one batch; return the mean loss of its sub-networks."""
        import torch

        torch.manual_seed(int(self._rng(_TORCH, self._step).integers(2**63)))
        X = self._sampling.draw(self._step, self._rng(_SUBNETWORKS, self._step))
        self._optimizer.zero_grad(set_to_none=True)
        total, teacher = 0.0, None
        for number, config in enumerate(self._net.space.decode(X)):
            outputs = self._outputs(config, batch)
            loss = self._loss(outputs, batch, teacher)
            # The mean over sub-networks, so that the learning rate does not depend on their number.
            (loss / len(X)).backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
            if number == 0 and self._sampling.with_largest and self._options.distillation > 0:
                teacher = _detached(outputs)
        if not np.isfinite(total):
            raise self._diverged(f"the loss is {total}")
        self._update()
        self._check()
        return total / len(X)

    def _outputs(self, config: Config, batch: Batch) -> Any:
        import torch

        from hwnas.supernets.recorded import make_on

        module = trained(self._net.module(config), self._task)
        if self._device.type != "cpu":
            make_on(module, self._device)
        try:
            return torch.func.functional_call(module, self._weights.state(config), self._task.inputs(batch, config))
        except ValueError as error:
            if _ONE_VALUE not in str(error):
                raise
            raise UsageError(
                f"{self._task.name}: a batch has one sample, and the network's batch-norms are trained on several"
            ) from error

    def _loss(self, outputs: Any, batch: Batch, teacher: Any) -> torch.Tensor:
        share = self._options.distillation
        if teacher is None or not isinstance(self._task, SoftTask):
            return self._task.loss(outputs, batch)
        soft = share * self._task.soft_loss(outputs, teacher)
        return soft if share == 1 else soft + (1 - share) * self._task.loss(outputs, batch)

    def _update(self) -> None:
        import torch

        if self._options.clip is not None:
            torch.nn.utils.clip_grad_norm_(self._weights.parameters(), self._options.clip)
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate(self._options, self._step)
        self._optimizer.step()

    def _check(self) -> None:
        """Raise ``WorkError`` if something is not finite after this step."""
        weights, optimizer = self._weights.changing(), self._optimizer.state_dict()
        broken = not_finite([*weights, *checkpoint.optimizer_tensors(optimizer)])
        if broken is not None:
            gradients = ((f"the gradient of {key}", one.grad) for key, one in weights if one.grad is not None)
            raise self._diverged(f"{not_finite(gradients) or broken} is not finite")

    def _diverged(self, what: str) -> WorkError:
        options, file = self._options, self._file
        clip = "--clip 1" if options.clip is None else f"a smaller --clip than {options.clip:g}"
        remedy = f"try a lower learning rate than {options.lr:g}, a longer warm-up than {options.warmup}, or {clip}"
        if self._stored_step is None:
            remains = f"no checkpoint had been written; {remedy}"
        else:
            remains = (
                f"the file holds the last good checkpoint, of step {self._stored_step}; {remedy}, from there by "
                f"--weights {file} --out OTHER"
            )
        return WorkError(
            f"{file}: the training diverged in step {self._step + 1} of {options.steps}: {what}; {remains}"
        )

    # --- bookkeeping -------------------------------------------------------------------------------------------------

    def _rng(self, stream: int, number: int) -> np.random.Generator:
        return np.random.default_rng([self._options.seed, stream, number])

    def _elapsed_s(self) -> float:
        return self._before_s + time.perf_counter() - self._started

    def _progress(self, loss: float) -> TrainingProgress:
        lr = learning_rate(self._options, max(0, self._step - 1))
        return TrainingProgress(self._step, self._options.steps, loss, lr, self._elapsed_s())

    def _store_checkpoint(self) -> None:
        finished = self._step >= self._options.steps
        optimizer = None if finished else self._optimizer.state_dict()
        progressed = TrainingState(
            self._step, self._options, self._task.name, self._elapsed_s(), optimizer, self._contents
        )
        checkpoint.write(self._file, self._weights, self._net.name, progressed)
        self._stored_step = self._step


def _optimizer(options: TrainingOptions, parameters: list[torch.Tensor]) -> torch.optim.Optimizer:
    import torch

    # Biases and batch-norm's scales and shifts are vectors. Decaying them towards 0 takes channels away.
    groups = [
        {"params": [one for one in parameters if one.dim() > 1], "weight_decay": options.weight_decay},
        {"params": [one for one in parameters if one.dim() <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if options.optimizer == "adam":
        return torch.optim.AdamW(groups, lr=options.lr, betas=(options.momentum, 0.999))
    return torch.optim.SGD(groups, lr=options.lr, momentum=options.momentum, nesterov=options.momentum > 0)


def _detached(outputs: Any) -> Any:
    if isinstance(outputs, tuple):
        return tuple(_detached(one) for one in outputs)
    return outputs.detach()


def _smoothed(mean: float, loss: float) -> float:
    return loss if mean != mean else mean + (loss - mean) / _MEMORY  # noqa: PLR0124 - nan is not itself
