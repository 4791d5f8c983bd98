"""The machine on which networks are measured: its environment, CPUs, limits and device lock, and child processes."""
