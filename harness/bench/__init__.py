"""Benches: what measures batches of networks on one platform, and tells how far it is."""
