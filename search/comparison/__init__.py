"""Compare algorithms on one problem over several seeds: hypervolume by number of evaluations."""
