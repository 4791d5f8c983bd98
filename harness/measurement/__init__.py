"""A measurement and the numbers in it: protocol, samples, statistics, convergence, verdict. No input, no output."""
