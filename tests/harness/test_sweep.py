from __future__ import annotations

import pytest

from hwnas.harness.platform import swept
from hwnas.supernets.errors import PlatformError


def test_values_joined_by_plus_are_platforms_of_their_own():
    assert swept(["openvino", "onnxruntime:threads=1+2,batch=1+8"]) == [
        "openvino",
        "onnxruntime:threads=1,batch=1",
        "onnxruntime:threads=1,batch=8",
        "onnxruntime:threads=2,batch=1",
        "onnxruntime:threads=2,batch=8",
    ]


def test_in_other_keys_a_plus_is_a_letter():
    assert swept(["table:file=a+b.csv,column=x_ms"]) == ["table:file=a+b.csv,column=x_ms"]


def test_what_is_no_platform_is_refused():
    with pytest.raises(PlatformError, match="expected KEY=VALUE"):
        swept(["onnxruntime:1+2"])
