"""Lookup tables for one's own device: building them from measured blocks, and checking what their sums tell."""
