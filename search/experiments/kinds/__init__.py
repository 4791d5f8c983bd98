"""Kinds of experiments: one file each, or an installed package's entry point in the group ``hwnas.experiments``.

A file offers

- ``SUMMARY``: one line; ``Settings``: a frozen dataclass, whose fields are the keys of an experiment file;
- ``check(settings, where)``: raises ``UsageError`` for what the types alone do not tell;
- ``run(experiment, bench)``: does it, part by part, and returns what was found as JSON values;
- ``verdicts(settings, data)``: the paper's claims, tested on that;
- ``sections(experiment, data, published)``: what the page shows;
- ``table(data)``: what the CSV holds;
- ``stand_ins(settings, environ)``: what stands in for the paper's data, in sentences;
- ``gist(data)``: the result in a few words, for the table of all experiments;
- ``networks(data)``, where figures draw networks by number: what the hover shows of each.
"""

from __future__ import annotations

from supernets.registry import Registry

registry = Registry("kind of experiment", "search.experiments.kinds", "hwnas.experiments")
