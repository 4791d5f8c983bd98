"""The measuring process: what it is told and says, how it makes networks ready, and the timing loop."""
