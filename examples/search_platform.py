"""Search one platform for the best trade-offs of latency and accuracy: search_platform.py [EVALS]."""

import sys

import hwnas

evals = int(sys.argv[1]) if len(sys.argv) > 1 else 100

# The latencies are known: a Samsung Note10's, as once-for-all publishes them. So nothing has to be measured.
study = hwnas.search("ofa-mbv3-w1.2", "lut:table=note10", evals=evals, seed=0)

for one in study.front:
    print(f"{one.objectives['latency']:6.2f} ms  {one.objectives['top1']:6.2f} %  {one.key}")

study.report("front.html")
