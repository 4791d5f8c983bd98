"""A sub-network of a front, written so that it can be deployed: what is written computes what torch computes."""

from __future__ import annotations

import ast
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hwnas import supernets
from hwnas.backends.outputs import TOLERANCES
from hwnas.harness import quality
from hwnas.harness.quality import QualityOptions
from hwnas.search.deploy import write as deploying
from hwnas.search.deploy.check import check_written, fresh_inputs
from hwnas.search.deploy.readme import _stage
from hwnas.search.deploy.write import deploy, of_front
from hwnas.search.objectives import Directions
from hwnas.search.study.archive import Archive, Evaluation
from hwnas.search.study.result import Study
from hwnas.supernets.contents import content_digest
from hwnas.supernets.errors import BackendError, NotFiniteError, UsageError
from hwnas.supernets.supernet import Stage

NET = supernets.get("ofa-mbv3-w1.0:r=128")
LABELS = [("latency", "ms", False), ("top1", "%", True)]


@pytest.fixture
def study():
    return made(NET, {"metric": "top1", "predicted": True, "note": "a prediction"})


def made(net, source):
    X = np.concatenate([net.space.largest(), net.space.smallest(), net.space.sample(1, 0)])
    values = [(3.0, 76.0), (1.0, 70.0), (5.0, 60.0)]  # the last is on no front
    archive = Archive([name for name, _, _ in LABELS], Directions([maximise for _, _, maximise in LABELS]))
    evaluations = [
        Evaluation(
            index,
            0,
            tuple(x),
            net.space.decode(x[None])[0],
            net.space.keys(x[None])[0],
            dict(zip(("latency", "top1"), value, strict=True)),
            "ok",
            intervals={"latency": (value[0] - 0.01, value[0] + 0.01)},
        )
        for index, (x, value) in enumerate(zip(X, values, strict=True))
    ]
    archive.add(evaluations)
    return Study(
        name="nightly",
        settings={
            "supernet": net.name,
            "platform": "torch:threads=1,batch=2",
            "algorithm": "linas",
            "objectives": [{"name": n, "unit": u, "maximise": m} for n, u, m in LABELS],
            "constraints": [],
        },
        facts={
            "quality": source,
            "environment": {"cpu": {"model": "Some CPU"}},
            "reference": {"latency": None, "top1": None},
        },
        archive=archive,
        time_s={"measure": 1.0, "search": 1.0, "total": 2.0},
    )


def by_onnx(folder, x):
    import onnxruntime

    session = onnxruntime.InferenceSession(folder / "network.onnx")
    return session.run(None, {session.get_inputs()[0].name: x.numpy()})[0]


def by_openvino(folder, x):
    from hwnas.backends.openvino_core import shared_core

    compiled = shared_core().compile_model(folder / "network.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return compiled(x.numpy())[0]


def by_torch(folder, x):
    return torch.export.load(folder / "network.pt2").module()(x).detach().numpy()


@pytest.mark.slow
@pytest.mark.parametrize(("form", "run"), [("onnx", by_onnx), ("openvino", by_openvino), ("torch", by_torch)])
def test_what_is_written_computes_what_the_sub_network_computes(study, tmp_path, form, run):
    pytest.importorskip({"onnx": "onnxruntime"}.get(form, form))
    written = deploy(NET, study, 1, form, tmp_path / "new" / "folder")
    x = torch.randn(2, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = NET.build(study.archive[1].config)(x).numpy()
    assert run(written.folder, x) == pytest.approx(expected, abs=1e-3 * float(np.abs(expected).max()))
    assert json.loads((written.folder / "config.json").read_text()) == study.archive[1].config
    assert sorted(written.files) == sorted(path.name for path in written.folder.iterdir())


def doubled(stage):
    """Return a stage whose outputs are twice as large: a graph of it is 100 % off."""
    return replace(stage, module=torch.nn.Sequential(stage.module, Times(2.0)))


class Times(torch.nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return x * self.factor


class Remembering(torch.nn.Module):
    """Gives for any inputs what the module gives for those of the stage."""

    def __init__(self, stage):
        super().__init__()
        self.result = torch.nn.Parameter(stage.module(*stage.inputs).detach())

    def forward(self, x):
        return self.result + 0 * x.mean()


def small(*numbers):
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU()).eval()
    return Stage("network", module, (torch.tensor([numbers or (-1.0, 0.5, 1.0)]),), ("x",))


FORMS = {"onnx": "onnxruntime", "openvino": "openvino", "torch": "torch"}


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_what_was_written_is_read_back_and_compared(form):
    pytest.importorskip(FORMS[form])
    stage = small()
    assert check_written(stage, form, deploying._FORMS[form](stage)) <= TOLERANCES["fp32"]
    for wrong in (doubled(stage), replace(stage, module=Remembering(stage).eval())):
        with pytest.raises(BackendError, match=rf"outputs of the written {form} file differ .* for fp32"):
            check_written(stage, form, deploying._FORMS[form](wrong))


@pytest.mark.parametrize("form", FORMS)
def test_what_cannot_be_read_back_is_refused(form):
    pytest.importorskip(FORMS[form])
    broken = dict.fromkeys(deploying._FORMS[form](small()), b"no network")
    with pytest.raises(BackendError, match=f"stage 'network': the written {form} file cannot be run: "):
        check_written(small(), form, broken)


def test_a_network_that_computes_nothing_is_not_written():
    stage = small(1.0, 2.0, torch.nan)
    words = "output 0 of the torch module itself has 4 of 4 numbers that are not finite"
    with pytest.raises(NotFiniteError, match=words):
        check_written(stage, "torch", deploying._FORMS["torch"](stage))


@pytest.mark.slow
@pytest.mark.parametrize("there", [False, True])
def test_what_computes_something_else_is_not_left(study, tmp_path, monkeypatch, there):
    write = deploying._FORMS["onnx"]
    monkeypatch.setitem(deploying._FORMS, "onnx", lambda stage: write(doubled(stage)))
    folder = tmp_path / "new" / "out"
    if there:
        folder.mkdir(parents=True)
        (folder / "network.onnx").write_text("an older one")
    with pytest.raises(BackendError, match="differ from the torch module"):
        deploy(NET, study, 1, "onnx", folder)
    assert [path.read_text() for path in folder.glob("*")] == ["an older one"] * there


def test_fresh_inputs_are_others_of_the_same_kind():
    mask = torch.tensor([[True, False]])
    hidden = torch.tensor([0.0, -torch.inf])
    inputs = (torch.randint(3, 9, (1, 50)), torch.full((1, 1), 29), torch.zeros(2, 3), mask, hidden)
    stage = Stage("s", torch.nn.Identity(), inputs, tuple("abcde"))
    tokens, position, numbers, *masks = fresh_inputs(stage, 0)
    assert not torch.equal(tokens, inputs[0])
    assert inputs[0].min() <= tokens.min() <= tokens.max() <= inputs[0].max()
    assert torch.equal(position, inputs[1])
    assert numbers.std() > 0.1
    assert [(x.shape, x.dtype) for x in fresh_inputs(stage, 1)] == [(x.shape, x.dtype) for x in inputs]
    assert all(map(torch.equal, masks, (mask, hidden)))


@pytest.mark.slow
def test_the_readme_has_the_figures_and_what_to_keep_in_mind(study, tmp_path):
    written = deploy(NET, study, 2, "onnx", tmp_path)
    text = (tmp_path / "README.md").read_text()
    for words in (
        "Number 2 of the front of the study `nightly`: linas, 3 evaluations on `torch:threads=1,batch=2`",
        "| latency | 3 ms (2.99 to 3.01) |",
        "| top1 | 76 % (predicted) |",
        "| measured on | Some CPU |",
        "**Its weights are random**",
        "Of its quality: a prediction.",
        "written for 2 samples per inference",
        'onnxruntime.InferenceSession("network.onnx")',
        "`image` 2x3x128x128 float32",
    ):
        assert words in text
    digest = hashlib.sha256((tmp_path / "network.onnx").read_bytes()).hexdigest()
    assert f"`network.onnx`, SHA-256 `{digest}`" in text
    assert written.files[-1] == "README.md"


def test_the_front_is_counted_from_one_in_the_order_of_the_first_objective(study):
    assert [of_front(study, position).index for position in (1, 2)] == [1, 0]
    for position in (0, 3):
        with pytest.raises(UsageError, match=f"expected one of its front, 1 to 2, got {position}"):
            of_front(study, position)


def test_unknown_forms_and_places_that_are_no_folders_are_refused(study, tmp_path):
    with pytest.raises(UsageError, match="unknown form 'onxn'; did you mean 'onnx'"):
        deploy(NET, study, 1, "onxn", tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot write .*: Not a directory"):
        deploy(NET, study, 1, "onnx", tmp_path / "file" / "below")


SMALL = supernets.get("ofa-mbv3-w1.0:r=12,classes=2,channels=3,scale=0.1")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for part in ("train", "val"):
        for level, name in ((60, "dark"), (190, "light")):
            (folder / part / name).mkdir(parents=True)
            for number in range(12):
                noise = rng.normal(level, 40, size=(16, 16, 3)).clip(0, 255).astype(np.uint8)
                Image.fromarray(noise).save(folder / part / name / f"{number:02}.png")
    return folder


@pytest.fixture(scope="module")
def shared_averages(tmp_path_factory):
    shared = SMALL.shared(None, 0)
    for key, tensor in shared.tensors.items():
        if key.endswith("running_mean"):
            tensor.fill_(3.0)
    file = tmp_path_factory.mktemp("weights") / "w.pt"
    shared.save(file)
    return str(file)


def measured(source):
    return {"metric": "top1", "predicted": False, "note": "measured", "source": source}


def test_batch_norms_have_the_statistics_with_which_the_quality_was_measured(photos, shared_averages, tmp_path):
    source = f"images:{photos}"
    found = made(SMALL, measured(source))
    written = deploy(SMALL, found, 1, "torch", tmp_path / "it", shared_averages)
    x = torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    network = quality.tested(source, SMALL, QualityOptions(weights=shared_averages))(found.front[0].config)
    outputs = by_torch(written.folder, x)
    assert outputs == pytest.approx(network(x).detach().numpy(), rel=1e-3, abs=1e-4)
    plain = SMALL.build(found.front[0].config, shared_averages)(x).detach().numpy()
    assert outputs != pytest.approx(plain, rel=1e-2, abs=1e-2)
    assert f"Its batch-norm statistics are set as for `{source}`." in (written.folder / "README.md").read_text()


@pytest.mark.parametrize(("source", "said"), [("images:nowhere", "nowhere"), ("surrogate", "")])
def test_the_readme_warns_of_shared_statistics_where_they_cannot_be_set(source, said, shared_averages, tmp_path):
    found = made(SMALL, measured(source))
    text = (deploy(SMALL, found, 1, "torch", tmp_path / "it", shared_averages).folder / "README.md").read_text()
    warning = next(line for line in text.splitlines() if "averages over all sub-networks" in line)
    assert "set them on training data before it is used" in warning
    assert said in warning


def test_networks_of_random_weights_have_no_statistics_to_set(tmp_path):
    found = made(SMALL, measured("images:nowhere"))
    text = (deploy(SMALL, found, 1, "torch", tmp_path / "it").folder / "README.md").read_text()
    assert "statistics" not in text


def with_weights(file):
    """Return a study whose quality was measured with the weights in a file."""
    found = made(SMALL, measured("images:nowhere"))
    contents = {"weights": {"name": str(file), "digest": content_digest(file)}}
    return replace(found, settings={**found.settings, "contents": contents})


def test_the_weights_are_those_of_the_study(shared_averages, tmp_path):
    found = with_weights(shared_averages)
    written = deploy(SMALL, found, 1, "torch", tmp_path / "it")
    assert written.weights == shared_averages
    x = torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    trained = SMALL.build(found.front[0].config, shared_averages)(x).detach().numpy()
    assert by_torch(written.folder, x) == pytest.approx(trained, rel=1e-3, abs=1e-4)
    readme = (written.folder / "README.md").read_text()
    assert "Its weights are those of `w.pt`." in readme
    assert "other weights" not in readme


def test_weights_that_are_not_the_studys_are_named_by_whoever_exports(shared_averages, tmp_path):
    file = tmp_path / "w.pt"
    file.write_bytes(Path(shared_averages).read_bytes())
    found = with_weights(file)
    SMALL.shared(None, 1).save(file)
    with pytest.raises(
        UsageError, match=r"'nightly'.*w.pt', which has changed since .*; name the file.*--weights FILE"
    ):
        deploy(SMALL, found, 1, "torch", tmp_path / "it")
    written = deploy(SMALL, found, 1, "torch", tmp_path / "it", str(file))
    assert "**Its quality was measured with other weights**" in (written.folder / "README.md").read_text()
    file.unlink()
    with pytest.raises(UsageError, match=r"w.pt', which is not there"):
        deploy(SMALL, found, 1, "torch", tmp_path / "another")
    assert not (tmp_path / "another").exists()


@pytest.mark.parametrize("form", ["onnx", "openvino", "torch"])
def test_the_readmes_code_is_python_whatever_inputs_are_called(form):
    names = ("x", "of two", "class", 'a "b"')
    stage = Stage("it", torch.nn.Identity(), (torch.ones(1),) * 4, names)
    lines = _stage(stage, form)
    code = "\n".join(lines[lines.index("```python") + 1 : lines.index("```", 3)])
    ast.parse(code)
    assert form != "openvino" or '"CPU", {"INFERENCE_PRECISION_HINT": "f32"})' in code  # as what is written was checked
    assert "x, input1, input2, input3" in code or all(f"{json.dumps(name)}: " in code for name in names)
