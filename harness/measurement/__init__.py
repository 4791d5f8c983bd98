"""The data and statistics of a measurement: protocol, samples, convergence and status. Nothing here does I/O."""
