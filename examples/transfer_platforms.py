"""What is a front worth on two other devices? transfer_platforms.py [EVALS]."""

import sys

import hwnas

evals = int(sys.argv[1]) if len(sys.argv) > 1 else 150

# Three real devices whose latencies are published: a phone's CPU, and the CPU and the GPU of a Jetson.
platforms = ["lut:table=note10", "lut:table=jetson-cpu", "lut:table=jetson-gpu"]
found = hwnas.transfer("ofa-mbv3-w1.2", platforms, evals=evals, seed=0)

outcome = found.to_json()
for searched, row in zip(platforms, outcome["hypervolume_ratio"], strict=True):
    for deployed, kept in zip(platforms, row, strict=True):
        if searched != deployed:
            print(f"searched on {searched}, deployed on {deployed}: {kept:.2f} of what its own front is worth")

found.report("transfer.html")
