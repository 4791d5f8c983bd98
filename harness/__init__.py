"""Measure sub-networks: platforms, the timing protocol, worker processes, quality sources and the store."""
