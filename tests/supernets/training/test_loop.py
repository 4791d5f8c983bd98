"""Training learns, and one that was ended in its middle goes on as if it had not been."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from trainable import HardPoints, Points, Sorter

from hwnas.supernets.checkpoints import read_document, read_state_dict
from hwnas.supernets.errors import UsageError, WorkError
from hwnas.supernets.finite import not_finite
from hwnas.supernets.training import SoftTask, TrainingOptions, TrainingTask, checkpoint
from hwnas.supernets.training.loop import train

OPTIONS = TrainingOptions(steps=20, lr=0.1, warmup=3)


def trained(file, options=OPTIONS, **more):
    return train(Sorter(), Points(), options, file, **more)


def same(one, other):
    a, b = read_state_dict(one), read_state_dict(other)
    assert list(a) == list(b)
    return all(torch.equal(a[key], b[key]) for key in a)


def test_the_toy_is_a_task():
    assert isinstance(Points(), TrainingTask)
    assert isinstance(Points(), SoftTask)


@pytest.mark.slow
@pytest.mark.parametrize("sampling", ["sandwich", "uniform"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_it_learns(tmp_path, sampling, optimizer):
    losses = []
    options = replace(OPTIONS, steps=60, sampling=sampling, samples=1, optimizer=optimizer, distillation=0.0)
    done = trained(tmp_path / "w.pt", options, progress=lambda event: losses.append(event.loss))
    assert (done.step, done.steps, len(losses)) == (60, 60, 60)
    assert losses[-1] < 0.8 * losses[0]


def test_every_part_of_the_weights_moves_and_statistics_do(tmp_path):
    trained(tmp_path / "w.pt")
    before, after = Sorter().shared().tensors, read_state_dict(tmp_path / "w.pt")
    still = [key for key in after if torch.equal(before[key], after[key])]
    assert set(still) <= {"0.bias"}  # batch-norm takes away whatever the bias before it adds


@pytest.mark.slow
def test_the_seed_decides(tmp_path):
    trained(tmp_path / "a.pt")
    torch.manual_seed(99)  # whatever others do with torch's generator
    trained(tmp_path / "b.pt")
    trained(tmp_path / "c.pt", replace(OPTIONS, seed=1))
    assert same(tmp_path / "a.pt", tmp_path / "b.pt")
    assert not same(tmp_path / "a.pt", tmp_path / "c.pt")


def test_the_callers_generator_is_left_alone(tmp_path):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    trained(tmp_path / "w.pt")
    assert torch.equal(torch.get_rng_state(), before)


def interrupted_at(step):
    def tell(event):
        if event.step == step:
            raise KeyboardInterrupt

    return tell


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("step", [1, 6, 13])
def test_interrupted_and_resumed_is_as_in_one_go(tmp_path, step, optimizer):
    options = replace(OPTIONS, optimizer=optimizer)
    trained(tmp_path / "whole.pt", options)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "w.pt", options, progress=interrupted_at(step))
    assert checkpoint.read(tmp_path / "w.pt", "sorter").step == step
    trained(tmp_path / "w.pt", options, resume=True)
    assert same(tmp_path / "w.pt", tmp_path / "whole.pt")


@pytest.mark.slow
def test_killed_and_resumed_is_as_in_one_go(tmp_path):
    file = tmp_path / "w.pt"
    script = f"""
import sys, time
sys.path[:0] = {[str(Path(__file__).parents[2] / "stand_ins"), *sys.path]!r}
from trainable import Points, Sorter
from hwnas.supernets.training import TrainingOptions
from hwnas.supernets.training.loop import train
def report(event):
    print(event.step, flush=True)
    time.sleep(0.05)
train(Sorter(), Points(), TrainingOptions(steps=40, lr=0.1, warmup=3), {str(file)!r}, checkpoint_s=0, progress=report)
"""
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    for line in child.stdout:
        if int(line) == 9:
            os.kill(child.pid, signal.SIGKILL)
            break
    child.stdout.close()
    assert child.wait(30) == -signal.SIGKILL
    done = checkpoint.read(file, "sorter")
    assert 8 <= done.step < 40
    read_state_dict(file)
    options = replace(OPTIONS, steps=40)
    trained(file, options, resume=True)
    trained(tmp_path / "whole.pt", options)
    assert same(file, tmp_path / "whole.pt")


def test_a_checkpoint_along_the_way_is_the_super_networks(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "w.pt", progress=interrupted_at(5))
    config = Sorter().space.decode(Sorter().space.smallest())[0]
    assert Sorter().build(config, str(tmp_path / "w.pt"))(torch.zeros(1, 2)).shape == (1, 3)


def test_a_finished_one_forgets_its_optimizer_and_is_left_as_it_is(tmp_path):
    trained(tmp_path / "w.pt")
    assert read_document(tmp_path / "w.pt")["training"]["optimizer"] is None
    before = read_state_dict(tmp_path / "w.pt")
    assert trained(tmp_path / "w.pt", resume=True).step == 20
    after = read_state_dict(tmp_path / "w.pt")
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_starting_from_weights(tmp_path):
    trained(tmp_path / "a.pt")
    trained(tmp_path / "b.pt", replace(OPTIONS, steps=1, lr=1e-12), weights=str(tmp_path / "a.pt"))
    a, b = read_state_dict(tmp_path / "a.pt"), read_state_dict(tmp_path / "b.pt")
    assert torch.allclose(a["0.weight"], b["0.weight"])
    assert not torch.allclose(b["0.weight"], Sorter().shared().tensors["0.weight"])


def test_a_file_that_is_there_is_not_written_over(tmp_path):
    (tmp_path / "w.pt").write_text("precious")
    with pytest.raises(UsageError, match=r"w\.pt: is there already; go on with it by --resume, or name another file"):
        trained(tmp_path / "w.pt")
    assert (tmp_path / "w.pt").read_text() == "precious"


def test_what_cannot_be_resumed(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        trained(tmp_path / "none.pt", resume=True)
    trained(tmp_path / "w.pt")
    with pytest.raises(UsageError, match=r"other settings \(lr was 0.1, is 0.2\)"):
        trained(tmp_path / "w.pt", replace(OPTIONS, lr=0.2), resume=True)
    with pytest.raises(UsageError, match="is a training of sorter, not of other"):
        checkpoint.read(tmp_path / "w.pt", "other")
    torch.save({"state_dict": {}}, tmp_path / "plain.pt")
    with pytest.raises(UsageError, match=r"plain\.pt: holds no training that could go on"):
        trained(tmp_path / "plain.pt", resume=True)
    content = (tmp_path / "w.pt").read_bytes()
    (tmp_path / "half.pt").write_bytes(content[: len(content) // 2])
    with pytest.raises(UsageError, match=r"half.pt.*not a checkpoint"):
        trained(tmp_path / "half.pt", resume=True)


# --- divergence ------------------------------------------------------------------------------------------------------


class Breaking(Points):
    """From the third step on something breaks, in the way that ``how`` says."""

    def __init__(self, how):
        super().__init__()
        self.how = how

    @property
    def broken(self):
        return len(self.seen) > 3

    def inputs(self, batch, config):
        # Batch-norm takes the size out of what it passes on, so the statistics alone become infinite.
        large = self.how == "statistic" and self.broken
        return (batch[0] * 1e25 if large else batch[0],)

    def loss(self, outputs, batch):
        loss = super().loss(outputs, batch)
        if self.broken and self.how in ("nan", "inf", "-inf"):
            return loss * 0 + float(self.how)
        if self.broken and self.how == "gradient":
            return loss + torch.sqrt(outputs.sum() * 0)  # its value is 0, its slope infinite
        return loss * 1e25 if self.broken and self.how == "optimiser" else loss


BREAKS = {
    "nan": "the loss is nan",
    "inf": "the loss is inf",
    "-inf": "the loss is -inf",
    "gradient": r"the gradient of 0\.weight is not finite",
    "statistic": r"1\.running_var is not finite",
    "optimiser": "the optimiser's exp_avg_sq of parameter 0 is not finite",
}


def diverged(file, how, **more):
    # Adam squares gradients: its state overflows while gradients, and so weights, are finite.
    options = replace(OPTIONS, optimizer="adam" if how == "optimiser" else "sgd", distillation=0.0)
    with pytest.raises(WorkError, match=BREAKS[how]) as raised:
        train(Sorter(), Breaking(how), options, file, **more)
    return str(raised.value)


@pytest.mark.parametrize("how", BREAKS)
def test_a_training_that_diverges_keeps_its_last_good_checkpoint(tmp_path, how):
    file = tmp_path / "w.pt"
    words = diverged(file, how, checkpoint_s=0)
    assert f"{file}: the training diverged in step 4 of 20: " in words
    assert "; the file holds the last good checkpoint, of step 3; try a lower learning rate than 0.1" in words
    assert words.endswith(f"or --clip 1, from there by --weights {file} --out OTHER")
    document = read_document(file)
    assert document["training"]["step"] == 3
    tensors = [*document["state_dict"].values()]
    tensors += [one for state in document["training"]["optimizer"]["state"].values() for one in state.values()]
    assert all(torch.as_tensor(one).isfinite().all() for one in tensors)


@pytest.mark.parametrize("how", BREAKS)
def test_one_that_diverges_before_its_first_checkpoint_leaves_no_file(tmp_path, how):
    assert "; no checkpoint had been written; try a lower" in diverged(tmp_path / "w.pt", how)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_after_divergence_it_goes_on_from_the_last_good_checkpoint(tmp_path):
    options = replace(OPTIONS, distillation=0.0)
    diverged(tmp_path / "w.pt", "gradient", checkpoint_s=0)
    assert trained(tmp_path / "w.pt", options, resume=True).step == 20  # whatever it was is away
    trained(tmp_path / "whole.pt", options)
    assert same(tmp_path / "w.pt", tmp_path / "whole.pt")


def test_one_that_diverges_again_after_it_was_resumed_says_so_and_keeps_its_file(tmp_path):
    diverged(tmp_path / "w.pt", "nan", checkpoint_s=0)
    before = (tmp_path / "w.pt").read_bytes()

    class Broken(Points):
        def loss(self, outputs, batch):
            return super().loss(outputs, batch) * float("inf")

    with pytest.raises(WorkError, match=r"diverged in step 4 of 20: the loss is inf; the file holds .* of step 3"):
        train(Sorter(), Broken(), replace(OPTIONS, distillation=0.0), tmp_path / "w.pt", resume=True)
    assert (tmp_path / "w.pt").read_bytes() == before


def test_one_that_diverges_in_its_last_step_is_not_finished(tmp_path):
    options = replace(OPTIONS, steps=4, distillation=0.0)
    with pytest.raises(WorkError, match="diverged in step 4 of 4"):
        train(Sorter(), Breaking("gradient"), options, tmp_path / "w.pt", checkpoint_s=0)
    assert checkpoint.read(tmp_path / "w.pt", "sorter").step == 3


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("changed", [{"lr": 1e30, "warmup": 0}, {"weight_decay": 1e30, "warmup": 0}])
def test_rates_that_are_far_too_high_diverge_in_words(tmp_path, optimizer, changed):
    with pytest.raises(WorkError, match="the training diverged in step"):
        trained(tmp_path / "w.pt", replace(OPTIONS, optimizer=optimizer, **changed))


@pytest.mark.parametrize("key", ["0.weight", "1.running_mean", "1.running_var", "4.bias"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_checkpoint_of_what_is_not_finite_is_never_written(tmp_path, key, value):
    file, weights = tmp_path / "w.pt", Sorter().shared()
    progressed = checkpoint.TrainingState(1, OPTIONS, "points", 0.0, None)
    checkpoint.write(file, weights, "sorter", progressed)
    before = file.read_bytes()
    with torch.no_grad():
        weights.tensors[key].view(-1)[-1] = value
    with pytest.raises(WorkError, match=f"is not written: {key} is not finite"):
        checkpoint.write(file, weights, "sorter", progressed)
    assert file.read_bytes() == before


def test_an_optimizer_that_is_not_finite_is_not_gone_on_with(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "w.pt", progress=interrupted_at(5))
    document = read_document(tmp_path / "w.pt")
    document["training"]["optimizer"]["state"][0]["momentum_buffer"][0] = float("nan")
    torch.save(document, tmp_path / "w.pt")
    with pytest.raises(UsageError, match=r"damaged .the optimiser's momentum_buffer of parameter 0 is not finite"):
        trained(tmp_path / "w.pt", resume=True)


@given(st.lists(st.lists(st.floats(width=32), max_size=5), max_size=4))
def test_tensors_that_are_not_finite_are_named(values):
    named = [(str(number), torch.tensor(one, dtype=torch.float32)) for number, one in enumerate(values)]
    broken = [str(number) for number, one in enumerate(values) if not all(math.isfinite(x) for x in one)]
    assert not_finite([("count", torch.tensor(3)), *named]) == next(iter(broken), None)


def test_without_a_soft_loss_nothing_is_distilled(tmp_path):
    with pytest.raises(UsageError, match="distillation: points has no soft loss; expected 0, got 1"):
        train(Sorter(), HardPoints(), OPTIONS, tmp_path / "w.pt")
    assert train(Sorter(), HardPoints(), replace(OPTIONS, distillation=0.0), tmp_path / "w.pt").step == 20


def test_distillation_alone_needs_no_labels_below_the_largest(tmp_path):
    asked = []

    class Counting(Points):
        def loss(self, outputs, batch):
            asked.append(outputs.shape)
            return super().loss(outputs, batch)

    train(Sorter(), Counting(), replace(OPTIONS, steps=4), tmp_path / "a.pt")
    assert len(asked) == 4  # the largest sub-network's, once a step
    asked.clear()
    train(Sorter(), Counting(), replace(OPTIONS, steps=4, distillation=0.5), tmp_path / "b.pt")
    assert len(asked) > 4


def test_time_is_counted_over_all_runs(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "w.pt", progress=lambda event: (time.sleep(0.02), interrupted_at(10)(event)))
    assert trained(tmp_path / "w.pt", resume=True).elapsed_s > 0.2


@pytest.mark.parametrize("device", ["cuda:99", "gpu", "", "meta", "cpu:1"])
def test_a_device_that_there_is_none_of_is_refused(tmp_path, device):
    with pytest.raises(UsageError, match=rf"device '{device}': this machine has cpu"):
        trained(tmp_path / "w.pt", device=device)


class _OneByOne(Points):
    """Each batch is a single sample."""

    def batches(self, rng, start=0):
        return ((batch[0][:1], batch[1][:1]) for batch in super().batches(rng, start))


def test_a_batch_of_one_sample_is_refused_where_batch_norms_are_trained(tmp_path):
    with pytest.raises(UsageError, match="a batch has one sample, and the network's batch-norms"):
        train(Sorter(), _OneByOne(), OPTIONS, tmp_path / "w.pth")
