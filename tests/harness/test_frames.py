"""Messages over pipes: whole, in time, or not at all."""

from __future__ import annotations

import contextlib
import os
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.frames import Channel, Closed, Silence

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@pytest.fixture
def pipe():
    read, write = os.pipe()
    yield Channel(read, write), read, write
    for descriptor in (read, write):
        with contextlib.suppress(OSError):
            os.close(descriptor)


@given(st.lists(st.dictionaries(st.text(), json_values, max_size=4), max_size=4))
def test_messages_come_as_they_went(messages):
    read, write = os.pipe()
    channel = Channel(read, write)
    try:
        for message in messages:
            channel.send(message)
        assert [channel.receive(1.0) for _ in messages] == messages
    finally:
        os.close(read)
        os.close(write)


def test_messages_larger_than_the_pipe(pipe):
    channel, *_ = pipe
    message = {"samples": list(range(200_000))}
    sender = threading.Thread(target=channel.send, args=(message,))
    sender.start()
    assert channel.receive(20.0) == message
    sender.join()


def test_silence_is_noticed_in_time(pipe):
    channel, *_ = pipe
    start, cpu = time.perf_counter(), time.thread_time()
    with pytest.raises(Silence):
        channel.receive(0.3)
    assert time.perf_counter() - start > 0.29
    assert time.thread_time() - cpu < 0.1


def test_half_a_message_is_silence_too(pipe):
    channel, _, write = pipe
    os.write(write, b"\x00\x00\x00\x09{")
    with pytest.raises(Silence):
        channel.receive(0.1)


def test_a_closed_end_is_told_apart_from_silence(pipe):
    channel, read, write = pipe
    os.close(write)
    with pytest.raises(Closed):
        channel.receive(1.0)
    read_again, write_again = os.pipe()
    os.close(read_again)
    with pytest.raises(Closed):
        Channel(read, write_again).send({})
    os.close(write_again)
