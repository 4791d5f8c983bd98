"""The paper's experiments (arXiv 2205.10358), and a user's own, as short TOML files that one command runs."""

from hwnas.experiments.experiment import SCALES, Experiment, names, read_file, shipped
from hwnas.experiments.run import Finished, run

__all__ = ["SCALES", "Experiment", "Finished", "names", "read_file", "run", "shipped"]
