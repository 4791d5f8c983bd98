"""The machine that measures: its environment, threads, limits and lock, and the processes that are started on it."""
