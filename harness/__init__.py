"""Measure sub-networks on platforms, and know how sure the values are."""
