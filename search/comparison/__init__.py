"""Several algorithms on one problem, over seeds: who reaches which hypervolume in how many evaluations."""
