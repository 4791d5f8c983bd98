"""Transfer of inferences of several stages: the parts are compared apart."""

from __future__ import annotations

import numpy as np
import pytest
from lookup_tables import written
from scipy import stats

from hwnas import supernets
from hwnas.search.report import transfer_page
from hwnas.search.transfer import transfer
from hwnas.search.transfer.noise import Noise
from hwnas.search.transfer.stages import StageRows, stage_orders

pytestmark = pytest.mark.usefixtures("few_resamples")

NET = supernets.get("hw-gpt-s:vocabulary=bytes,scale=0.125,prompt=8,new=2")


def table(folder, name, seconds):
    return written(folder / f"{name}.yaml", NET, seconds, platform=name)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Two devices that take as long for a prompt; one pays for a token by its work, the other by the block."""
    folder = tmp_path_factory.mktemp("stages")
    decode = {block for slot in NET.slots if slot.stage == "decode" for block in slot.blocks if block is not None}
    platforms = [
        table(folder, "work", lambda block: 1e-6 + 1e-10 * block.macs),
        table(
            folder, "blocks", lambda block: 1e-3 / (1 + block.macs) if block in decode else 1e-6 + 1e-10 * block.macs
        ),
    ]
    return transfer(NET, platforms, quality="capacity", algorithm="random", evals=12, samples=20)


def test_stages_are_compared_apart(found):
    prefill, decode = found.to_json()["stages"]
    assert [one["stage"] for one in (prefill, decode)] == ["prefill", "decode"]
    assert [one["runs"] for one in (prefill, decode)] == [1, 2]
    assert prefill["kendall_tau"][0][1] == 1
    assert decode["kendall_tau"][0][1] < 0.5
    assert prefill["orders"][0][1] == "alike"
    assert decode["orders"][0][1] == "different"


def test_stages_add_up_to_the_whole(found):
    for row in found.to_json()["rows"]:
        parts = np.array(row["stages_ms"]["prefill"]) + 2 * np.array(row["stages_ms"]["decode"])
        np.testing.assert_allclose(parts, row["latency_ms"])


def test_tau_of_a_stage_is_that_of_its_latencies(found):
    decode = found.rows.stages[1]
    assert decode.stage == "decode"
    expected = stats.kendalltau(*decode.latency_s.T).statistic
    assert found.stages[1].correlations.kendall_tau[0, 1] == pytest.approx(expected)


def test_words_and_page_say_it(found):
    (said,) = [line for line in found.words() if line.startswith("Stage by stage")]
    assert "alike by prefill (Kendall tau 1.00)" in said
    assert "differently by decode" in said
    page = transfer_page(found.to_json())
    assert "Kendall tau, decode" in page
    assert "prefill on A (ms)" in page


def test_a_noisy_stage_is_not_called_different(rng):
    """One stage is exact, the other noise alone."""
    n = 40
    truth = np.exp(rng.normal(size=(n, 1)) * 0.3) * np.ones((1, 2))
    lost = np.exp(rng.normal(size=(n, 2)) * 0.3)
    noise = Noise.of_intervals(truth * 0.999, truth * 1.001)
    rows = [
        StageRows("sure", 1, truth, truth * 0.999, truth * 1.001),
        StageRows("noisy", 1, lost, lost * 0.4, lost * 2.5),
    ]
    sure, noisy = stage_orders(rows, noise, (True, True), rng, 60)
    assert sure.orders[0][1] == "alike"
    assert noisy.orders[0][1] == "noise"
    assert noisy.agreement.ceiling[0, 0] < 0.5 < sure.agreement.ceiling[0, 0]


def test_one_stage_is_no_part(tmp_path):
    net = supernets.get("ofa-mbv3-w1.0")
    first = written(tmp_path / "a.yaml", net, lambda block: 1e-6 + 1e-11 * block.macs, platform="a")
    second = written(tmp_path / "b.yaml", net, lambda block: 1e-6 + 2e-11 * block.macs, platform="b")
    result = transfer(net, [first, second], algorithm="random", evals=4, samples=4).to_json()
    assert result["stages"] == []
    assert not any("Stage by stage" in line for line in transfer_page(result).splitlines())
