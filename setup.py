"""The packages lie side by side in the repository, and are installed under one name, where nothing can collide."""

from setuptools import find_namespace_packages, setup

ROOMS = ("experiments", "search", "harness", "backends", "latency_luts", "supernets")

setup(
    packages=[
        *find_namespace_packages(include=["hwnas", "hwnas.*"]),
        *(f"hwnas.{found}" for room in ROOMS for found in find_namespace_packages(include=[room, f"{room}.*"])),
    ],
    package_dir={f"hwnas.{room}": room for room in ROOMS},
)
