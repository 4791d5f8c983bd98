"""The worker process, which prepares networks and times them: its messages, sessions, clocks and timing loop."""
