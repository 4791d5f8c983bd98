"""A sub-network of a study as a folder that transformers loads."""

from __future__ import annotations

import json

import hugging_face
import pytest
import torch

import hwnas
from hwnas import supernets
from hwnas.search.deploy.transformers import deploy_transformers
from hwnas.supernets.errors import UsageError

pytest.importorskip("safetensors", reason="pip install 'hwnas[language]'")


def studied(net):
    return hwnas.search(net, objectives=["params", "macs"], evals=6, algorithm="random", store=":memory:")


@pytest.mark.slow
def test_the_folder_is_the_sub_network(tmp_path):
    _, folder = hugging_face.made("llama", tmp_path / "model")
    net = supernets.get(f"causal-lm:path={folder},prompt=7,new=6")
    written = deploy_transformers(net, studied(net), 1, tmp_path / "out")
    assert {"config.json", "model.safetensors", "subnetwork.json", "README.md"} <= set(written.files)
    config = json.loads((tmp_path / "out" / "subnetwork.json").read_text())
    assert "Its weights are those of the model" in (tmp_path / "out" / "README.md").read_text()
    model = hugging_face.transformers().AutoModelForCausalLM.from_pretrained(tmp_path / "out").eval()
    tokens = torch.arange(12)[None]
    with torch.no_grad():
        expected, found = net.build(config)(tokens), model(tokens).logits
    assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()


def test_other_super_networks_are_refused(tmp_path):
    net = supernets.get("ofa-mbv3-w1.2")
    with pytest.raises(UsageError, match="only sub-networks of causal-lm are written for transformers"):
        deploy_transformers(net, None, 1, tmp_path)
