"""A measurement as the store has it: just what its columns ask for."""

RECORD = {
    "supernet": "tiny",
    "key": "0",
    "platform": "torch:threads=1",
    "fingerprint": "f",
    "protocol": "quiet",
    "status": "ok",
    "latency_s": 0.01,
    "measured_at": "2026-01-02T03:04:05+00:00",
}
