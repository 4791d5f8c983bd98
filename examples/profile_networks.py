"""Measure five sub-networks side by side on this machine, and say how fast each is, and how surely."""

import hwnas

net = hwnas.supernet("ofa-mbv3-w1.0")

# The smallest, the largest, and three drawn at random. Any config that net.space.decode spells will do as well.
networks = ["min", "max", "random:1", "random:2", "random:3"]
measured = hwnas.measure(net, networks, "onnxruntime:threads=1", effort="quick")

for one in sorted(measured, key=lambda one: one.latency_ms):
    print(f"{one.key}  {one.latency_ms:7.3f} ms  {one.macs / 1e6:6.1f} M MACs  {one.status}")
