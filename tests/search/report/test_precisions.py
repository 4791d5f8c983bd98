"""What a profile says about reduced precisions."""

from __future__ import annotations

import pytest

from hwnas.search.report.precisions import gains

VNNI = {"cpu_flags": "avx2 avx512_vnni fma (1a2b3c4d)"}
OLD = {"cpu_flags": "avx avx2 fma (1a2b3c4d)"}


def row(platform, key, ms, error=None, layers=None):
    told = {} if layers is None else {"int8_layers": layers}
    return {"platform": platform, "key": key, "latency_ms": {"value": ms}, "error": error, "read_back": [told]}


def pair(fp32, int8, platform="openvino:threads=1", **more):
    rows = [row(platform, f"k{i}", ms) for i, ms in enumerate(fp32)]
    reduced = f"{platform},precision=int8" if ":" in platform else f"{platform}:precision=int8"
    return rows + [row(reduced, f"k{i}", ms, **more) for i, ms in enumerate(int8)]


def test_a_gain_is_over_the_sub_networks_measured_on_both():
    (found,) = gains(pair([10.0, 20.0, 8.0], [5.0, 8.0], error=0.031, layers="52 of 54"), VNNI)
    assert (found.platform, found.base) == ("openvino:threads=1,precision=int8", "openvino:threads=1")
    assert found.factors == (2.0, 2.5)
    assert found.layers == "52 of 54"
    assert found.why == ""
    assert str(found) == (
        "openvino:threads=1: int8 is 2.25 times as fast as fp32 (2 to 2.50 over 2 sub-networks); "
        "its outputs differ by up to 3.1\N{NARROW NO-BREAK SPACE}% of the largest"
    )


def test_where_int8_gains_nothing_the_cpu_is_to_blame_if_it_has_no_instructions():
    (found,) = gains(pair([8.0], [10.0], layers="3 of 3"), OLD)
    assert str(found) == (
        "openvino:threads=1: int8 is 0.800 times as fast as fp32; "
        "the CPU has no instructions for 8-bit products (VNNI on x86, dot products on ARM)"
    )


def test_where_it_has_them_the_conversions_are():
    (found,) = gains(pair([8.0, 8.0], [10.0, 4.0], layers="20 of 60"), VNNI)
    assert "slower for 1 of 2: the CPU has avx512_vnni, but 20 of 60 layers run in int8, and" in str(found)


def test_other_precisions_and_what_is_not_known_of_the_cpu():
    rows = [row("torch:threads=1", "k", 8.0), row("torch:threads=1,precision=bf16", "k", 16.0)]
    (found,) = gains(rows, VNNI)
    assert found.why == "the conversions cost more than bf16 saves"
    (found,) = gains(pair([8.0], [10.0]), {})
    assert found.why == "the conversions cost more than int8 saves"


@pytest.mark.parametrize("platform", ["lut", "openvino:threads=2,batch=8,pinning=on"])
def test_the_rest_of_the_platform_is_the_same(platform):
    assert [gain.base for gain in gains(pair([8.0], [4.0], platform), {})] == [platform]


def test_calibration_goes_with_int8():
    rows = [row("openvino:threads=1", "k", 8.0), row("openvino:threads=1,precision=int8,calibration=photos", "k", 4.0)]
    assert [gain.base for gain in gains(rows, {})] == ["openvino:threads=1"]


def test_nothing_is_said_of_what_cannot_be_compared():
    fp32, int8 = row("openvino:threads=1", "a", 8.0), row("openvino:threads=1,precision=int8", "b", 4.0)
    assert gains([fp32, int8], VNNI) == []
    assert gains([int8], VNNI) == []
    assert gains([fp32, {**int8, "key": "a", "latency_ms": {"value": None}}], VNNI) == []
    assert gains([row("onnxruntime:threads=1", "b", 8.0), int8], VNNI) == []
