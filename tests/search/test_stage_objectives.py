"""Objectives of single stages, and of caches: their numbers, where they are read from, and what is refused."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from hwnas import supernets
from hwnas.harness.measurement.measurement import Measurement
from hwnas.harness.measurement.pace import Pace
from hwnas.harness.measurement.protocol import profile
from hwnas.harness.measurement.samples import Samples
from hwnas.harness.platform import parse
from hwnas.latency_luts.correction import Correction
from hwnas.latency_luts.keys import key
from hwnas.latency_luts.table import Entry, LatencyTable
from hwnas.latency_luts.write import write_table
from hwnas.search.objectives import Sources, make, names
from hwnas.search.objectives._measured import MeasuredBatches, outcome, rate_reading, stage_reading
from hwnas.search.objectives.latency import MeasuredLatency
from hwnas.search.study.constraints import name_of
from hwnas.search.study.constraints import parse as parse_constraint
from hwnas.search.study.drift import Drift
from hwnas.search.study.own import own_objective
from hwnas.supernets.blocks import distinct_blocks
from hwnas.supernets.errors import UnknownNameError, UsageError
from hwnas.supernets.one_stage import OneStage

NET = supernets.get("hw-gpt-s:vocabulary=50,scale=0.125,prompt=6,new=4")
HAT = supernets.get("hat-transformer:layers=2,qkv=16,vocab=40,source=7,steps=5,beam=3,embed=8+12,ffn=16,heads=2")
CNN = supernets.get("ofa-mbv3-w1.0")
X = NET.space.canonical(NET.space.sample(5, 0))


def measurement(prefill_ms, decode_ms, **more):
    """Return a measurement with these samples of an inference's two stages, one in each visit."""
    stage = np.round(1e6 * np.stack([prefill_ms, decode_ms], 1)).astype(np.int64)
    n = len(stage)
    zero, one = np.zeros(n, dtype=np.int64), np.ones(n, dtype=np.int64)
    wall = stage.sum(1)
    samples = Samples(zero, wall, wall, zero, one, np.arange(n), np.arange(n), zero, zero, zero, stage)
    value = float(np.median(wall)) / 1e9
    made = {"macs": 1, "params": 1, "samples": samples, "protocol": profile("quiet"), **more}
    made = {"stages": ("prefill", "decode"), "batch": 1} | made
    return Measurement("toy", {}, "000", "scripted", "ok", "", "median", value, **made)


# --- measured --------------------------------------------------------------------------------------------------------


def test_a_stages_value_is_one_run_of_it(rng):
    prefill, decode = 2 + 0.1 * rng.random(400), 8 + 0.1 * rng.random(400)
    made = measurement(prefill, decode)
    first, per_token = stage_reading("ttft", "prefill", 1), stage_reading("tpot", "decode", 4)
    for reading, times in ((first, 1), (per_token, 4)):
        low, high = reading.interval(made)
        assert low <= reading.value(made) <= high
        assert reading.value(made) == pytest.approx(1e3 * made.stage_s[{1: "prefill", 4: "decode"}[times]] / times)
    assert 2 <= first.value(made) <= 2.1
    assert 2 <= per_token.value(made) <= 2.03
    assert sum(made.stage_s.values()) == pytest.approx(made.summary.value, rel=0.02)


def test_tokens_per_second_are_those_of_the_whole_batch(rng):
    made = measurement(2 + rng.random(50), 8 + rng.random(50), batch=3)
    reading = rate_reading("tokens-per-second", "decode", 4)
    once = stage_reading("tpot", "decode", 4)
    assert reading.maximise
    assert reading.value(made) == pytest.approx(3e3 / once.value(made))
    assert reading.interval(made) == pytest.approx(tuple(3e3 / bound for bound in reversed(once.interval(made))))


def test_the_hosts_pace_is_divided_out_of_a_stage(rng):
    prefill, decode = np.full(40, 2.0), np.full(40, 8.0)
    slower = np.where(np.arange(40) % 2, 1.5, 1.0)
    plain = measurement(prefill, decode)
    paced = measurement(slower * prefill, slower * decode, pace=Pace(np.log(slower), "median", 0.001))
    reading = stage_reading("tpot", "decode", 4)
    assert reading.value(paced) == pytest.approx(reading.value(plain), rel=1e-3)
    low, high = reading.interval(paced)
    assert high / low > 1 + 2 * 0.001  # at least what the batch says of its values


def test_a_measurement_as_a_whole_tells_no_stage():
    made = measurement(np.full(9, 2.0), np.full(9, 8.0))
    samples = replace(made.samples, stage_ns=np.zeros((9, 2), dtype=np.int64))
    found = outcome(stage_reading("tpot", "decode", 4), [replace(made, samples=samples)], [])
    assert (found.status, found.reasons) == (("failed",), ("it was measured as a whole, which does not tell its tpot",))


def test_one_measurement_serves_all_stages():
    class Measurer:
        fingerprint, parallel, asked = "f00", 1, 0

        def measure_beside(self, rows, again):
            self.asked += 1
            return [measurement(np.full(9, 2.0), np.full(9, 8.0)) for _ in rows], []

    measurer = Measurer()
    batches = MeasuredBatches(measurer)
    sources = Sources(NET, "torch", shared={"batches": batches})
    vars(sources)["measurer"] = measurer
    wanted = ("latency", "ttft", "tpot", "latency:prefill", "latency:decode", "tokens-per-second", "throughput")
    objectives = make(wanted, sources)
    assert all(isinstance(one, MeasuredLatency) for one in objectives)
    values = [one.evaluate(X).values[0] for one in objectives]
    assert values == pytest.approx([10, 2, 2, 2, 2, 500, 100])
    assert measurer.asked == 1
    assert [one.name for one in objectives] == list(wanted)


def test_an_anchors_latency_is_not_taken_for_its_stages():
    made = measurement(np.full(9, 2.0), np.full(9, 8.0), context={"anchors": {"000": 0.010, "111": 0.020}})
    found = outcome(stage_reading("tpot", "decode", 4), [made], [made])
    assert found.beside == ({"000 whole": 10.0, "111 whole": 20.0, "000": 2.0},)
    drift = Drift()
    for _ in range(3):
        drift.learn("000", 2.0, found.beside[0])
    assert drift.value("000", math.nan) == pytest.approx(2.0)


# --- from a table of blocks ------------------------------------------------------------------------------------------


def table(correction=None):
    blocks = list(distinct_blocks(NET.slots))
    return LatencyTable("toy", {key(one): Entry(1e-6 * (i + 1)) for i, one in enumerate(blocks)}, correction=correction)


def test_stages_of_a_table_add_up():
    sums = {stage: table().latency(OneStage(NET, stage), X) for stage in ("prefill", "decode")}
    assert sums["prefill"] + 4 * sums["decode"] == pytest.approx(table().latency(NET, X))


def test_what_is_added_to_whole_networks_is_no_part_of_a_stage():
    corrected = table(Correction({"network": 0.5, "table": 2.0}))
    for stage in ("prefill", "decode"):
        net = OneStage(NET, stage)
        assert corrected.latency(net, X) == pytest.approx(2 * table().latency(net, X))
    assert corrected.latency(NET, X) == pytest.approx(0.5 + 2 * table().latency(NET, X))


def test_stages_are_objectives_of_a_table_of_blocks(tmp_path):
    write_table(tmp_path / "blocks.yaml", table().entries, supernet=NET.name, platform="", environment={}, protocol={})
    with Sources(NET, f"lut:file={tmp_path}/blocks.yaml") as sources:
        latency, ttft, tpot, rate = make(("latency", "ttft", "tpot", "tokens-per-second"), sources)
        values = [one.evaluate(X).values for one in (latency, ttft, tpot, rate)]
    assert values[1] + 4 * values[2] == pytest.approx(values[0])
    assert values[3] == pytest.approx(1e3 / values[2])
    assert rate.maximise
    assert all(one.exact for one in (latency, ttft, tpot, rate))


# --- caches ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("net", "first"), [(NET, 2), (HAT, 3)])
def test_the_cache_is_what_the_stage_takes(net, first):
    """Its inputs are the cache before the last token, whose own keys and values complete it."""
    for x in net.space.sample(4, 1):
        step = net.stages(net.space.decode(x[None])[0], 1)[1]
        past = [x for name, x in zip(step.input_names, step.inputs, strict=True) if name.startswith("past")]
        steps = past[0].shape[-2]
        numbers = sum(each.numel() for each in past) // steps
        (found,) = make(("kv-cache",), Sources(net))
        assert found.evaluate(x[None]).values[0] == pytest.approx(4e-6 * numbers * net.context)
        (longer,) = make(("kv-cache:1000",), Sources(net))
        assert longer.evaluate(x[None]).values[0] == pytest.approx(4e-3 * numbers)


@pytest.mark.parametrize(
    ("platform", "factor"), [("torch:precision=bf16,batch=3", 1.5), ("openvino:precision=int8", 1)]
)
def test_the_cache_has_the_platforms_precision_and_batch(platform, factor):
    (plain,), (there,) = (make(("kv-cache",), Sources(NET, given)) for given in (None, platform))
    assert there.evaluate(X).values == pytest.approx(factor * plain.evaluate(X).values)


def test_peak_memory_holds_the_cache_beside_the_largest_block():
    peak, cache = make(("peak-memory", "kv-cache"), Sources(NET))
    largest = NET.space.largest()
    # Hidden units of the prompt beside its residual are the most: 6 tokens of 2 x 96 and 384 channels.
    within = 4e-6 * max(6 * (2 * 96 + 384), 50 + 96, 96 + 3 * 96 + 12 * 19)
    assert peak.evaluate(largest).values[0] == pytest.approx(within + cache.evaluate(largest).values[0])


# --- names -----------------------------------------------------------------------------------------------------------


def test_names_and_constraints():
    sources = Sources(NET, quality_spec="capacity")
    assert {"latency:prefill", "latency:decode", "ttft", "tpot", "kv-cache", "tokens-per-second"} <= set(names(sources))
    assert "latency:encoder" in names(Sources(HAT, quality_spec="capacity"))
    assert not any(
        name.startswith("latency:") and name[8] != "p" and name != "latency:median"
        for name in names(Sources(CNN, quality_spec="capacity"))
    )
    made = make(("kv-cache", "kv-cache:1024"), sources)
    assert str(parse_constraint("kv-cache:1024<=0.5GB", made)) == "kv-cache:1024<=500MB"
    assert name_of("ttft<=200ms") == "ttft"
    assert own_objective("latency:prefill") is own_objective("kv-cache:7") is None
    assert own_objective("latency:min").name == "latency"


@pytest.mark.parametrize(
    ("name", "net", "platform", "named"),
    [
        ("latency:encoder", NET, "torch", r"has no stage 'encoder'; did you mean 'latency:decode'\?"),
        ("ttft", HAT, "torch", "has no stage 'prefill' .known: .*latency:decoder-step, latency:encoder"),
        ("tpot", CNN, "torch", "ofa-mbv3-w1.0 has one stage .known: .*latency, latency:median"),
        ("latency:", NET, "torch", "has no stage ''"),
        ("kv-cache", CNN, None, "ofa-mbv3-w1.0 caches no keys and values"),
        ("kv-cache:0", NET, None, "expected a number of tokens from 1"),
        ("kv-cache:", NET, None, "expected a number of tokens from 1"),
        ("tpot", NET, "table:file=x.csv", "has one latency of each sub-network, and no stages"),
    ],
)
def test_what_cannot_be_known_is_refused(name, net, platform, named, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.csv").write_text("config,latency_ms\n")
    with pytest.raises(UsageError, match=named):
        make((name,), Sources(net, None if platform is None else parse(platform)))


def test_what_takes_no_argument_has_none():
    with pytest.raises(UnknownNameError, match="ttft:prefill"):
        make(("ttft:prefill",), Sources(NET, quality_spec="capacity"))
