"""Training on Fashion-MNIST and what follows from it, from the command line: the study of docs/training.md in small."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from hwnas import supernets
from hwnas.cli import run
from hwnas.harness import data
from hwnas.harness.data.idx import read_idx
from hwnas.harness.quality import classification
from hwnas.supernets.errors import UsageError
from hwnas.supernets.training import checkpoint

SUPERNET = "ofa-resnet50:r=12+20,classes=10,channels=1,scale=0.125,stem_stride=2"
STEPS = 25


def training(data, out, *more, batch=8):
    settings = {"--lr": "0.2", "--warmup": "10", "--samples": "1", "--distillation": "0"}
    own = [word for option, value in settings.items() if option not in more for word in (option, value)]
    return ["train", SUPERNET, "--data", f"images:{data},batch={batch}", "-o", str(out), *own, "--quiet", *more]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Every command runs in an empty directory of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def images(fashion_mnist, tmp_path_factory):
    """6,000 training and 2,000 test images of Fashion-MNIST: to read all takes longer than most tests do."""
    folder = tmp_path_factory.mktemp("images")
    for part, count in (("train", 6_000), ("t10k", 2_000)):
        for what in ("images-idx3-ubyte", "labels-idx1-ubyte"):
            values = read_idx(fashion_mnist / f"{part}-{what}.gz")[:count]
            shape = np.array(values.shape, ">u4").tobytes()
            (folder / f"{part}-{what}").write_bytes(bytes([0, 0, 8, values.ndim]) + shape + values.tobytes())
    return folder


@pytest.fixture(scope="module")
def weights(images, tmp_path_factory):
    """A super-network that was trained for seconds."""
    file = tmp_path_factory.mktemp("trained") / "w.pt"
    report = file.with_suffix(".json")
    assert run(training(images, file, "--steps", str(STEPS), "--json", str(report), batch=64)) == 0
    told = json.loads(report.read_text())
    assert (told["schema"], told["steps"], told["weights"]) == (1, STEPS, str(file))
    assert told["loss"] < 2.3  # what guessing among ten loses
    return str(file)


def evaluate(weights, data, capsys, *configs):
    chosen = [part for config in configs for part in ("-c", config)]
    quality = ["--quality", f"images:{data}", "--weights", weights, "--images", "500"]
    assert run(["evaluate", SUPERNET, *chosen, *quality, "--json", "-", "--quiet"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.slow
def test_what_was_trained_is_better_than_guessing_and_told_with_its_interval(weights, images, capsys):
    told = evaluate(weights, images, capsys, "min", "max")
    assert (told["quality"]["metric"], told["quality"]["predicted"]) == ("top1", False)
    assert "500 of 2,000 images" in told["quality"]["source"]
    for row in told["evaluations"]:
        assert 20 < row["low"] < row["value"] < row["high"] < 100
        assert (row["n"], row["value"] <= row["others"]["top5"]) == (500, True)


@pytest.mark.slow
def test_a_table_for_people(weights, images, capsys):
    arguments = ["-c", "max", "--quality", f"images:{images}", "--weights", weights, "--images", "200"]
    assert run(["evaluate", SUPERNET, *arguments]) == 0
    shown = capsys.readouterr()
    assert "top1 %" in shown.out
    assert "95 % interval" in shown.out
    assert "top1 measured on 200 of 2,000 images" in " ".join(shown.err.split())


def test_a_predicted_quality_is_evaluated_too(capsys):
    assert run(["evaluate", "ofa-mbv3-w1.0", "-c", "min", "--quality", "surrogate", "--json", "-", "--quiet"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["quality"]["predicted"]
    assert told["evaluations"][0]["value"] == pytest.approx(70.79, abs=0.01)
    assert told["evaluations"][0]["low"] is None


@pytest.mark.slow
def test_searching_what_was_evaluated_is_free(weights, images, capsys, monkeypatch):
    search = ["search", SUPERNET, "-p", "torch:threads=1", "--objective", "macs", "--objective", "top1"]
    search += ["--quality", f"images:{images}", "--weights", weights, "--images", "200"]
    search += ["--algorithm", "random", "--evals", "4", "--json", "-", "--quiet"]
    assert run(search) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["quality"]["predicted"] is False
    for one in first["evaluations"]:
        low, high = one["intervals"]["top1"]
        assert low < one["objectives"]["top1"] < high
    monkeypatch.setattr(classification.Tester, "__call__", lambda *_: pytest.fail("it was tested again"))
    assert run(search) == 0
    again = json.loads(capsys.readouterr().out)
    assert [one["objectives"] for one in again["evaluations"]] == [one["objectives"] for one in first["evaluations"]]


@pytest.mark.slow
def test_a_study_is_not_resumed_with_other_weights(weights, images, capsys, tmp_path):
    search = ["search", SUPERNET, "-p", "torch:threads=1", "--objective", "macs", "--objective", "top1", "--study", "s"]
    search += ["--quality", f"images:{images}", "--images", "50", "--algorithm", "random", "--quiet"]
    assert run([*search, "--weights", weights, "--evals", "2"]) == 0
    other = tmp_path / "other.pt"
    assert run(training(images, other, "--steps", "1")) == 0
    assert run([*search, "--weights", str(other), "--evals", "3", "--resume"]) == 2
    assert "cannot be resumed with other settings" in " ".join(capsys.readouterr().err.split())


@pytest.mark.slow
def test_killed_with_kill_9_and_resumed(images, tmp_path):
    file = tmp_path / "w.pt"
    command = training(images, file, "--steps", "12", "--checkpoint-every", "0")
    child = subprocess.Popen([sys.executable, "-m", "hwnas", *command], env={**os.environ, "OMP_NUM_THREADS": "1"})
    deadline = time.monotonic() + 60
    while not file.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    assert child.wait(30) == -signal.SIGKILL
    done = checkpoint.read(file, SUPERNET)
    assert 0 < done.step < 12
    assert run([*command, "--resume"]) == 0
    assert checkpoint.read(file, SUPERNET).step == 12


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--epochs", "1"], "expected one of --epochs and --steps, got both"),
        (["--resume"], "w.pt: there is no training to resume; leave --resume out to begin one"),
        (["--sampling", "sandwhich"], "did you mean 'sandwich'"),
        (["--weights", "none.pt"], "none.pt': no such file"),
    ],
)
def test_refusals(images, capsys, more, message):
    assert run(training(images, "w.pt", "--steps", "1", *more)) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not Path("w.pt").exists()


def test_a_checkpoint_that_cannot_be_written_is_refused_before_the_training(images, capsys):
    assert run(training(images, "nowhere/w.pt", "--steps", "1")) == 2
    assert "cannot write 'nowhere/w.pt': there is no directory" in " ".join(capsys.readouterr().err.split())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "value"),
    [("--lr", "inf"), ("--lr", "nan"), ("--epochs", "inf"), ("--epochs", "nan"), ("--epochs", "1e300"),
     ("--clip", "nan"), ("--weight-decay", "inf"), ("--distillation", "nan"), ("--checkpoint-every", "nan")],
)  # fmt: skip
def test_numbers_that_are_none_are_wrong_arguments(images, capsys, option, value):
    arguments = ["train", SUPERNET, "--data", f"images:{images}", "-o", "w.pt", "--quiet", option, value]
    assert run(arguments) == 2
    assert option.strip("-").replace("-", "_") in capsys.readouterr().err.replace("-", "_")
    assert not Path("w.pt").exists()


@pytest.mark.slow
def test_a_training_that_diverges_has_failed_in_one_line(images, capsys):
    assert run(training(images, "w.pt", "--steps", "3", "--lr", "1e30", "--warmup", "0")) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: w.pt: the training diverged in step ")
    assert "no checkpoint had been written; try a lower learning rate than 1e+30" in line
    assert not Path("w.pt").exists()


def test_a_super_network_that_cannot_be_trained():
    class Plain:
        name = "plain"

    with pytest.raises(UsageError, match="plain: cannot be trained, it names no kind of data"):
        data.get("images:x", Plain())


# --- the study --------------------------------------------------------------------------------------------------------


@pytest.fixture
def study_module(load_script):
    return load_script("training_study")


@pytest.mark.slow
def test_the_study_in_small(study_module, weights, images, tmp_path, monkeypatch):
    monkeypatch.setattr(study_module, "SUBNETWORKS", 6)
    study = study_module.TrainingStudy(supernets.get(SUPERNET), str(images), tmp_path)
    study.weights.write_bytes(Path(weights).read_bytes())
    study.accuracy()
    rows = json.loads(study.halves.read_text())
    values = np.array([row["halves"] for row in rows])
    assert len(rows) == 8
    assert (values > 15).all()
    # Even after seconds of training the two halves of the test images tell the same about sub-networks.
    assert study_module.tau(values[:, 0], values[:, 1]) > 0.5
    lines = list(study_module.accuracy_table(rows))
    assert any(line.startswith("Kendall tau between the halves: ") for line in lines)


@pytest.mark.slow
def test_the_studys_training_is_not_repeated(study_module, images, tmp_path):
    study = study_module.TrainingStudy(supernets.get(SUPERNET), str(images), tmp_path)
    study.train(2 / 46)
    first = json.loads(study.training.read_text())
    study.train(2 / 46)
    assert checkpoint.read(study.weights, SUPERNET).step == 2
    assert first["options"]["steps"] == 2
