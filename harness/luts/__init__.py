"""Build latency lookup tables for your own device from measured blocks, and check how well their sums predict."""
