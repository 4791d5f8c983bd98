"""Messages over pipes: whole, in time, or not at all."""

from __future__ import annotations

import contextlib
import math
import os
import struct
import threading
import time
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwnas.harness.validation import Message
from hwnas.harness.worker.channel import Channel, Closed, Garbled, Silence

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@dataclass(frozen=True)
class Said(Message):
    value: Any


@dataclass(frozen=True)
class Counted(Message):
    number: int
    share: float = 0.0
    parts: tuple[tuple[int, list[int]], ...] = ()


@pytest.fixture(params=[True, False], ids=["waiting", "a thread"])
def pipe(request, monkeypatch):
    """A channel, on a system that waits for pipes and on one that has a thread read them."""
    monkeypatch.setattr("hwnas.harness.worker.channel.WAITS_FOR_PIPES", request.param)
    before = set(threading.enumerate())
    read, write = os.pipe()
    yield Channel(read, write), read, write
    with contextlib.suppress(OSError):
        os.close(write)
    # A thread that reads ends with the pipe. Were it there still, it would read from whatever gets the number next.
    for thread in set(threading.enumerate()) - before:
        thread.join()
    os.close(read)


@pytest.mark.slow
@given(st.lists(st.dictionaries(st.text(), json_values, max_size=4), max_size=4))
def test_messages_come_as_they_went(messages):
    read, write = os.pipe()
    channel = Channel(read, write)
    try:
        for message in messages:
            channel.send(Said(message))
        assert [channel.receive(Said, 1.0).value for _ in messages] == messages
    finally:
        os.close(read)
        os.close(write)


def test_messages_larger_than_the_pipe(pipe):
    channel, *_ = pipe
    message = Said({"samples": list(range(200_000))})
    sender = threading.Thread(target=channel.send, args=(message,))
    sender.start()
    assert channel.receive(Said, 20.0) == message
    sender.join()


def test_silence_is_noticed_in_time(pipe):
    channel, *_ = pipe
    start, cpu = time.perf_counter(), time.thread_time()
    with pytest.raises(Silence):
        channel.receive(Said, 0.3)
    assert time.perf_counter() - start > 0.29
    assert time.thread_time() - cpu < 0.1


def test_half_a_message_is_silence_too(pipe):
    channel, _, write = pipe
    os.write(write, b"\x00\x00\x00\x09{")
    with pytest.raises(Silence):
        channel.receive(Said, 0.1)


def test_a_closed_end_is_told_apart_from_silence(pipe):
    channel, read, write = pipe
    os.close(write)
    for _ in range(2):
        with pytest.raises(Closed):
            channel.receive(Said, 1.0)
    read_again, write_again = os.pipe()
    os.close(read_again)
    with pytest.raises(Closed):
        Channel(read, write_again).send(Said(None))
    os.close(write_again)


def test_a_message_comes_as_what_it_went_as(pipe):
    channel, *_ = pipe
    channel.send(Counted(3, math.nan, ((1, [2, 3]),)))
    found = channel.receive(Counted, 1.0)
    assert (found.number, found.parts) == (3, ((1, [2, 3]),))
    assert math.isnan(found.share)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"number":3,"extra":1}', "extra: Unexpected"),
        (b'{"share":1.0}', "number: Field required"),
        (b'{"number":"3"}', "number: Input should be a valid integer"),
        (b'{"number":1.5}', "number: Input should be a valid integer"),
        (b'{"number":3,"parts":[[1,[2.5]]]}', "parts.0.1.0: Input should be a valid integer"),
        (b"[3]", "Input should be an object"),
        (b"not JSON", "Invalid JSON"),
        (b"[" * 100_000, "Invalid JSON"),
    ],
)
def test_a_field_that_only_one_side_knows_or_of_another_type_is_named(pipe, body, reason):
    channel, _, write = pipe
    sender = threading.Thread(target=os.write, args=(write, struct.pack(">I", len(body)) + body))
    sender.start()
    with pytest.raises(Garbled, match=reason):
        channel.receive(Counted, 5.0)
    sender.join()
