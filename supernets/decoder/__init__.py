"""Decoder-only language models: their layers, their two stages prefill and decode, and blocks with their costs."""
