"""A search on a new device, from what a search on another one has found: new_device.py [EVALS]."""

import sys

import hwnas

evals = int(sys.argv[1]) if len(sys.argv) > 1 else 60

# What is found of accuracy on a phone is true on a Jetson too; latencies there are only similar.
phone = hwnas.search("ofa-mbv3-w1.2", "lut:table=note10", evals=evals, seed=0)
alone = hwnas.search("ofa-mbv3-w1.2", "lut:table=jetson-cpu", evals=evals // 3, seed=0)
after = hwnas.search("ofa-mbv3-w1.2", "lut:table=jetson-cpu", evals=evals // 3, seed=0, transfer_from=phone.name)

print(f"from nothing:     hypervolume {alone.hypervolume:,.0f}, a front of {len(alone.front)}")
print(f"after the phone:  hypervolume {after.hypervolume:,.0f}, a front of {len(after.front)}")
