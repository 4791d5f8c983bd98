"""Measuring: platforms, the timing protocol, workers, quality sources, the environment, the store."""
