"""What a client says where a worker does not."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from hwnas.harness.farm.cluster import Cluster
from hwnas.supernets.errors import MeasurementError


@pytest.mark.parametrize("error", [TimeoutError(), RuntimeError("the worker died")])
def test_a_worker_that_does_not_say_what_a_platform_is_ends_in_one_line(error):
    def result(timeout_s):
        assert timeout_s > 0
        raise error

    cluster = Cluster.__new__(Cluster)
    cluster._client = SimpleNamespace(submit=lambda *_, **__: SimpleNamespace(result=result))
    with pytest.raises(MeasurementError) as said:
        cluster.parsed("torch:threads=1", {"torch@f": 1.0})
    assert "platform 'torch:threads=1': no worker that offers it has said within 60 s" in str(said.value)
    assert type(error).__name__ in str(said.value)
    assert "hwnas farm status" in str(said.value)
